// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines on the socket console: what virtual CPUs and the thread of attach_socket.c share.
 *
 * Output goes into the line's history, whether or not there are clients, and the thread copies it
 * from there. So a client needs no buffer, and one that is too slow finds that its position
 * has been passed. Input goes into a ring from which the guest takes it. The thread puts a
 * frame there when there is room for one of any length.
 *
 * The history is short while no client is attached, and long while there is one, for the time
 * that the client needs to read.
 *
 * `lock` covers all fields of all lines. It is the innermost lock, and held for copies in memory
 * only. Counters that are read without it (typed, resized, clients) are atomic: nothing is locked
 * to learn that nothing is there. A message of the kernel may come from an oops on a thread that
 * holds the lock: it waits for a moment only, and is left out then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attach_lines.h"
#include "handles.h"
#include "history.h"
#include "drivers/mconsole/instance.h"
#include "printable.h"

#define SHORT		65536UL		/* bytes of history */
#define LONG		(1UL << 20)	/* while there are clients */
#define PRINT_WAIT	100000000	/* ns */

struct attach_line {
	char name[HOST_ATTACH_NAME];
	char channel[256];
	int state;			/* HOST_ATTACH_NONE, ... */
	int is_open;
	struct history output;
	struct outbox input;
	int input_waits;		/* the thread has some, for which there was no room */
	unsigned long typed;		/* bytes of input */
	int clients;
	unsigned short rows, columns;	/* 0: no window */
	int resized;
};

static struct attach_line lines[HOST_ATTACH_LINES];
static int count;			/* lines are only added, and only while consoles start */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- virtual CPUs ---- */

/* NULL: a line that could not be made. */
static struct attach_line *find(int number)
{
	return number < 0 ? NULL : &lines[number];
}

int host_attach_line(const char *name)
{
	struct attach_line *line;

	if (!host_instance_is_there() || count == HOST_ATTACH_LINES)
		return -ENOENT;
	line = &lines[count];
	snprintf(line->name, sizeof(line->name), "%s", name);
	if (history_init(&line->output, SHORT))
		return -ENOMEM;
	return count++;
}

void host_attach_describe(int number, int state, const char *channel)
{
	struct attach_line *line = find(number);

	if (!line)
		return;
	pthread_mutex_lock(&lock);
	line->state = state;
	snprintf(line->channel, sizeof(line->channel), "%s", channel);
	pthread_mutex_unlock(&lock);
}

void host_attach_set_open(int number, int is_open)
{
	struct attach_line *line = find(number);

	if (!line)
		return;
	pthread_mutex_lock(&lock);
	line->is_open = is_open;
	pthread_mutex_unlock(&lock);
}

void host_attach_output(int number, const void *bytes, unsigned long length)
{
	struct attach_line *line = find(number);

	if (!line)
		return;
	pthread_mutex_lock(&lock);
	history_put(&line->output, bytes, length);
	pthread_mutex_unlock(&lock);
	if (__atomic_load_n(&line->clients, __ATOMIC_SEQ_CST))
		attach_wake();
}

static void put_text(struct attach_line *line, const char *text)
{
	for (const char *end; *text; text = end) {
		end = strchrnul(text, '\n');
		history_put(&line->output, text, end - text);
		if (*end++)
			history_put(&line->output, "\r\n", 2);
		else
			end--;
	}
}

void host_attach_print(int number, const char *text, unsigned long length)
{
	struct attach_line *line = find(number);
	struct timespec until;
	char part[256];

	if (!line)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PRINT_WAIT;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (pthread_mutex_timedlock(&lock, &until))
		return;
	while (length) {
		unsigned long taken = printable_part(part, sizeof(part), text, length);

		put_text(line, part);
		text += taken;
		length -= taken;
	}
	pthread_mutex_unlock(&lock);
	if (__atomic_load_n(&line->clients, __ATOMIC_SEQ_CST))
		attach_wake();
}

long host_attach_read(int number, void *bytes, unsigned long length)
{
	struct attach_line *line = find(number);
	unsigned long there;
	const char *oldest;
	int others_wait;

	if (!line || !__atomic_load_n(&line->typed, __ATOMIC_ACQUIRE))
		return -EAGAIN;
	pthread_mutex_lock(&lock);
	there = outbox_oldest(&line->input, &oldest);
	if (length > there)
		length = there;
	memcpy(bytes, oldest, length);
	outbox_remove(&line->input, length);
	__atomic_store_n(&line->typed, outbox_length(&line->input), __ATOMIC_RELEASE);
	others_wait = line->input_waits;
	line->input_waits = 0;
	pthread_mutex_unlock(&lock);
	if (others_wait)
		attach_wake();
	return length ? (long)length : -EAGAIN;
}

