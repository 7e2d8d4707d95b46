// SPDX-License-Identifier: GPL-2.0-only
/*
 * libmconsole: notifications, which come to a socket of the listener's.
 *
 * A packet begins with the magic number, the version, its kind and a length. An older kernel's
 * packet of a hang on 64-bit hosts has a magic number of 8 bytes, and all the rest 4 bytes later.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mconsole_private.h"

struct mconsole_listener {
	int fd;
	struct stat file;
	struct sockaddr_un address;
};

static int code_of(int error)
{
	errno = error;
	return error == EADDRINUSE ? MCONSOLE_IN_USE : MCONSOLE_SYSTEM;
}

/* Removes a socket that no program serves. */
static int make_room(const char *path)
{
	struct stat status;
	int fd;

	if (lstat(path, &status))
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(status.st_mode))
		return EEXIST;
	fd = mconsole_connected(path);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || errno != ECONNREFUSED)
		return EADDRINUSE;
	return unlink(path) ? errno : 0;
}

int mconsole_listen(const char *path, struct mconsole_listener **result)
{
	struct mconsole_listener *listener;
	int error;

	*result = NULL;
	if (strlen(path) >= sizeof(listener->address.sun_path))
		return code_of(ENAMETOOLONG);
	error = make_room(path);
	if (error)
		return code_of(error);
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return MCONSOLE_SYSTEM;
	listener->address.sun_family = AF_UNIX;
	strcpy(listener->address.sun_path, path);
	listener->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode of a socket that has no name yet becomes its file's. */
	if (listener->fd < 0 || fchmod(listener->fd, 0600) ||
	    bind(listener->fd, (void *)&listener->address, sizeof(listener->address)) ||
	    lstat(path, &listener->file)) {
		error = errno;
		if (listener->fd >= 0)
			close(listener->fd);
		free(listener);
		return code_of(error);
	}
	*result = listener;
	return MCONSOLE_OK;
}

void mconsole_unlisten(struct mconsole_listener *listener)
{
	struct stat status;

	if (!listener)
		return;
	/* Not the socket of a listener that came later. */
	if (!lstat(listener->address.sun_path, &status) &&
	    status.st_ino == listener->file.st_ino && status.st_dev == listener->file.st_dev)
		unlink(listener->address.sun_path);
	close(listener->fd);
	free(listener);
}

int mconsole_listener_fd(const struct mconsole_listener *listener)
{
	return listener->fd;
}

/* Whether @packet, of @got bytes, is a notification. */
static int take_apart(const char *packet, size_t got, struct mconsole_notification *notification)
{
	uint32_t head[5] = { 0 }, *field = head;
	const size_t four = sizeof(*head);
	size_t length, begin;

	memcpy(head, packet, got < sizeof(head) ? got : sizeof(head));
	if (!head[1] && head[2] == MCONSOLE_VERSION)
		field++;
	begin = (field - head + 4) * four;
	if (head[0] != MCONSOLE_MAGIC || field[1] != MCONSOLE_VERSION || got < begin)
		return 0;
	length = got - begin;
	if (field[3] < length)
		length = field[3];
	if (length > MCONSOLE_LONGEST + 1)
		length = MCONSOLE_LONGEST + 1;
	if (length && (!packet[begin + length - 1] || length > MCONSOLE_LONGEST))
		length--;
	notification->kind = field[2];
	notification->length = length;
	memcpy(notification->text, packet + begin, length);
	notification->text[length] = '\0';
	return 1;
}

int mconsole_next(struct mconsole_listener *listener, int limit,
		  struct mconsole_notification *notification)
{
	int64_t start = mconsole_now();
	char packet[1024];

	for (;;) {
		struct pollfd poll_for = { .fd = listener->fd, .events = POLLIN };
		ssize_t got = recv(listener->fd, packet, sizeof(packet), 0);
		int left;

		if (got >= 0 && take_apart(packet, got, notification))
			return MCONSOLE_OK;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return MCONSOLE_SYSTEM;
		left = mconsole_left(limit, start);
		if (got < 0 && !left)
			return MCONSOLE_TIMEOUT;
		if (got < 0 && poll(&poll_for, 1, left) < 0 && errno != EINTR)
			return MCONSOLE_SYSTEM;
	}
}
