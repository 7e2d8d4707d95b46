/* SPDX-License-Identifier: GPL-2.0-only */
/* libmconsole: what its files have in common. */
#ifndef MCONSOLE_PRIVATE_H
#define MCONSOLE_PRIVATE_H

#include <stdint.h>

#include <mconsole.h>

#define MCONSOLE_MAGIC		0xcafebabe
#define MCONSOLE_VERSION	2
#define MCONSOLE_ROOM		(MCONSOLE_LONGEST + 1)

/*
 * Connects the datagram socket @fd to the socket at @path, which may have more bytes than an
 * address has room for. Returns 0, or -1 with errno set.
 */
int mconsole_connect(int fd, const char *path);
/* A datagram socket that is connected to @path, or -1 with errno set. */
int mconsole_connected(const char *path);

/* The time of CLOCK_MONOTONIC in milliseconds. */
int64_t mconsole_now(void);
/* How many milliseconds are left of @limit, which began at @start: 0 is none; or -1: no limit. */
int mconsole_left(int limit, int64_t start);

#endif
