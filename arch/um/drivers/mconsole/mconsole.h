/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The management console: what other families offer to it. A device driver registers the devices
 * that "config <name><unit>=<value>", "config <name><unit>" and "remove <name><unit>" may name.
 */
#ifndef UM_MCONSOLE_H
#define UM_MCONSOLE_H

#include <linux/list.h>
#include <linux/seq_buf.h>

/*
 * All functions run in a process, one at a time over all devices, and may sleep. @unit is what
 * follows the name: "0" of ubd0, "0r" of ubd0r, "" of mem. They return 0 or -errno and write to
 * @answer: the value asked for, or why it cannot be, as one line without its end. Without a line
 * the error's own words are sent.
 */
struct mconsole_device {
	const char *name;
	int (*set)(const char *unit, const char *value, struct seq_buf *answer);
	int (*query)(const char *unit, struct seq_buf *answer);
	int (*remove)(const char *unit, struct seq_buf *answer);
	struct list_head list;		/* mconsole's own */
};

/* A device whose name begins with another one's is found by the longer name. May sleep. */
void mconsole_register(struct mconsole_device *device);

/*
 * Called a few times a second while the instance is stopped, in an interrupt. NULL: there is no
 * need. Its one user is the watchdog.
 */
extern void (*mconsole_while_stopped)(void);

#define MCONSOLE_BUSY "Device is currently open"	/* what scripts look for; with -EBUSY */

#endif
