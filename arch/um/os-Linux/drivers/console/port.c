// SPDX-License-Identifier: GPL-2.0-only
/*
 * The channel port:[<address>:]<port>: a TCP port that speaks telnet. Without an address it can
 * be reached from this machine alone. Port 0 is one that the host chooses, and not shared.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handles.h"
#include "socket_session.h"

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} socket;
	socklen_t length;
};

/* "127.0.0.1", "localhost", "::1" or "[::1]" */
static int parse_host(struct address *address, char *text)
{
	unsigned long length = strlen(text);

	if (!strcmp(text, "localhost"))
		text = "127.0.0.1";
	if (text[0] == '[' && text[length - 1] == ']') {
		text[length - 1] = '\0';
		text++;
	}
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &address->socket.v4.sin_addr) == 1) {
		address->socket.any.sa_family = AF_INET;
		address->length = sizeof(address->socket.v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &address->socket.v6.sin6_addr) == 1) {
		address->socket.any.sa_family = AF_INET6;
		address->length = sizeof(address->socket.v6);
		return 0;
	}
	return -EINVAL;
}

static int parse(struct address *address, const char *argument)
{
	char host[64] = "127.0.0.1", *end;
	const char *colon = strrchr(argument, ':'), *port = colon ? colon + 1 : argument;
	unsigned long number = strtoul(port, &end, 10);

	if (*port < '0' || *port > '9' || *end || number > 65535)
		return -EINVAL;
	if (colon && (colon == argument || colon - argument >= (long)sizeof(host)))
		return -EINVAL;
	if (colon)
		snprintf(host, sizeof(host), "%.*s", (int)(colon - argument), argument);
	if (parse_host(address, host))
		return -EINVAL;
	/* At the same place for both families. */
	address->socket.v4.sin_port = htons(number);
	return 0;
}

static void name_of(const struct address *address, char *name, unsigned long size)
{
	char host[INET6_ADDRSTRLEN] = "";
	int is_v6 = address->socket.any.sa_family == AF_INET6;

	inet_ntop(address->socket.any.sa_family,
		  is_v6 ? (void *)&address->socket.v6.sin6_addr : &address->socket.v4.sin_addr,
		  host, sizeof(host));
	snprintf(name, size, is_v6 ? "port:[%s]:%u" : "port:%s:%u", host,
		 ntohs(address->socket.v4.sin_port));
}

static int port_listen(const char *argument, char *name, unsigned long size, char *why)
{
	struct address address;
	int on = 1, fd, error;

	if (parse(&address, argument))
		return handle_refuse(why, -EINVAL,
				     "it is not [<address>:]<port>, such as port:9000");
	fd = socket(address.socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return handle_refuse(why, -errno, "the host refuses a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));	/* of connections, too */
	if (bind(fd, &address.socket.any, address.length) || listen(fd, 32) ||
	    getsockname(fd, &address.socket.any, &address.length)) {
		error = errno;
		close(fd);
		return handle_refuse(why, -error, "cannot listen there: %s; choose another port",
				     strerror(error));
	}
	name_of(&address, name, size);
	return fd;
}

static const struct socket_kind port_kind = {
	.speaks_telnet = 1,
	.listen = port_listen,
};

int host_console_open_port(const char *argument, int flags, char *why)
{
	struct address address;
	char name[64] = "";

	if (!parse(&address, argument) && address.socket.v4.sin_port)
		name_of(&address, name, sizeof(name));
	return socket_session_open(&port_kind, name, argument, flags, why);
}
