// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors of any kind, read and written without ever waiting.
 *
 * O_NONBLOCK belongs to the open file, which the shell and other processes may share with us, so
 * it is never set there. Each descriptor gets the gentlest way that works:
 *   - a pipe or a terminal is opened again through /proc/self/fd, without waiting;
 *   - a socket has MSG_DONTWAIT;
 *   - any other one, and one that cannot be opened again, is asked with poll() first, and written
 *     in small pieces.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "os.h"
#include "stream.h"

#define PIECE 256	/* a terminal that polls as writable takes this much */

static int may_open_again(int fd, const struct stat *file)
{
	/* The master side of a pseudo terminal would be a new one. */
	return S_ISFIFO(file->st_mode) ||
	       (S_ISCHR(file->st_mode) && isatty(fd) && file->st_rdev != makedev(5, 2));
}

int stream_open(struct stream *stream, int fd, int access)
{
	int mode = fcntl(fd, F_GETFL);
	char path[32];
	struct stat file;

	stream->fd = -1;
	if (mode < 0 || fstat(fd, &file) < 0)
		return -errno;
	mode &= O_ACCMODE;
	if (mode != O_RDWR && mode != access)
		return -EBADF;
	if (may_open_again(fd, &file)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		stream->way = STREAM_NO_WAIT;
		stream->fd = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (stream->fd >= 0)
			return 0;
	}
	stream->way = S_ISSOCK(file.st_mode) ? STREAM_SOCKET :
		      S_ISREG(file.st_mode) ? STREAM_NO_WAIT : STREAM_POLL;
	stream->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return stream->fd < 0 ? -errno : 0;
}

int stream_take(struct stream *stream, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	stream->fd = fd;
	stream->way = STREAM_NO_WAIT;
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

void stream_close(struct stream *stream)
{
	if (stream->fd < 0)
		return;
	host_unwatch(stream->fd);
	close(stream->fd);
	stream->fd = -1;
}

static int stream_is_ready(const struct stream *stream, int events, int timeout)
{
	struct pollfd poll_fd = { .fd = stream->fd, .events = events };

	return poll(&poll_fd, 1, timeout) > 0;
}

void stream_wait(struct stream *stream, int timeout)
{
	stream_is_ready(stream, POLLOUT, timeout);
}

static int stream_error(const void *buffer, unsigned long length)
{
	int error = -errno;

	if (error == -EFAULT)
		host_ram_prove(buffer, length);
	return error;
}

long stream_read(struct stream *stream, void *buffer, unsigned long length)
{
	long got;

	if (stream->fd < 0)
		return -EBADF;
	do {
		if (stream->way == STREAM_POLL && !stream_is_ready(stream, POLLIN, 0))
			return -EAGAIN;
		if (stream->way == STREAM_SOCKET)
			got = recv(stream->fd, buffer, length, MSG_DONTWAIT);
		else
			got = read(stream->fd, buffer, length);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? stream_error(buffer, length) : got;
}

long stream_write(struct stream *stream, const void *buffer, unsigned long length)
{
	long put;

	if (stream->fd < 0)
		return length;
	do {
		if (stream->way == STREAM_POLL) {
			if (!stream_is_ready(stream, POLLOUT, 0))
				return -EAGAIN;
			if (length > PIECE)
				length = PIECE;
		}
		if (stream->way == STREAM_SOCKET)
			put = send(stream->fd, buffer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			put = write(stream->fd, buffer, length);
	} while (put < 0 && errno == EINTR);
	return put < 0 ? stream_error(buffer, length) : put;
}
