/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Channels: what a terminal line is joined to on the host. A kind of channel ("fd", "null", ...)
 * is one file with one struct channel_kind, registered by a console_initcall.
 */
#ifndef UM_CHANNEL_H
#define UM_CHANNEL_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/termios.h>

enum {
	CHANNEL_IN = 1,
	CHANNEL_OUT = 2,
	CHANNEL_AS_IS = 4,	/* a terminal of the host stays in the mode that it has */
};
enum { CHANNEL_LEFT = 1, CHANNEL_RESIZED = 2 };		/* events */
#define CHANNEL_WHY 256		/* size of the reason why a channel cannot be joined */

struct channel_request {
	const char *argument;	/* what follows "name:", or NULL */
	const char *line;	/* "con0" */
	int flags;		/* CHANNEL_IN, CHANNEL_OUT, CHANNEL_AS_IS */
	char *why;		/* for the reason, CHANNEL_WHY bytes */
};

struct channel {
	const struct channel_kind *kind;
	int handle;			/* the kind's own */
	/* Host calls for the channel do not overlap. Nothing else happens under this lock. */
	spinlock_t lock;
};

struct channel_kind {
	const char *name;
	const char *syntax;		/* for messages */
	/*
	 * Joins a new channel to the host. Returns 0 or -errno with the reason in request->why,
	 * as the rest of a sentence. May sleep, as leave() may. NULL: a line without a channel.
	 */
	int (*join)(struct channel *channel, const struct channel_request *request);
	void (*leave)(struct channel *channel);
	/* The guest opens the line. May sleep; NULL: nothing to do. */
	void (*open)(struct channel *channel);
	/*
	 * The rest is called under the channel's lock. Reading and writing never sleep: -EAGAIN.
	 * 0 from read is the end of input, -ENOTCONN the end of a reader after whom others may
	 * come. Other errors: the direction is dead.
	 */
	long (*read)(struct channel *channel, u8 *buffer, unsigned long length);
	long (*write)(struct channel *channel, const u8 *buffer, unsigned long length);
	/*
	 * Kernel messages, in any context: without waiting for a reader, but for a second at
	 * most.
	 */
	void (*print)(struct channel *channel, const char *text, unsigned long length);
	/* One HOST_IRQ_CONSOLE when the direction is ready. */
	void (*watch)(struct channel *channel, int direction);
	/*
	 * After each HOST_IRQ_CONSOLE: what is new, of CHANNEL_LEFT, which stays until renew() is
	 * called, and CHANNEL_RESIZED. Both NULL: the reader stays.
	 */
	int (*events)(struct channel *channel);
	void (*renew)(struct channel *channel);
	/* Rows and columns of the window; 0 or -ENOTTY. */
	int (*size)(struct channel *channel, struct winsize *size);
	/* The channel as an option would name it: "pts:/dev/pts/7". */
	void (*describe)(struct channel *channel, char *text, unsigned long size);

	struct list_head list;
};

void channel_register(struct channel_kind *kind);

/*
 * channel_join - makes the channel that @spec ("fd:0") asks for, for a line ("con0") Returns it,
 * NULL for a direction that is to have none, or ERR_PTR with the reason in @why, which has
 * CHANNEL_WHY bytes. May sleep.
 */
struct channel *channel_join(const char *spec, const char *line, int flags, char *why);
/* The last user of the channel, which may be NULL, is gone. May sleep. */
void channel_leave(struct channel *channel);

/* The operations, under the lock. A NULL channel swallows output and is never readable. */
long channel_read(struct channel *channel, u8 *buffer, unsigned long length);
long channel_write(struct channel *channel, const u8 *buffer, unsigned long length);
void channel_print(struct channel *channel, const char *text, unsigned long length);
void channel_watch(struct channel *channel, int direction);
int channel_events(struct channel *channel);
void channel_renew(struct channel *channel);
int channel_size(struct channel *channel, struct winsize *size);
void channel_describe(struct channel *channel, char *text, unsigned long size);

/* channel_handle.c: the operations of kinds whose channels are handles of the host. */
void channel_handle_leave(struct channel *channel);
long channel_handle_read(struct channel *channel, u8 *buffer, unsigned long length);
long channel_handle_write(struct channel *channel, const u8 *buffer, unsigned long length);
void channel_handle_print(struct channel *channel, const char *text, unsigned long length);
void channel_handle_watch(struct channel *channel, int direction);
int channel_handle_events(struct channel *channel);
void channel_handle_renew(struct channel *channel);
int channel_handle_size(struct channel *channel, struct winsize *size);
void channel_handle_describe(struct channel *channel, char *text, unsigned long size);
/* Takes a handle, or -errno, as the result of join(). */
int channel_handle_joined(struct channel *channel, int handle);
/* The flags of a request, in the host's words. */
int channel_handle_flags(const struct channel_request *request);

#define CHANNEL_OF_HANDLE		\
	.leave = channel_handle_leave,		\
	.read = channel_handle_read,		\
	.write = channel_handle_write,		\
	.print = channel_handle_print,		\
	.watch = channel_handle_watch,		\
	.events = channel_handle_events,	\
	.renew = channel_handle_renew,		\
	.size = channel_handle_size,		\
	.describe = channel_handle_describe

#endif
