// SPDX-License-Identifier: GPL-2.0-only
/*
 * The socket console in the instance's folder: clients that watch lines and type on them.
 *
 * One thread serves it. It sleeps in epoll_wait() while nothing happens, and nothing wakes it while
 * no client is there. The table of clients is its own, so that there is no lock for it: what it
 * shares with virtual CPUs is in attach_lines.c. It needs no virtual CPU, so that clients also see
 * what a guest that hangs has printed.
 *
 * The socket is of type SOCK_SEQPACKET: a frame is a packet. No call on it waits. A client whose
 * socket is full is passed over until it is not. The writer's input stays in its socket while the
 * line has no room for it.
 *
 * At the end of ./linux the thread sends what is left, and the frame that says so, for at most a
 * second. That is asked for by a descriptor, without a lock, since the end may come in a signal
 * handler. Where the host has no thread for this, there are no clients.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <host/process.h>

#include "attach_lines.h"
#include "drivers/mconsole/instance.h"
#include "os.h"

#define BACKLOG		128
#define ASK_WITHIN	10000		/* ms for the first frame */
#define END_WITHIN	1000		/* ms for what is left at the end */
#define AT_ONCE		8		/* frames of a client before the next one */

/* In epoll, behind the numbers of clients. */
enum { LISTENER = HOST_ATTACH_CLIENTS, WAKE };

struct client {
	int fd;				/* -1: this entry is free */
	int line;			/* -1: it has asked for none yet */
	long long ask_until;		/* ms */
	unsigned int watched;		/* what epoll watches it for */
	int only_reads;
	unsigned int role, told_role;	/* HOST_ATTACH_WRITES, ...; 0: none yet */
	unsigned long number;		/* clients of a line write in this order */
	unsigned short rows, columns;
	unsigned long position, lost;	/* in the line's output; not told yet */
	int is_full;			/* its socket takes no frame */
	int input_waits;		/* the line takes no frame */
};

static struct client clients[HOST_ATTACH_CLIENTS];
static int listener = -1, events = -1, wake = -1;
static int spare = -1;			/* closed to accept, and refuse, when none is left */
static int ended = -1;			/* readable when the thread has done its last work */
static int ending, has_clients;		/* shared with virtual CPUs, and atomic */
static int is_awake;			/* the same: the thread will look at all lines */

static struct {
	unsigned int kind;
	char data[HOST_ATTACH_FRAME - sizeof(unsigned int)];
} in, out;