int host_attach_resized(int number)
{
	return number >= 0 && __atomic_load_n(&lines[number].resized, __ATOMIC_ACQUIRE) &&
	       __atomic_exchange_n(&lines[number].resized, 0, __ATOMIC_ACQ_REL);
}

int host_attach_size(int number, unsigned short *rows, unsigned short *columns)
{
	struct attach_line *line = find(number);

	if (!line)
		return -ENOTTY;
	pthread_mutex_lock(&lock);
	*rows = line->rows;
	*columns = line->columns;
	pthread_mutex_unlock(&lock);
	return *rows && *columns ? 0 : -ENOTTY;
}

/* ---- the thread ---- */

int attach_find(const char *name)
{
	for (int i = 0; i < count; i++) {
		int state;

		if (strcmp(lines[i].name, name))
			continue;
		pthread_mutex_lock(&lock);
		state = lines[i].state;
		pthread_mutex_unlock(&lock);
		return state == HOST_ATTACH_NONE ? -ENODEV : i;
	}
	return -ENOENT;
}

int attach_look(int number, struct host_attach_entry *entry)
{
	struct attach_line *line;
	int is_wanted;

	if (number >= count)
		return -ENOENT;
	line = &lines[number];
	pthread_mutex_lock(&lock);
	is_wanted = line->state == HOST_ATTACH_JOINED || line->clients;
	entry->is_open = line->is_open;
	entry->clients = line->clients;
	memcpy(entry->line, line->name, sizeof(entry->line));
	memcpy(entry->channel, line->channel, sizeof(entry->channel));
	pthread_mutex_unlock(&lock);
	return is_wanted ? 0 : -ENODEV;
}

unsigned long attach_join(int number)
{
	struct attach_line *line = &lines[number];
	unsigned long position;

	pthread_mutex_lock(&lock);
	__atomic_store_n(&line->clients, line->clients + 1, __ATOMIC_SEQ_CST);
	history_resize(&line->output, LONG);
	position = history_recent(&line->output, SHORT);
	pthread_mutex_unlock(&lock);
	return position;
}

void attach_leave(int number)
{
	struct attach_line *line = &lines[number];

	pthread_mutex_lock(&lock);
	__atomic_store_n(&line->clients, line->clients - 1, __ATOMIC_SEQ_CST);
	if (!line->clients)
		history_resize(&line->output, SHORT);
	pthread_mutex_unlock(&lock);
}

unsigned long attach_copy(int number, unsigned long *position, void *to, unsigned long room,
			  unsigned long *lost)
{
	struct history *output = &lines[number].output;
	unsigned long length;

	pthread_mutex_lock(&lock);
	if (*position < output->start) {
		*lost += output->start - *position;
		*position = output->start;
	}
	length = history_copy(output, *position, to, room);
	pthread_mutex_unlock(&lock);
	return length;
}

/* The ring is made with the first input. Without memory for it there is none. */
int attach_has_room(int number)
{
	struct attach_line *line = &lines[number];
	int has_room;

	pthread_mutex_lock(&lock);
	has_room = (line->input.bytes || !outbox_init(&line->input)) &&
		   OUTBOX_SIZE - outbox_length(&line->input) >= HOST_ATTACH_FRAME;
	line->input_waits = !has_room;
	pthread_mutex_unlock(&lock);
	return has_room;
}

void attach_type(int number, const void *bytes, unsigned long length)
{
	struct attach_line *line = &lines[number];

	pthread_mutex_lock(&lock);
	outbox_put(&line->input, bytes, length);
	__atomic_store_n(&line->typed, outbox_length(&line->input), __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	handle_raise();
}

void attach_set_size(int number, unsigned short rows, unsigned short columns)
{
	struct attach_line *line = &lines[number];
	int is_new;

	pthread_mutex_lock(&lock);
	is_new = line->rows != rows || line->columns != columns;
	line->rows = rows;
	line->columns = columns;
	if (is_new)
		__atomic_store_n(&line->resized, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	if (is_new)
		handle_raise();
}
