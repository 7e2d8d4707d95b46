// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control connections. Each asks for a port once, and its end is the port's end. Bytes that a
 * client sends after its request are read and dropped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "switch.h"
#include "tool.h"

#define NAME_TRIES	8

struct connection {
	struct source source;
	struct port *port;		/* NULL: not asked for yet */
	uid_t user;
	unsigned int length;		/* bytes of the request that have come */
	char bytes[REQUEST_LONGEST];
};

static struct source listener, shared = { .fd = -1 };
static int spare;			/* a descriptor to refuse connections with */
static unsigned int connections;

unsigned int connection_count(void)
{
	return connections;
}

static void connection_end(struct connection *connection)
{
	if (connection->port)
		port_remove(connection->port);
	connections--;
	forget(&connection->source);
}

/*
 * The switch may be allowed to send to sockets that the client is not: a path has to be that of a
 * socket of the client's user.
 */
static int may_use(const struct connection *connection, const struct sockaddr_un *address)
{
	char path[sizeof(address->sun_path) + 1] = "";
	struct stat file;

	if (!address->sun_path[0] || connection->user == 0 || connection->user == geteuid())
		return 1;
	memcpy(path, address->sun_path, sizeof(address->sun_path));
	return lstat(path, &file) == 0 && S_ISSOCK(file.st_mode) &&
	       file.st_uid == connection->user;
}

/*
 * Gives it an abstract name that cannot be guessed. Clients use all bytes of an address, so the
 * name is as long as there is room for. 0, or -errno.
 */
static int bind_somewhere(int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint64_t number;

	for (int tries = 0; tries < NAME_TRIES; tries++) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return -EIO;
		snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "uml_switch-%016llx",
			 (unsigned long long)number);
		if (bind(fd, (const void *)&address, sizeof(address)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			break;
	}
	return -errno;
}

/* A data socket that is connected to the client's; -errno. */
static int data_socket(const struct request *request)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = 1 << 20;
	int error;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	error = connect(fd, (const void *)&request->address, request->address_length) < 0 ?
			-errno : bind_somewhere(fd);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

static int answer(const struct connection *connection, int data)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length = sizeof(address);

	if (getsockname(data, (void *)&address, &length) < 0)
		return -errno;
	return send(connection->source.fd, &address, sizeof(address),
		    MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(address) ? 0 : -EPIPE;
}

/* 0, or -errno */
static int connection_join(struct connection *connection, const struct request *request)
{
	int data = may_use(connection, &request->address) ? data_socket(request) : -EPERM;
	int error = data < 0 ? data : 0;

	if (!error && request->version)
		error = answer(connection, data);
	if (!error)
		error = port_add(data, 0, &connection->port);
	if (error) {
		if (data >= 0)
			close(data);
		return error;
	}
	if (!request->version) {
		connection->port->address = request->address;
		connection->port->address_length = request->address_length;
	}
	return 0;
}

static void connection_ready(struct source *source, uint32_t events UNUSED)
{
	struct connection *connection = (struct connection *)source;
	char rest[4096], *to = connection->port ? rest : connection->bytes + connection->length;
	unsigned long room = connection->port ? sizeof(rest) :
						sizeof(connection->bytes) - connection->length;
	ssize_t length = recv(source->fd, to, room, MSG_DONTWAIT);
	struct request request;
	const char *why = "";
	int error;

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0) {
		connection_end(connection);
		return;
	}
	if (connection->port)
		return;
	connection->length += length;
	switch (request_parse(&request, connection->bytes, connection->length,
			      options.data != NULL, &why)) {
	case REQUEST_INCOMPLETE:
		return;
	case REQUEST_WRONG:
		say("A request is refused: %s", why);
		connection_end(connection);
		return;
	case REQUEST_WHOLE:
		break;
	}
	error = connection_join(connection, &request);
	if (error) {
		say("A port is refused: %s", error == -EPERM ?
		    "the data socket is not the client's" : strerror(-error));
		connection_end(connection);
	}
}

/*
 * Without a descriptor for one more connection, the one that waits is closed, so that its client
 * knows and the loop does not spin.
 */
static void refuse(void)
{
	int fd;

	close(spare);
	fd = accept(listener.fd, NULL, NULL);
	if (fd >= 0)
		close(fd);
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	say("A connection is refused: there are too many; raise the limit with 'ulimit -n'");
}

static void listener_ready(struct source *source, uint32_t events UNUSED)
{
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *connection;
	struct ucred client = { .uid = -1 };
	socklen_t length = sizeof(client);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			refuse();
		return;
	}
	connection = calloc(1, sizeof(*connection));
	if (!connection || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client, &length) < 0) {
		close(fd);
		free(connection);
		return;
	}
	connection->source = (struct source){ .fd = fd, .ready = connection_ready };
	connection->user = client.uid;
	if (watch(&connection->source, EPOLLIN) < 0) {
		close(fd);
		free(connection);
		return;
	}
	connections++;
	say("New connection");
}

static void shared_ready(struct source *source, uint32_t events UNUSED)
{
	ports_receive_shared(source->fd);
}

/* The socket that systemd listens at for us: sd_listen_fds(3). Or -1. */
static int inherited_socket(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	int yes = pid && count && atoi(pid) == getpid() && atoi(count) >= 1, listens = 0;
	socklen_t length = sizeof(listens);

	if (!yes)
		return -1;
	if (getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0 || !listens)
		die("descriptor 3, which LISTEN_FDS names, is no socket that listens");
	fcntl(3, F_SETFD, FD_CLOEXEC);
	fcntl(3, F_SETFL, fcntl(3, F_GETFL) | O_NONBLOCK);
	return 3;
}

void control_init(void)
{
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	listener = (struct source){ .fd = inherited_socket(), .ready = listener_ready };
	if (listener.fd < 0)
		listener.fd = socket_bound(options.control, SOCK_STREAM, options.mode,
					   options.group);
	shared.ready = shared_ready;
	if (options.data)
		shared.fd = socket_bound(options.data, SOCK_DGRAM, options.mode, options.group);
}

void control_serve(void)
{
	int error;

	sockets_serve(listener.fd);
	error = watch(&listener, EPOLLIN);
	if (!error && options.data)
		error = watch(&shared, EPOLLIN);
	if (error)
		die("the sockets cannot be watched: %s", strerror(-error));
}
