/* SPDX-License-Identifier: GPL-2.0-only */
/* Descriptors of any kind, read and written without ever waiting. */
#ifndef STREAM_H
#define STREAM_H

struct stream {
	int fd;			/* -1: no such direction */
	enum { STREAM_NO_WAIT, STREAM_SOCKET, STREAM_POLL } way;
};

/*
 * Opens a stream on a copy of fd, whose flags stay as they are. access: O_RDONLY or O_WRONLY,
 * which fd must allow. 0 or -errno.
 */
int stream_open(struct stream *stream, int fd, int access);
/* The same for a descriptor that is ours alone: pty, socket. It becomes the stream's. */
int stream_take(struct stream *stream, int fd);
void stream_close(struct stream *stream);

/* -EAGAIN: not now. Guest RAM that the host cannot give ends ./linux here. */
long stream_read(struct stream *stream, void *buffer, unsigned long length);
long stream_write(struct stream *stream, const void *buffer, unsigned long length);
/* Waits until it can be written, at most so many milliseconds. */
void stream_wait(struct stream *stream, int timeout);

#endif
