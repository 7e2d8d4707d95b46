/* SPDX-License-Identifier: GPL-2.0-only */
/* How xterm.c and the relay that it has a terminal emulator start find each other. */
#ifndef RELAY_H
#define RELAY_H

#include <sys/socket.h>
#include <sys/un.h>

#define RELAY_OPTION "--terminal-relay"
#define RELAY_NAME_MAX 64

/* The address of that name, in the host's abstract name space; returns its length. */
socklen_t relay_address(struct sockaddr_un *address, const char *name);

#endif
