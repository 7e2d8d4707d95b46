// SPDX-License-Identifier: GPL-2.0-only
/* Sessions on listening sockets: a reader is a connection, and waits until a session is free. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "listener.h"
#include "socket_session.h"

struct socket_session {
	struct session session;
	const struct socket_kind *kind;
	struct listener *listener;
};

static void socket_look(struct session *session)
{
	struct socket_session *socket = (struct socket_session *)session;
	int fd = listener_next(socket->listener, session->state == SESSION_NONE);

	if (fd < 0)
		return;
	if (session_begin(session, fd, 0))
		listener_set_free(socket->listener, 1);
	close(fd);
}

static void socket_renewed(struct session *session)
{
	listener_set_free(((struct socket_session *)session)->listener, 1);
}

static const struct session_kind socket_session_kind = {
	.look = socket_look,
	.renewed = socket_renewed,
};

static void socket_describe(struct handle *handle, char *text, unsigned long size)
{
	snprintf(text, size, "%s", listener_name(((struct socket_session *)handle)->listener));
}

static void socket_close(struct handle *handle)
{
	struct socket_session *socket = (struct socket_session *)handle;
	char name[256];

	if (socket->listener) {
		socket_describe(handle, name, sizeof(name));
		if (socket->session.state == SESSION_NONE)
			listener_set_free(socket->listener, -1);
		if (listener_put(socket->listener) && socket->kind->closed)
			socket->kind->closed(name);
	}
	session_free(&socket->session);
}

static const struct handle_kind socket_handle_kind = {
	SESSION_HANDLE,
	.describe = socket_describe,
	.close = socket_close,
};

static struct listener *listen_there(const struct socket_kind *kind, const char *argument,
				     char *why)
{
	struct listener *listener;
	char name[256];
	int fd = kind->listen(argument, name, sizeof(name), why);

	if (fd < 0)
		return NULL;
	listener = listener_new(name, fd);
	if (listener)
		return listener;
	close(fd);
	if (kind->closed)
		kind->closed(name);
	handle_refuse(why, -EMFILE, "there are too many listening sockets");
	return NULL;
}

int socket_session_open(const struct socket_kind *kind, const char *shared, const char *argument,
			int flags, char *why)
{
	struct socket_session *socket = session_new(sizeof(*socket), &socket_handle_kind,
						    &socket_session_kind, flags, why);
	int number;

	if (!socket)
		return -ENOMEM;
	socket->kind = kind;
	socket->session.speaks_telnet = kind->speaks_telnet;
	socket->listener = listener_find(shared);
	if (!socket->listener)
		socket->listener = listen_there(kind, argument, why);
	if (!socket->listener) {
		session_free(&socket->session);
		return -EINVAL;
	}
	listener_set_free(socket->listener, 1);
	number = handle_add(&socket->session.handle, why);
	if (number < 0)
		socket_close(&socket->session.handle);
	else
		handle_raise();
	return number;
}
