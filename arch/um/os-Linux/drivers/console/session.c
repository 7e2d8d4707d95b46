// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles whose readers come and go.
 *
 * Without a reader, output is kept in the outbox (handles.c). Input is read ahead into the inbox,
 * whether or not the guest has the line open: so telnet's questions are answered, and the end of
 * a reader is noticed. Output that was kept for a reader who left is dropped, and until the guest
 * has hung up (session_renew()) no other one is let in: each finds a fresh line.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <host/process.h>

#include "session.h"

void *session_new(unsigned long size, const struct handle_kind *handle_kind,
		  const struct session_kind *kind, int flags, char *why)
{
	struct session *session = handle_new(size, handle_kind, why);

	if (!session)
		return NULL;
	session->kind = kind;
	session->in.fd = -1;
	session->discards = !(flags & HOST_CONSOLE_IN);
	return session;
}

/* Two descriptors, so that both can be watched. */
static int open_streams(struct session *session, int fd, int is_shared)
{
	struct stream *streams[] = { &session->in, &session->handle.out };
	static const int access[] = { O_RDONLY, O_WRONLY };
	int error = 0;

	for (int i = 0; i < 2 && !error; i++) {
		int copy = is_shared ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);

		error = is_shared ? stream_open(streams[i], fd, access[i]) :
			copy < 0 ? -errno : stream_take(streams[i], copy);
	}
	return error;
}

int session_begin(struct session *session, int fd, int is_shared)
{
	static int has_failed;
	int error = open_streams(session, fd, is_shared);

	if (error) {
		stream_close(&session->in);
		stream_close(&session->handle.out);
		if (!has_failed)
			host_warn("a reader of a line cannot be let in: %s", strerror(-error));
		has_failed = 1;
		return error;
	}
	session->inbox_start = session->inbox_end = session->wire_length = 0;
	session->state = SESSION_JOINED;
	if (session->speaks_telnet) {
		telnet_init(&session->telnet);
		session->has_size = 0;
	}
	session->handle.attached = 1;
	session->resized = 1;
	return 0;
}

void session_end(struct session *session)
{
	if (session->state != SESSION_JOINED)
		return;
	session->state = SESSION_LEFT;
	session->handle.attached = 0;
	if (session->kind->leave)
		session->kind->leave(session);
	stream_close(&session->in);
	stream_close(&session->handle.out);
	session->wire_length = 0;
	outbox_remove(&session->handle.outbox, outbox_length(&session->handle.outbox));
	handle_raise();
}

void session_free(struct session *session)
{
	session_end(session);
	handle_free(&session->handle);
}

/* ---- output ---- */

/* All of the wire, or as much as the reader takes; 1: it is empty. */
int session_flush(struct handle *handle)
{
	struct session *session = (struct session *)handle;
	struct telnet *telnet = &session->telnet;
	long put;

	if (session->state != SESSION_JOINED || !session->speaks_telnet)
		return 1;
	if (telnet->reply_length + session->wire_length <= sizeof(session->wire)) {
		memcpy(session->wire + session->wire_length, telnet->replies, telnet->reply_length);
		session->wire_length += telnet->reply_length;
		telnet->reply_length = 0;
	}
	while (session->wire_length) {
		put = stream_write(&handle->out, session->wire, session->wire_length);
		if (put == -EAGAIN || put == 0) {
			handle_watch(handle->out.fd, 1);
			return 0;
		}
		if (put < 0) {
			session_end(session);
			return 1;
		}
		session->wire_length -= put;
		memmove(session->wire, session->wire + put, session->wire_length);
	}
	return 1;
}

static long send_telnet(struct session *session, const void *buffer, unsigned long length)
{
	unsigned long most = (sizeof(session->wire) - 64) / 2;

	if (!session_flush(&session->handle))
		return -EAGAIN;
	if (session->state != SESSION_JOINED)
		return length;
	if (length > most)
		length = most;
	session->wire_length = telnet_encode(&session->telnet, buffer, length, session->wire);
	session_flush(&session->handle);
	return length;
}

