/* SPDX-License-Identifier: GPL-2.0-only */
/* Handles whose readers come and go: ptys, sockets, terminal emulators. */
#ifndef SESSION_H
#define SESSION_H

#include "handles.h"
#include "telnet.h"

struct session;

struct session_kind {
	/*
	 * After each HOST_IRQ_CONSOLE: calls session_begin() if a reader is there and none was.
	 */
	void (*look)(struct session *session);
	/* The next reader may come. NULL: nothing to do. */
	void (*renewed)(struct session *session);
	/* The reader has left; its streams are still open. NULL: nothing to do. */
	void (*leave)(struct session *session);
	/* Asks for the window's size; 0 or -ENOTTY. NULL: only telnet knows it. */
	int (*size)(struct session *session, unsigned short *rows, unsigned short *columns);
};

struct session {
	struct handle handle;		/* out: a duplicate of in, so that both can be watched */
	const struct session_kind *kind;
	enum { SESSION_NONE, SESSION_JOINED, SESSION_LEFT } state;
	struct stream in;
	int discards;			/* the line has no input */
	int speaks_telnet;
	struct telnet telnet;
	int has_size;
	unsigned short rows, columns;	/* as they were seen last */
	int resized;			/* that was not reported yet */
	unsigned int inbox_start, inbox_end;
	unsigned int wire_length;
	unsigned char inbox[4096];	/* read ahead, so that a reader's end is noticed */
	unsigned char wire[1088];	/* telnet: encoded, not sent yet */
};

/* Makes a session as handle_new() does, size bytes long. */
void *session_new(unsigned long size, const struct handle_kind *handle_kind,
		  const struct session_kind *kind, int flags, char *why);
/*
 * A reader has come: fd is a socket, or with is_shared set any descriptor. fd stays the caller's.
 * On -errno it cannot be let in now. The next interrupt looks again, and none is raised: while the
 * host has no descriptors, there would be no end of them.
 */
int session_begin(struct session *session, int fd, int is_shared);
void session_end(struct session *session);
/* Ends it, and frees the session. */
void session_free(struct session *session);

/* For struct handle_kind. */
long session_read(struct handle *handle, void *buffer, unsigned long length);
long session_send(struct handle *handle, const void *buffer, unsigned long length);
int session_flush(struct handle *handle);
void session_watch(struct handle *handle, int write);
int session_events(struct handle *handle);
void session_renew(struct handle *handle);
int session_size(struct handle *handle, unsigned short *rows, unsigned short *columns);
int session_needs_returns(struct handle *handle);

#define SESSION_HANDLE				\
	.read = session_read,			\
	.send = session_send,			\
	.flush = session_flush,			\
	.watch = session_watch,			\
	.events = session_events,		\
	.renew = session_renew,			\
	.size = session_size,			\
	.needs_returns = session_needs_returns

#endif