void attach_wake(void)
{
	const unsigned long long one = 1;

	if (!__atomic_exchange_n(&is_awake, 1, __ATOMIC_SEQ_CST))
		(void)!write(wake, &one, sizeof(one));
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* ---- who writes ---- */

/* After a client of the line came, left or changed its window. */
static void choose_writer(int line)
{
	struct client *writer = NULL;

	for (int i = 0; i < HOST_ATTACH_CLIENTS; i++) {
		struct client *client = &clients[i];

		if (client->fd < 0 || client->line != line)
			continue;
		client->role = client->only_reads ? HOST_ATTACH_ONLY_READS : HOST_ATTACH_WATCHES;
		if (!client->only_reads && (!writer || client->number < writer->number))
			writer = client;
	}
	if (writer)
		writer->role = HOST_ATTACH_WRITES;
	attach_set_size(line, writer ? writer->rows : 0, writer ? writer->columns : 0);
}

static unsigned int count_clients(int line)
{
	unsigned int count = 0;

	for (int i = 0; i < HOST_ATTACH_CLIENTS; i++)
		count += clients[i].fd >= 0 && clients[i].line == line;
	return count;
}

/* ---- coming and going ---- */

/*
 * A socket that is closed with frames unread gives its client ECONNRESET in place of what was sent
 * last. So none comes any more, and those that have come are read.
 */
static void close_socket(int fd)
{
	char byte;

	shutdown(fd, SHUT_RD);
	while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
	close(fd);
}

static void drop(struct client *client)
{
	int line = client->line;

	close_socket(client->fd);
	client->fd = -1;
	if (line >= 0) {
		attach_leave(line);
		choose_writer(line);
		attach_wake();		/* another one may have to be told that it writes */
	}
	for (int i = 0; i < HOST_ATTACH_CLIENTS; i++)
		if (clients[i].fd >= 0)
			return;
	__atomic_store_n(&has_clients, 0, __ATOMIC_SEQ_CST);
}

/* Whether it was sent. Where it was not, is_full is set or the client has gone. */
static int send_frame(struct client *client, const void *frame, unsigned long length)
{
	while (send(client->fd, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			client->is_full = 1;
		else
			drop(client);
		return 0;
	}
	return 1;
}

static void send_failure(int fd, int error, const char *text)
{
	struct host_attach_failure frame = { .kind = HOST_ATTACH_FAILURE, .error = -error };
	int length = snprintf(frame.text, sizeof(frame.text), "%s", text);

	send(fd, &frame, sizeof(frame) - sizeof(frame.text) + length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void fail(struct client *client, int error, const char *text)
{
	send_failure(client->fd, error, text);
	drop(client);
}

static struct client *free_entry(void)
{
	for (int i = 0; i < HOST_ATTACH_CLIENTS; i++)
		if (clients[i].fd < 0)
			return &clients[i];
	return NULL;
}

static void add_client(int fd)
{
	struct client *client = free_entry();
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = client - clients };

	if (!client) {
		send_failure(fd, -EBUSY, "too many clients are connected; end one of them");
		close_socket(fd);
		return;
	}
	if (epoll_ctl(events, EPOLL_CTL_ADD, fd, &event)) {
		close(fd);
		return;
	}
	*client = (struct client) {
		.fd = fd,
		.line = -1,
		.ask_until = now_ms() + ASK_WITHIN,
		.watched = EPOLLIN,
	};
	__atomic_store_n(&has_clients, 1, __ATOMIC_SEQ_CST);
}

/* No descriptor is left: without this, the listener would stay ready for ever. */
static void refuse_with_spare(void)
{
	int fd;

	close(spare);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		send_failure(fd, -EMFILE, "the instance has no descriptor left; see 'ulimit -n'");
		close_socket(fd);
	}
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_some(void)
{
	for (int i = 0; i < AT_ONCE; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			add_client(fd);
		else if (errno == EMFILE || errno == ENFILE)
			refuse_with_spare();
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

/* ---- frames from clients ---- */

static void send_list(struct client *client)
{
	struct host_attach_entry entry = { .kind = HOST_ATTACH_ENTRY };
	const unsigned int end = HOST_ATTACH_END;

	for (int line = 0; line < HOST_ATTACH_LINES; line++)
		if (!attach_look(line, &entry) && !send_frame(client, &entry, sizeof(entry)))
			break;
	if (client->fd >= 0)
		send_frame(client, &end, sizeof(end));
	if (client->fd >= 0)
		drop(client);
}

static void attach(struct client *client, const struct host_attach_request *request)
{
	static unsigned long number;
	int line = attach_find(request->line);
	char text[128];

	if (line < 0) {
		snprintf(text, sizeof(text), line == -ENODEV ?
			 "%s has no channel; give it one by: uml_mconsole <umid> config %s=null" :
			 "there is no line %s", request->line, request->line);
		fail(client, line, text);
		return;
	}
	client->only_reads = request->flags & HOST_ATTACH_READ_ONLY;
	client->rows = request->rows;
	client->columns = request->columns;
	client->number = number++;
	client->position = attach_join(line);
	client->line = line;
	choose_writer(line);
}

static void take_request(struct client *client, unsigned long length)
{
	struct host_attach_request request = { 0 };

	memcpy(&request, &in, length < sizeof(request) ? length : sizeof(request));
	if (request.kind != HOST_ATTACH_LIST && request.kind != HOST_ATTACH_START)
		fail(client, -EPROTO, "the first frame is no request");
	else if (request.version != HOST_ATTACH_VERSION)
		fail(client, -EPROTONOSUPPORT, "this version of the protocol is not known");
	else if (request.kind == HOST_ATTACH_LIST)
		send_list(client);
	else if (length != sizeof(request) || request.line[sizeof(request.line) - 1])
		fail(client, -EPROTO, "the request has a wrong length");
	else
		attach(client, &request);
}

static void take_size(struct client *client, unsigned long length)
{
	struct host_attach_numbers numbers;

	if (length != sizeof(numbers)) {
		fail(client, -EPROTO, "a frame has a wrong length");
		return;
	}
	memcpy(&numbers, &in, sizeof(numbers));
	client->rows = numbers.first;
	client->columns = numbers.second;
	choose_writer(client->line);
}

/* Input of watchers is dropped. */
static void take_frame(struct client *client, unsigned long length)
{
	if (length < sizeof(in.kind) || length > sizeof(in))
		fail(client, -EPROTO, "a frame has a wrong length");
	else if (client->line < 0)
		take_request(client, length);
	else if (in.kind == HOST_ATTACH_SIZE)
		take_size(client, length);
	else if (in.kind != HOST_ATTACH_INPUT)
		fail(client, -EPROTO, "there is no such frame");
	else if (client->role == HOST_ATTACH_WRITES)
		attach_type(client->line, in.data, length - sizeof(in.kind));
}

/* Some of its frames; the rest is noticed again. An empty packet cannot be told from the end. */
static void receive(struct client *client)
{
	for (int i = 0; i < AT_ONCE && client->fd >= 0; i++) {
		long got;

		client->input_waits = client->line >= 0 && client->role == HOST_ATTACH_WRITES &&
				      !attach_has_room(client->line);
		if (client->input_waits)
			return;
		got = recv(client->fd, &in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC);
		if (got > 0)
			take_frame(client, got);
		else if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		else
			drop(client);
	}
}

/* ---- frames to clients ---- */

static int send_numbers(struct client *client, unsigned int kind, unsigned long first,
			unsigned int second)
{
	struct host_attach_numbers frame = {
		.kind = kind,
		.first = first > ~0U ? ~0U : first,
		.second = second,
	};

	return send_frame(client, &frame, sizeof(frame));
}

/* The next frame: whether there is more to send, and room for it. */
static int send_next(struct client *client)
{
	unsigned long length;

	if (client->role != client->told_role) {
		if (!send_numbers(client, HOST_ATTACH_ROLE, client->role,
				  count_clients(client->line)))
			return 0;
		client->told_role = client->role;
		return 1;
	}
	length = attach_copy(client->line, &client->position, out.data, sizeof(out.data),
			     &client->lost);
	if (client->lost) {
		if (!send_numbers(client, HOST_ATTACH_LOST, client->lost, 0))
			return 0;
		client->lost = 0;
	}
	if (!length)
		return 0;
	out.kind = HOST_ATTACH_OUTPUT;
	if (!send_frame(client, &out, sizeof(out.kind) + length))
		return 0;
	client->position += length;
	return 1;
}

static void watch(struct client *client)
{
	unsigned int wanted = (client->input_waits ? 0 : EPOLLIN) |
			      (client->is_full ? EPOLLOUT : 0);
	struct epoll_event event = { .events = wanted, .data.u32 = client - clients };

	if (client->fd < 0 || wanted == client->watched)
		return;
	epoll_ctl(events, EPOLL_CTL_MOD, client->fd, &event);
	client->watched = wanted;
}

/* Whether there is more to do than was done at once. */
static int serve(struct client *client)
{
	int left = AT_ONCE;

	if (client->line >= 0 && client->input_waits)
		receive(client);
	while (client->fd >= 0 && client->line >= 0 && !client->is_full && left &&
	       send_next(client))
		left--;
	if (client->fd >= 0 && client->line < 0 && now_ms() >= client->ask_until)
		fail(client, -ETIMEDOUT, "no request came");
	watch(client);
	return !left;
}

/* ---- the thread ---- */

static void take_event(const struct epoll_event *event)
{
	unsigned long long count;
	struct client *client;

	if (event->data.u32 == WAKE) {
		(void)!read(wake, &count, sizeof(count));
		return;
	}
	client = &clients[event->data.u32];
	if (client->fd < 0)
		return;
	if (event->events & EPOLLOUT)
		client->is_full = 0;
	if (event->events & EPOLLIN)
		receive(client);
	else if (event->events & (EPOLLHUP | EPOLLERR))
		drop(client);
}

/* ms until a client must have asked for something; -1: none is to. */
static int patience(void)
{
	long long first = -1, now = now_ms();

	for (int i = 0; i < HOST_ATTACH_CLIENTS; i++)
		if (clients[i].fd >= 0 && clients[i].line < 0 &&
		    (first < 0 || clients[i].ask_until < first))
			first = clients[i].ask_until;
	return first < 0 ? -1 : first > now ? (int)(first - now) : 0;
}

/* Whether there is more to do at once. */
static int wait_and_serve(int limit)
{
	struct epoll_event list[16];
	int count = epoll_wait(events, list, 16, limit), more = 0, some_wait = 0;

	if (count < 0 && errno != EINTR)
		host_fatal("the host refuses epoll_wait (%s): allow it, in a container by a "
			   "seccomp profile that has it", strerror(errno));
	for (int i = 0; i < count; i++)
		if (list[i].data.u32 == LISTENER)
			some_wait = 1;
		else
			take_event(&list[i]);
	/* Now no event is left that could be of an entry's last client. */
	if (some_wait)
		accept_some();
	/* Anything that comes from here on wakes again. */
	__atomic_store_n(&is_awake, 0, __ATOMIC_SEQ_CST);
	for (int i = 0; i < HOST_ATTACH_CLIENTS; i++)
		if (clients[i].fd >= 0)
			more |= serve(&clients[i]);
	return more;
}

static int some_are_behind(void)
{
	for (int i = 0; i < HOST_ATTACH_CLIENTS; i++)
		if (clients[i].fd >= 0 && clients[i].is_full)
			return 1;
	return 0;
}

static void finish(void)
{
	const unsigned int end = HOST_ATTACH_END;
	const unsigned long long one = 1;
	long long until = now_ms() + END_WITHIN, left;
	int more = 1;

	while ((more || some_are_behind()) && (left = until - now_ms()) > 0)
		more = wait_and_serve(more ? 0 : left);
	for (int i = 0; i < HOST_ATTACH_CLIENTS; i++) {
		if (clients[i].fd >= 0 && clients[i].line >= 0)
			send_frame(&clients[i], &end, sizeof(end));
		if (clients[i].fd >= 0)
			close_socket(clients[i].fd);
	}
	(void)!write(ended, &one, sizeof(one));
}

static void *serve_clients(void *unused)
{
	int more = 0;

	while (!__atomic_load_n(&ending, __ATOMIC_SEQ_CST))
		more = wait_and_serve(more ? 0 : patience());
	finish();
	return unused;
}

/* ---- the start and the end ---- */

/* In any context: see host_at_exit(). */
static void end_all(void)
{
	struct pollfd poll_for = { .fd = ended, .events = POLLIN };

	if (!__atomic_load_n(&has_clients, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&ending, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&is_awake, 0, __ATOMIC_SEQ_CST);
	attach_wake();
	poll(&poll_for, 1, END_WITHIN + END_WITHIN / 2);
}

static int watch_for_ever(int fd, unsigned int number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = number };

	return epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
}

/*
 * 0 or -errno. Without a thread there is no line about consoles: ./linux needs others and ends with
 * a line about them.
 */
static int open_all(void)
{
	listener = host_instance_socket("console", SOCK_SEQPACKET);
	if (listener < 0)
		return listener;
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	events = epoll_create1(EPOLL_CLOEXEC);
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (listen(listener, BACKLOG) || events < 0 || wake < 0 || ended < 0 ||
	    watch_for_ever(listener, LISTENER) || watch_for_ever(wake, WAKE))
		return -errno;
	if (host_thread(serve_clients, NULL))
		close(listener);
	return 0;
}

void host_attach_start(void)
{
	int error;

	if (!host_instance_is_there())
		return;
	for (int i = 0; i < HOST_ATTACH_CLIENTS; i++)
		clients[i].fd = -1;
	error = open_all();
	if (error)
		host_warn("no consoles for uml_console: %s", strerror(-error));
	else
		host_at_exit(end_all);
}
