// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminal lines on the socket console: the history of a line, and the thread that serves clients,
 * under clients that send anything, while other threads are virtual CPUs.
 */
#define _GNU_SOURCE
#include "../../arch/um/os-Linux/drivers/console/attach_lines.c"
#undef SHORT
#undef LONG
#include "../../arch/um/os-Linux/drivers/console/attach_socket.c"
#include "../../arch/um/os-Linux/drivers/console/history.c"
#include "../../arch/um/os-Linux/drivers/console/outbox.c"
#include "../../arch/um/os-Linux/printable.c"
#include "../guest/check.h"

#include <stdarg.h>
#include <sys/un.h>

/* ---- what the rest of the host side does ---- */

static const struct sockaddr_un address = { .sun_family = AF_UNIX };
static struct sockaddr_un bound;
static socklen_t bound_length = sizeof(bound);
static int raised;

int host_instance_is_there(void)
{
	return 1;
}

/* A socket with a name that the host chooses. */
int host_instance_socket(const char *entry, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (bind(fd, (void *)&address, sizeof(sa_family_t)) ||
	    getsockname(fd, (void *)&bound, &bound_length))
		return -errno;
	return fd;
}

int host_thread(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, body, argument);
}

void host_at_exit(void (*function)(void))
{
}

void host_warn(const char *format, ...)
{
	check(0, format);
}

void host_fatal(const char *format, ...)
{
	check(0, format);
	_exit(1);
}

void handle_raise(void)
{
	__atomic_add_fetch(&raised, 1, __ATOMIC_SEQ_CST);
}

/* ---- the history ---- */

static int holds(struct history *history, const char *text)
{
	char copy[64];
	unsigned long length = history_copy(history, history->start, copy, sizeof(copy));

	return length == strlen(text) && !memcmp(copy, text, length);
}

static void keep(void)
{
	struct history history;
	char copy[4];

	check(!history_init(&history, 8), "a history is made");
	check(holds(&history, "") && !history_recent(&history, 8), "it is empty at first");
	history_put(&history, "abcde", 5);
	check(holds(&history, "abcde"), "it has what was put in");
	history_put(&history, "f\nghi", 5);
	check(holds(&history, "cdef\nghi") && history.start == 2, "the newest replace the oldest");
	check(history_copy(&history, 6, copy, 4) == 4 && !memcmp(copy, "\nghi", 4) &&
	      history_copy(&history, 10, copy, 4) == 0, "it is read from any position on");
	check(history_recent(&history, 8) == 7, "what is shown first begins with a line");
	check(history_recent(&history, 2) == 8, "or where there is none");
	history_resize(&history, 16);
	check(holds(&history, "cdef\nghi") && history.start == 2, "it grows, and positions stay");
	history_put(&history, "0123456789", 10);
	check(holds(&history, "ef\nghi0123456789"), "and has room then");
	history_resize(&history, 4);
	check(holds(&history, "6789") && history.start == 16, "the newest stay when it shrinks");
	history_put(&history, "a history that is too long", 26);
	check(holds(&history, "long") && history.end == 46, "of too many the last are kept");
	history_free(&history);
}

/* ---- clients ---- */

static int connect_client(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = 30 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (void *)&bound, bound_length))
		check(0, "a client connects");
	return fd;
}

static int attach_client(const char *name)
{
	struct host_attach_request request = {
		.kind = HOST_ATTACH_START,
		.version = HOST_ATTACH_VERSION,
		.rows = 24,
		.columns = 80,
	};
	int fd = connect_client();

	snprintf(request.line, sizeof(request.line), "%s", name);
	send(fd, &request, sizeof(request), MSG_NOSIGNAL);
	return fd;
}

static unsigned int random_of(unsigned int *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 8;
}