long session_send(struct handle *handle, const void *buffer, unsigned long length)
{
	struct session *session = (struct session *)handle;
	long put;

	if (session->speaks_telnet)
		return send_telnet(session, buffer, length);
	put = stream_write(&handle->out, buffer, length);
	if (put == -EAGAIN || put == 0) {
		handle_watch(handle->out.fd, 1);
		return -EAGAIN;
	}
	if (put < 0)
		session_end(session);
	return put;
}

int session_needs_returns(struct handle *handle)
{
	return 1;
}

/* ---- input ---- */

static void look_at_size(struct session *session)
{
	unsigned short rows, columns;

	if (session->speaks_telnet) {
		if (!session->telnet.resized)
			return;
		rows = session->telnet.rows;
		columns = session->telnet.columns;
		session->telnet.resized = 0;
	} else if (!session->kind->size || session->kind->size(session, &rows, &columns)) {
		return;
	}
	if (session->has_size && rows == session->rows && columns == session->columns)
		return;
	session->rows = rows;
	session->columns = columns;
	session->has_size = session->resized = 1;
}

/* Reads until there is no more, which is watched for then, or the inbox is full. */
static void fill(struct session *session)
{
	if (session->inbox_start == session->inbox_end)
		session->inbox_start = session->inbox_end = 0;
	while (session->inbox_end < sizeof(session->inbox)) {
		unsigned char *at = session->inbox + session->inbox_end;
		long got = stream_read(&session->in, at,
				       sizeof(session->inbox) - session->inbox_end);

		if (got == -EAGAIN) {
			handle_watch(session->in.fd, 0);
			break;
		}
		if (got <= 0) {
			session_end(session);
			break;
		}
		if (session->speaks_telnet)
			got = telnet_decode(&session->telnet, at, got, at);
		if (!session->discards)
			session->inbox_end += got;
	}
	session_flush(&session->handle);	/* telnet's replies */
}

long session_read(struct handle *handle, void *buffer, unsigned long length)
{
	struct session *session = (struct session *)handle;
	unsigned long there;

	if (session->inbox_start == session->inbox_end && session->state == SESSION_JOINED)
		fill(session);
	there = session->inbox_end - session->inbox_start;
	if (!there)
		return session->state == SESSION_LEFT ? -ENOTCONN : -EAGAIN;
	if (length > there)
		length = there;
	memcpy(buffer, session->inbox + session->inbox_start, length);
	session->inbox_start += length;
	return length;
}

void session_watch(struct handle *handle, int write)
{
	struct session *session = (struct session *)handle;

	if (session->state != SESSION_JOINED)
		return;		/* an arrival is watched for */
	if (write)
		handle_watch(handle->out.fd, 1);
	else if (session->inbox_start != session->inbox_end)
		handle_raise();
	else
		handle_watch(session->in.fd, 0);
}

/* ---- coming and going ---- */

int session_events(struct handle *handle)
{
	struct session *session = (struct session *)handle;
	int events = 0;

	session->kind->look(session);
	if (session->state == SESSION_JOINED)
		fill(session);
	if (session->state == SESSION_JOINED)
		look_at_size(session);
	if (session->resized)
		events |= HOST_CONSOLE_RESIZED;
	if (session->state == SESSION_LEFT)
		events |= HOST_CONSOLE_LEFT;
	session->resized = 0;
	return events;
}

void session_renew(struct handle *handle)
{
	struct session *session = (struct session *)handle;

	if (session->state != SESSION_LEFT)
		return;
	session->state = SESSION_NONE;
	session->inbox_start = session->inbox_end = 0;
	if (session->kind->renewed)
		session->kind->renewed(session);
	handle_raise();
}

int session_size(struct handle *handle, unsigned short *rows, unsigned short *columns)
{
	struct session *session = (struct session *)handle;

	if (session->state != SESSION_JOINED || !session->has_size)
		return -ENOTTY;
	*rows = session->rows;
	*columns = session->columns;
	return 0;
}
