// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listening sockets that sessions share.
 *
 * Connections are accepted whether or not a session is free, and wait in a queue. One for which
 * there is none is sent a line that says so. Those that were closed meanwhile are left out. The
 * lock is a host lock: virtual CPUs may serve several sessions of one listener at once. At the
 * end of ./linux it is not needed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listener.h"
#include "os.h"

#define LISTENERS	80
#define WAITING		32	/* further ones wait in the host's backlog */

static struct listener {
	char *name;		/* NULL: not in use */
	int fd;
	int users, room;	/* sessions, and those without a connection */
	int waiting[WAITING], told[WAITING];
	int count;
} listeners[LISTENERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct listener *listener_find(const char *name)
{
	for (int i = 0; i < LISTENERS; i++) {
		if (!listeners[i].name || strcmp(listeners[i].name, name))
			continue;
		listeners[i].users++;
		return &listeners[i];
	}
	return NULL;
}

struct listener *listener_new(const char *name, int fd)
{
	for (int i = 0; i < LISTENERS; i++) {
		if (listeners[i].name)
			continue;
		listeners[i] = (struct listener) { .name = strdup(name), .fd = fd, .users = 1 };
		return listeners[i].name ? &listeners[i] : NULL;
	}
	return NULL;
}

const char *listener_name(const struct listener *listener)
{
	return listener->name;
}

int listener_put(struct listener *listener)
{
	if (--listener->users)
		return 0;
	for (int i = 0; i < listener->count; i++)
		close(listener->waiting[i]);
	host_unwatch(listener->fd);
	close(listener->fd);
	free(listener->name);
	listener->name = NULL;
	return 1;
}

void listener_set_free(struct listener *listener, int change)
{
	pthread_mutex_lock(&lock);
	listener->room += change;
	pthread_mutex_unlock(&lock);
}

/* ---- the queue; with the lock held ---- */

static int is_closed(int fd)
{
	char byte;
	long got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

static void take_out(struct listener *listener, int index)
{
	listener->count--;
	for (int i = index; i < listener->count; i++) {
		listener->waiting[i] = listener->waiting[i + 1];
		listener->told[i] = listener->told[i + 1];
	}
}

static void forget_closed(struct listener *listener)
{
	for (int i = listener->count - 1; i >= 0; i--) {
		if (!is_closed(listener->waiting[i]))
			continue;
		close(listener->waiting[i]);
		take_out(listener, i);
	}
}

static void accept_all(struct listener *listener)
{
	while (listener->count < WAITING) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0 && errno == EAGAIN)
			handle_watch(listener->fd, 0);
		if (fd < 0)
			return;
		listener->told[listener->count] = 0;
		listener->waiting[listener->count++] = fd;
	}
}

/* Without waiting: a client that has no room for the line does without. */
static void tell(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void tell_those_without(struct listener *listener)
{
	for (int i = listener->room > 0 ? listener->room : 0; i < listener->count; i++) {
		if (!listener->told[i])
			tell(listener->waiting[i],
			     "All lines are in use. Please wait: the next free one is yours.\r\n");
		listener->told[i] = 1;
	}
}

int listener_next(struct listener *listener, int wanted)
{
	int fd = -1;

	pthread_mutex_lock(&lock);
	forget_closed(listener);
	accept_all(listener);
	if (wanted && listener->count) {
		fd = listener->waiting[0];
		if (listener->told[0])
			tell(fd, "Here it is.\r\n");
		take_out(listener, 0);
		listener->room--;
	}
	tell_those_without(listener);
	pthread_mutex_unlock(&lock);
	return fd;
}
