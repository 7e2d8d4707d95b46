/* SPDX-License-Identifier: GPL-2.0-only */
/* Terminal lines: a Linux tty on one end, a channel for each direction on the other. */
#ifndef UM_LINE_H
#define UM_LINE_H

#include <linux/seq_buf.h>
#include <linux/tty_port.h>
#include <linux/workqueue.h>

struct channel;
struct tty_driver;

/*
 * Channels change only with port.mutex, lock and the console lock held, while no process has the
 * line open and none of its work is pending. So each of them keeps the channels as they are.
 */
struct line {
	struct tty_port port;
	struct channel *in, *out;	/* the same one, or NULL for none */
	int attach;			/* the line's number in host/attach.h; fixed */
	const char *deferred;		/* joined when the line is first opened, or NULL */

	spinlock_t lock;		/* the rest, and port.xmit_fifo */
	bool active;			/* some process has it open */
	bool throttled;			/* the reader is behind */
	enum { LINE_TALKS, LINE_ENDS, LINE_MUTE } input;	/* of the host; see the head of line.c */
	bool in_midline;		/* the last character was not the end of a line */
	bool drained;			/* the host's reader has left, and all it typed was read */
	bool stopped;			/* Ctrl-S */
	unsigned long end_delay;	/* until end_work, in jiffies */
	struct delayed_work end_work;	/* see line_end_work() */
	struct delayed_work work;	/* what an interrupt cannot do: see line_work() */
	struct delayed_work hangup_work; /* see line_hangup_work() */
};

/* The lines of one tty driver. */
struct line_set {
	const char *option;		/* "con": on the command line */
	const char *name;		/* "tty": in /dev */
	const char *kind;		/* "console": in messages */
	short type, subtype;		/* TTY_DRIVER_TYPE_ */
	int major, minor;
	unsigned int count;
	struct line *lines;
	int channel_flags;		/* CHANNEL_AS_IS or 0 */
	const char *option_of_all;	/* con= */
	const char **option_of;		/* con<n>=; used at the start only, as the one before */
	struct tty_driver *driver;	/* NULL until line_set_register() */
	unsigned int resizes;		/* host_console_resizes as last seen */
};

extern struct line_set con_set, ssl_set;	/* con_tty.c, ssl_tty.c */

/* ---- line.c ---- */

/* Before the first of them gets a channel. */
void line_set_init(struct line_set *set);
/* Makes the devices. May sleep. */
int line_set_register(struct line_set *set);

/* ---- line_config.c ---- */

/*
 * An option that begins with the set's word: notes "=<channels>" and "<n>=<channels>", and
 * returns 1; 0: it is another one. Ends ./linux with a line if there is no such line.
 */
int line_option(struct line_set *set, const char *option);
/*
 * Joins a line to "<in>[,<out>]", or with deferred set when it is first opened. Ends ./linux with
 * one line on standard error if that is impossible. May sleep.
 */
void line_configure(struct line_set *set, unsigned int index, const char *spec, bool deferred);
/* Joins a line whose channel was deferred; 0 or -errno. With port.mutex held, or at the start. */
int line_join_deferred(struct line_set *set, unsigned int index);
/* For the management console: see struct mconsole_device. */
int line_set_channels(struct line_set *set, const char *unit, const char *spec,
		      struct seq_buf *answer);
int line_query(struct line_set *set, const char *unit, struct seq_buf *answer);
int line_remove(struct line_set *set, const char *unit, struct seq_buf *answer);

#endif