/* Connections that send frames of any kind and length, read or not, and leave at any moment. */
static void *be_hostile(void *seed)
{
	static const unsigned int lengths[] = { 0, 1, 4, 8, 12, 28, 29, 100, 4096, 32768, 40000 };
	unsigned int state = (unsigned long)seed;
	char *frame = malloc(40000);

	for (int round = 0; round < 300; round++) {
		const char *line = random_of(&state) % 2 ? "con0" : "con1";
		int fd = random_of(&state) % 3 ? attach_client(line) : connect_client();

		for (int i = random_of(&state) % 20; i > 0; i--) {
			unsigned int kind = random_of(&state) % 6, length;

			for (int at = 0; at < 64; at++)
				frame[at] = random_of(&state);
			memcpy(frame, &kind, sizeof(kind));
			length = lengths[random_of(&state) % (sizeof(lengths) / sizeof(*lengths))];
			send(fd, frame, length, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (random_of(&state) % 2)
				recv(fd, frame, 40000, MSG_DONTWAIT);
		}
		close(fd);
	}
	free(frame);
	return NULL;
}

static int stops;

static void *be_guest(void *unused)
{
	unsigned short rows, columns;
	char buffer[512] = "text\n";

	while (!__atomic_load_n(&stops, __ATOMIC_SEQ_CST)) {
		for (int line = 0; line < 2; line++) {
			host_attach_output(line, buffer, sizeof(buffer));
			host_attach_print(line, "a message\nand one\a\n", 19);
			host_attach_read(line, buffer, sizeof(buffer));
			host_attach_resized(line);
			host_attach_size(line, &rows, &columns);
			host_attach_set_open(line, rows & 1);
		}
	}
	return unused;
}

static void survive(void)
{
	pthread_t hostile[4], guest[2];

	for (unsigned long i = 0; i < 2; i++)
		pthread_create(&guest[i], NULL, be_guest, NULL);
	for (unsigned long i = 0; i < 4; i++)
		pthread_create(&hostile[i], NULL, be_hostile, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		pthread_join(hostile[i], NULL);
	__atomic_store_n(&stops, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++)
		pthread_join(guest[i], NULL);
	check(1, "clients that send anything do no harm");
}

/* ---- one client, in order ---- */

static void serve_one(void)
{
	unsigned short rows = 0, columns = 0;
	struct host_attach_numbers numbers;
	char frame[64] = "", text[16] = "";
	int fd = attach_client("con2");
	long got;

	recv(fd, &numbers, sizeof(numbers), 0);
	check(numbers.kind == HOST_ATTACH_ROLE && numbers.first == HOST_ATTACH_WRITES &&
	      numbers.second == 1, "a client is told its role first");
	check(!host_attach_size(2, &rows, &columns) && rows == 24 && columns == 80 &&
	      host_attach_resized(2) && !host_attach_resized(2),
	      "the line has the size of its window, which is told once");
	host_attach_print(2, "kernel\e\n", 8);
	got = recv(fd, frame, sizeof(frame), 0);
	check(got == 13 && !memcmp(frame + 4, "kernel?\r\n", 9),
	      "kernel messages have carriage returns and nothing that a terminal obeys");
	memcpy(frame, &(unsigned int){ HOST_ATTACH_INPUT }, 4);
	memcpy(frame + 4, "typed", 5);
	send(fd, frame, 9, 0);
	while (host_attach_read(2, text, sizeof(text)) == -EAGAIN)
		sched_yield();
	check(!strcmp(text, "typed"), "input arrives");
	end_all();
	got = recv(fd, &numbers, sizeof(numbers), 0);
	check(got == 4 && numbers.kind == HOST_ATTACH_END && !recv(fd, text, 1, 0),
	      "at the end of ./linux the client is told so");
	close(fd);
}

int main(void)
{
	keep();
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "con0", "con1", "con2" };

		check(host_attach_line(names[i]) == i, "a line is made");
		host_attach_describe(i, HOST_ATTACH_JOINED, "null");
	}
	host_attach_start();
	survive();
	serve_one();
	return check_done();
}
