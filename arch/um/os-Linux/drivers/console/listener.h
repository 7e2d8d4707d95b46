/* SPDX-License-Identifier: GPL-2.0-only */
/* Listening sockets that sessions share; each connection takes the next free one. */
#ifndef LISTENER_H
#define LISTENER_H

#include "session.h"

struct listener;

/*
 * The listener of that name ("port:127.0.0.1:9000"), with one more user, or NULL: make the
 * socket, and then call listener_new(), which takes it. Returns NULL if there are too many.
 */
struct listener *listener_find(const char *name);
struct listener *listener_new(const char *name, int fd);
const char *listener_name(const struct listener *listener);
/* One user less; returns 1 for the last one: the listener is closed then. */
int listener_put(struct listener *listener);
/*
 * A user has, or has no longer, room for a connection: those who wait get a line that says so
 * when all are in use.
 */
void listener_set_free(struct listener *listener, int change);
/*
 * Serves those who wait, and returns the next connection if one is wanted and waits; -1: none.
 * HOST_IRQ_CONSOLE says when to ask again.
 */
int listener_next(struct listener *listener, int wanted);

#endif
