// SPDX-License-Identifier: GPL-2.0-only
/*
 * The socket exec in the instance's folder, on which commands are run in the guest.
 *
 * It is of type SOCK_SEQPACKET, so that a frame is a packet: the host keeps frames apart, and a
 * client's mistake in one of them is no mistake in the next. Connections are in epoll once, edge-
 * triggered. A thread sleeps there, marks the connections on which something happened, and raises
 * the interrupt. It starts with the first connection.
 *
 * A connection's number is taken by host_exec_accept() and is free again as the last act of
 * host_exec_close(). Between the two it belongs to the caller. The marks alone are shared, and
 * atomic.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <host/exec.h>
#include <host/irq.h>
#include <host/mconsole.h>
#include <host/process.h>
#include <host/vcpu.h>

#include "os.h"
#include "instance.h"

#define WORD_BITS	(8 * sizeof(unsigned long))
#define WORDS		(HOST_EXEC_MOST / WORD_BITS)
#define BACKLOG		128

static int listener = -1, events = -1;
static int spare = -1;		/* closed to accept, and refuse, when no descriptor is left */
static int sockets[HOST_EXEC_MOST];
static unsigned long marks[WORDS];

void host_exec_init(void)
{
	if (!host_umid()[0])
		return;
	listener = host_instance_socket("exec", SOCK_SEQPACKET);
	if (listener < 0 || listen(listener, BACKLOG)) {
		host_warn("no socket for exec: %s", strerror(listener < 0 ? -listener : errno));
		listener = -1;
		return;
	}
	for (int i = 0; i < HOST_EXEC_MOST; i++)
		sockets[i] = -1;
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* ---- events ---- */

static void mark(unsigned int connection)
{
	__atomic_fetch_or(&marks[connection / WORD_BITS], 1UL << connection % WORD_BITS,
			  __ATOMIC_SEQ_CST);
}

static void *event_loop(void *unused)
{
	struct epoll_event list[32];

	for (;;) {
		int count = epoll_wait(events, list, 32, -1);

		if (count < 0 && errno != EINTR)
			host_fatal("the host refuses epoll_wait (%s): allow it, in a container by "
				   "a seccomp profile that has it", strerror(errno));
		for (int i = 0; i < count; i++)
			mark(list[i].data.u32);
		if (count > 0)
			host_raise(&host_vcpus[0], HOST_IRQ_EXEC);
	}
	return unused;
}

int host_exec_ready(void)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		unsigned long word = __atomic_load_n(&marks[i], __ATOMIC_SEQ_CST);
		unsigned int bit;

		if (!word)
			continue;
		bit = __builtin_ctzl(word);
		__atomic_fetch_and(&marks[i], ~(1UL << bit), __ATOMIC_SEQ_CST);
		return i * WORD_BITS + bit;
	}
	return -EAGAIN;
}

static int start_events(void)
{
	int error;

	if (events >= 0)
		return 0;
	events = epoll_create1(EPOLL_CLOEXEC);
	if (events < 0)
		return -errno;
	error = host_thread(event_loop, NULL);
	if (error) {
		close(events);
		events = -1;
	}
	return error;
}

/* ---- connections ---- */

static int free_number(void)
{
	for (int i = 0; i < HOST_EXEC_MOST; i++)
		if (__atomic_load_n(&sockets[i], __ATOMIC_ACQUIRE) < 0)
			return i;
	return -EBUSY;
}

static void refuse(int fd, int error)
{
	struct host_exec_failure frame = { .kind = HOST_EXEC_FAILURE, .error = -error };
	int length = snprintf(frame.text, sizeof(frame.text), "%s",
			      error == -EBUSY ? "too many commands run at once; try again" :
						host_error_text(error));

	send(fd, &frame, sizeof(frame) - sizeof(frame.text) + length, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

/* A number for the descriptor, or -errno. */
static int adopt(int fd)
{
	int number = free_number(), error = start_events();
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u32 = number,
	};

	if (number < 0 || error)
		return number < 0 ? number : error;
	__atomic_store_n(&sockets[number], fd, __ATOMIC_RELEASE);
	if (!epoll_ctl(events, EPOLL_CTL_ADD, fd, &event))
		return number;
	error = -errno;
	__atomic_store_n(&sockets[number], -1, __ATOMIC_RELEASE);
	return error;
}

/* No descriptor is left: without this, the listener would stay ready for ever. */
static void refuse_with_spare(void)
{
	int fd;

	if (spare < 0)
		return;
	close(spare);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		refuse(fd, -EMFILE);
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int host_exec_accept(void)
{
	while (listener >= 0) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		int number;

		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
			refuse_with_spare();
			host_watch(listener, 0, HOST_IRQ_EXEC);
			break;
		}
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			host_watch(listener, 0, HOST_IRQ_EXEC);
			break;
		}
		number = adopt(fd);
		if (number >= 0)
			return number;
		refuse(fd, number);
	}
	return -EAGAIN;
}

/* The caller's view of an error of a call on a connection. */
static int meaning_of(int error, const void *frame, unsigned long length)
{
	if (error == EFAULT)
		host_ram_prove(frame, length);
	if (error == EAGAIN || error == ENOBUFS || error == ENOMEM)
		return -EAGAIN;
	return -EPIPE;
}

long host_exec_receive(int connection, void *frame, unsigned long size)
{
	long got;

	do {
		got = recv(sockets[connection], frame, size, MSG_DONTWAIT | MSG_TRUNC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return meaning_of(errno, frame, size);
	if ((unsigned long)got > size)
		return -EMSGSIZE;
	return got ? got : -EPIPE;
}

int host_exec_send(int connection, const void *frame, unsigned long length)
{
	long put;

	do {
		put = send(sockets[connection], frame, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	return put < 0 ? meaning_of(errno, frame, length) : 0;
}

int host_exec_is_gone(int connection)
{
	struct pollfd poll_for = { .fd = sockets[connection], .events = POLLRDHUP };

	return poll(&poll_for, 1, 0) > 0;
}

/*
 * A socket that is closed with frames unread gives its client ECONNRESET in place of what was sent
 * last. So none comes any more, and those that have come are read.
 */
void host_exec_close(int connection)
{
	int fd = sockets[connection];
	char byte;

	epoll_ctl(events, EPOLL_CTL_DEL, fd, NULL);
	shutdown(fd, SHUT_RD);
	while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
	close(fd);
	__atomic_store_n(&sockets[connection], -1, __ATOMIC_RELEASE);
}
