/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines on the socket console, for the thread that serves its clients (attach_socket.c), which
 * alone calls these functions. They do not sleep.
 */
#ifndef ATTACH_LINES_H
#define ATTACH_LINES_H

#include <host/attach.h>

/* The line of that name; -ENOENT: there is none, -ENODEV: the guest cannot open it. */
int attach_find(const char *name);
/* The list's entry of a line, but for its kind; not 0: it is not to be listed. */
int attach_look(int line, struct host_attach_entry *entry);

/* One client more; the position at which it begins to read. */
unsigned long attach_join(int line);
void attach_leave(int line);
/*
 * Copies output at *@position, of at most so many bytes. If that is not kept any more, *@position
 * is moved on first, and *@lost counts what was passed over.
 */
unsigned long attach_copy(int line, unsigned long *position, void *to, unsigned long room,
			  unsigned long *lost);

/*
 * Whether a frame's input has room; where it has not, attach_wake() will be called. The input of
 * the writer is put there.
 */
int attach_has_room(int line);
void attach_type(int line, const void *bytes, unsigned long length);
/* Of the writer's window; 0: it has none. */
void attach_set_size(int line, unsigned short rows, unsigned short columns);

/* attach_socket.c: there may be something to do. Any thread; does not sleep. */
void attach_wake(void);

#endif
