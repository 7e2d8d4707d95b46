/* SPDX-License-Identifier: GPL-2.0-only */
/* The sockets in an instance's folder next to the management console's. */
#ifndef INSTANCE_SOCKET_H
#define INSTANCE_SOCKET_H

/*
 * Connects to the socket @entry, of type SOCK_SEQPACKET, of the instance that mconsole_find() finds
 * for @name and @uml_dir. A descriptor, or a code of libmconsole. MCONSOLE_SYSTEM with errno
 * EOPNOTSUPP: the kernel of that instance has no such socket.
 */
int instance_connect(const char *name, const char *uml_dir, const char *entry);

#endif
