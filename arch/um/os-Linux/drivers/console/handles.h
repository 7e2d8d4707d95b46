/* SPDX-License-Identifier: GPL-2.0-only */
/* Handles of terminal lines: what their kinds offer to handles.c, which serves the contract. */
#ifndef HANDLES_H
#define HANDLES_H

#include <host/console.h>

#include "outbox.h"
#include "stream.h"

struct handle;

struct handle_kind {
	long (*read)(struct handle *handle, void *buffer, unsigned long length);
	/*
	 * To a reader who is there. -EAGAIN: not now, and the descriptor is watched. Other
	 * errors: the direction is dead.
	 */
	long (*send)(struct handle *handle, const void *buffer, unsigned long length);
	/* Sends what the kind itself holds back; 0: not all, and it is watched. NULL: nothing. */
	int (*flush)(struct handle *handle);
	void (*watch)(struct handle *handle, int write);
	int (*events)(struct handle *handle);		/* NULL: there are none */
	void (*renew)(struct handle *handle);		/* NULL: the reader never leaves */
	void (*show)(struct handle *handle);		/* NULL: nothing to do */
	int (*size)(struct handle *handle, unsigned short *rows, unsigned short *columns);
	int (*needs_returns)(struct handle *handle);	/* before newlines of kernel messages */
	void (*describe)(struct handle *handle, char *text, unsigned long size);
	void (*close)(struct handle *handle);		/* frees it */
};

/* The first member of what a kind has for each handle. */
struct handle {
	const struct handle_kind *kind;
	int attached;			/* a reader is there */
	struct stream out;		/* where the output goes then */
	struct outbox outbox;		/* goes before what is written next */
	int patience;			/* ms that a reader may still be waited for */
};

/*
 * Makes a handle of size bytes, all zero, with no descriptors and no reader. handle_add() enters
 * it into the table and returns its number. Both may fail: NULL, -errno, with the reason in why.
 */
void *handle_new(unsigned long size, const struct handle_kind *kind, char *why);
int handle_add(struct handle *handle, char *why);
/* Frees what handle_new() made, where nothing else was opened yet. */
void handle_free(struct handle *handle);
/* Puts a formatted reason in why, and returns error. */
int __attribute__((format(printf, 3, 4))) handle_refuse(char *why, int error, const char *format,
							 ...);
/* HOST_IRQ_CONSOLE, when the descriptor is ready. */
void handle_watch(int fd, int write);
/* The handles are to be looked at. */
void handle_raise(void);

#endif
