/* SPDX-License-Identifier: GPL-2.0-only */
/* Terminal lines: a Linux tty on one end, a channel for each direction on the other. */
#ifndef UM_LINE_H
#define UM_LINE_H

#include <linux/tty_port.h>
#include <linux/workqueue.h>

struct channel;
struct tty_driver;

struct line {
	struct tty_port port;
	struct channel *in, *out;	/* the same one, or NULL for none; set before the line can be opened */

	spinlock_t lock;		/* the rest, and port.xmit_fifo */
	bool active;			/* some process has it open */
	bool throttled;			/* the reader is behind */
	enum { LINE_TALKS, LINE_ENDS, LINE_MUTE } input;	/* of the host; see the head of line.c */
	bool in_midline;		/* the last character was not the end of a line */
	bool stopped;			/* Ctrl-S */
	unsigned long end_delay;	/* until end_work, in jiffies */
	struct delayed_work end_work;	/* see line_end_work() */
	struct delayed_work work;	/* what an interrupt cannot do: see line_work() */
};

/* The lines of one tty driver. */
struct line_set {
	const char *option;		/* "con": on the command line */
	const char *name;		/* "tty": in /dev */
	short type, subtype;		/* TTY_DRIVER_TYPE_ */
	int major, minor;
	unsigned int count;
	struct line *lines;
	struct tty_driver *driver;	/* NULL until line_set_register() */
	unsigned int resizes;		/* host_console_resizes as last seen */
};

/* Joins a line to "<in>[,<out>]". Ends ./linux with one line on standard error if that is impossible. May sleep. */
void line_configure(struct line_set *set, unsigned int index, const char *spec);
/* Makes the devices. May sleep. */
int line_set_register(struct line_set *set);

#endif
