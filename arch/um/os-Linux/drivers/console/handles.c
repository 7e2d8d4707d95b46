// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles of terminal lines: the table, and output that the reader does not take at once.
 *
 * That output is in the handle's outbox, which goes before anything else that is written: kernel
 * messages, and all that is written while no reader is there. At an orderly end of ./linux
 * readers have a second to take what is left.
 *
 * An entry of the table is written once it is whole and cleared before it is freed, since the end
 * may come, in a signal handler, at any moment.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <host/irq.h>
#include <host/process.h>
#include <host/vcpu.h>

#include "handles.h"
#include "os.h"
#include "printable.h"

#define MOST_HANDLES	192	/* 16 consoles and 64 serial lines, two each, and replacements */
#define PATIENCE	1000	/* ms */

static struct handle *handles[MOST_HANDLES];

int handle_refuse(char *why, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, HOST_CONSOLE_WHY, format, arguments);
	va_end(arguments);
	return error;
}

void handle_raise(void)
{
	host_raise(&host_vcpus[0], HOST_IRQ_CONSOLE);
}

void handle_watch(int fd, int write)
{
	static int has_failed;
	int error = host_try_watch(fd, write, HOST_IRQ_CONSOLE);

	if (error && !has_failed)
		host_warn("lines are not served: epoll_ctl: %s", strerror(-error));
	has_failed |= error;
}

/* ---- output ---- */

static int handle_flush(struct handle *handle)
{
	const char *bytes;
	unsigned long length;

	if (handle->kind->flush && !handle->kind->flush(handle))
		return 0;
	while (handle->attached && (length = outbox_oldest(&handle->outbox, &bytes))) {
		long put = handle->kind->send(handle, bytes, length);

		if (!handle->attached)		/* it has left */
			return 1;
		if (put == -EAGAIN || put == 0)
			return 0;
		outbox_remove(&handle->outbox, put < 0 ? length : (unsigned long)put);
	}
	if (handle->attached)
		handle->patience = PATIENCE;
	return 1;
}

static int elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

/* Until the outbox has room for so many bytes more, or patience is at its end. */
static void wait_for_reader(struct handle *handle, unsigned long room)
{
	while (handle->attached && handle->patience > 0 &&
	       outbox_length(&handle->outbox) + room > OUTBOX_SIZE) {
		struct timespec start;
		int waited;

		if (handle_flush(handle))
			return;
		clock_gettime(CLOCK_MONOTONIC, &start);
		stream_wait(&handle->out, handle->patience);
		waited = elapsed_ms(&start);
		handle->patience -= waited ? waited : 1;
	}
}

static void drain_all(void)
{
	for (int i = 0; i < MOST_HANDLES; i++)
		if (handles[i] && handles[i]->attached)
			wait_for_reader(handles[i], OUTBOX_SIZE);
}

long host_console_write(int console, const void *buffer, unsigned long length)
{
	struct handle *handle = handles[console];

	if (!handle->attached) {
		outbox_put(&handle->outbox, buffer, length);
		return length;
	}
	return handle_flush(handle) ? handle->kind->send(handle, buffer, length) : -EAGAIN;
}

/* part: text that is printable but for its newlines and tabs. */
static void put_text(struct handle *handle, const char *part, int returns)
{
	char buffer[512];
	unsigned long used = 0;

	for (; *part; part++) {
		if (*part == '\n' && returns)
			buffer[used++] = '\r';
		buffer[used++] = *part;
	}
	wait_for_reader(handle, used);
	outbox_put(&handle->outbox, buffer, used);
}

/* The log holds names of programs and files, which are to be read and not obeyed. */
void host_console_print(int console, const char *text, unsigned long length)
{
	struct handle *handle = handles[console];
	int returns = handle->kind->needs_returns(handle);
	char part[256];

	while (length) {
		unsigned long taken = printable_part(part, sizeof(part), text, length);

		put_text(handle, part, returns);
		text += taken;
		length -= taken;
	}
	if (handle->attached)
		handle_flush(handle);
}

/* ---- the table ---- */

void *handle_new(unsigned long size, const struct handle_kind *kind, char *why)
{
	struct handle *handle = calloc(1, size);

	if (handle && outbox_init(&handle->outbox)) {
		free(handle);
		handle = NULL;
	}
	if (!handle) {
		handle_refuse(why, -ENOMEM, "the host has no memory for it");
		return NULL;
	}
	handle->kind = kind;
	handle->out.fd = -1;
	handle->patience = PATIENCE;
	return handle;
}

void handle_free(struct handle *handle)
{
	outbox_free(&handle->outbox);
	free(handle);
}

int handle_add(struct handle *handle, char *why)
{
	static int drains;

	if (!drains)
		host_at_exit(drain_all);
	drains = 1;
	for (int i = 0; i < MOST_HANDLES; i++) {
		if (handles[i])
			continue;
		__atomic_store_n(&handles[i], handle, __ATOMIC_RELEASE);
		return i;
	}
	return handle_refuse(why, -EMFILE, "there are too many channels");
}

void host_console_close(int console)
{
	struct handle *handle = handles[console];

	handle_flush(handle);
	__atomic_store_n(&handles[console], NULL, __ATOMIC_RELEASE);
	handle->kind->close(handle);
}

long host_console_read(int console, void *buffer, unsigned long length)
{
	return handles[console]->kind->read(handles[console], buffer, length);
}

void host_console_watch(int console, int write)
{
	handles[console]->kind->watch(handles[console], write);
}

int host_console_events(int console)
{
	struct handle *handle = handles[console];
	int events = handle->kind->events ? handle->kind->events(handle) : 0;

	if (handle->attached)
		handle_flush(handle);
	return events;
}

void host_console_renew(int console)
{
	if (handles[console]->kind->renew)
		handles[console]->kind->renew(handles[console]);
}

void host_console_show(int console)
{
	if (handles[console]->kind->show)
		handles[console]->kind->show(handles[console]);
}

int host_console_size(int console, unsigned short *rows, unsigned short *columns)
{
	return handles[console]->kind->size(handles[console], rows, columns);
}

void host_console_describe(int console, char *text, unsigned long size)
{
	handles[console]->kind->describe(handles[console], text, size);
}
