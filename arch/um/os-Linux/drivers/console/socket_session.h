/* SPDX-License-Identifier: GPL-2.0-only */
/* Sessions on listening sockets: what port.c and unix_socket.c have in common. */
#ifndef SOCKET_SESSION_H
#define SOCKET_SESSION_H

struct socket_kind {
	int speaks_telnet;
	/*
	 * Makes a listening socket that does not block, and puts the channel that it is into name
	 * ("port:127.0.0.1:9000"), of size bytes. Returns it, or -errno with the reason in why.
	 */
	int (*listen)(const char *argument, char *name, unsigned long size, char *why);
	/* The listener of that name is closed. NULL: nothing to do. */
	void (*closed)(const char *name);
};

/* shared: the name under which other lines may have opened it already. A handle, or -errno. */
int socket_session_open(const struct socket_kind *kind, const char *shared, const char *argument,
			int flags, char *why);

#endif
