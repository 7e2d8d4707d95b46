/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Channels: what a terminal line is joined to on the host. A kind of channel ("fd", "null", ...) is one file with one
 * struct channel_kind, registered by a console_initcall.
 */
#ifndef UM_CHANNEL_H
#define UM_CHANNEL_H

#include <linux/list.h>
#include <linux/termios.h>

enum { CHANNEL_IN = 1, CHANNEL_OUT = 2 };

struct channel {
	const struct channel_kind *kind;
	int handle;			/* the kind's own */
};

struct channel_kind {
	const char *name;
	const char *syntax;		/* for messages */
	/*
	 * Joins a new channel to the host. argument: what follows "name:", or NULL. directions: CHANNEL_ bits. Returns 0 or
	 * -errno with *why set to the reason, as the rest of a sentence. May sleep. NULL: a line without a channel.
	 */
	int (*join)(struct channel *channel, const char *argument, int directions, const char **why);
	/*
	 * Neither sleeps: -EAGAIN. 0 from read is the end of input. Other errors: the direction is dead.
	 */
	long (*read)(struct channel *channel, u8 *buffer, unsigned long length);
	long (*write)(struct channel *channel, const u8 *buffer, unsigned long length);
	/* Kernel messages, in any context: all of the text, whatever it takes. */
	void (*print)(struct channel *channel, const char *text, unsigned long length);
	/* One HOST_IRQ_CONSOLE when the direction is ready. */
	void (*watch)(struct channel *channel, int direction);
	/* Rows and columns of the window; 0 or -ENOTTY. */
	int (*size)(struct channel *channel, struct winsize *size);

	struct list_head list;
};

void channel_register(struct channel_kind *kind);

/*
 * channel_join - makes the channel that @spec ("fd:0") asks for
 * Returns it, NULL for a direction that is to have none, or ERR_PTR with *@why set to the reason. May sleep.
 */
struct channel *channel_join(const char *spec, int directions, const char **why);

#endif
