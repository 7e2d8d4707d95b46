/* SPDX-License-Identifier: GPL-2.0-only */
/* Records of terminals on their way from the virtual CPU to the thread that writes them. */
#ifndef LOG_RING_H
#define LOG_RING_H

#include <stddef.h>

/* Made by the virtual CPU, freed by the thread after the last record. */
struct host_ttylog {
	unsigned long id;
	unsigned long seconds, microseconds;	/* when it began: the name of its file */
	unsigned long lost;		/* bytes dropped since the last record; the virtual CPU's */
	unsigned long unwritten;	/* bytes that the host refused; the thread's */
	size_t queued;			/* its bytes in the ring; atomic */
};

struct log_entry {
	struct host_ttylog *session;
	unsigned long microseconds;	/* since 1970 */
	unsigned int length;
	unsigned short what, direction;
};

/* Makes the ring, or ends with host_fatal(). */
void log_ring_init(void);
/* The thread: sleeps until there is something, and then a few milliseconds for more. */
void log_ring_wait(void);
/* The next entry, with its data in bytes, of HOST_TTYLOG_MOST; 0: there is none now. */
int log_ring_take(struct log_entry *entry, char *bytes);
/* The thread says that what it took is written. */
void log_ring_written(void);
/* Waits until all is written, at most a second. Any context; takes no locks. */
void log_ring_drain(void);
/* Bytes that were dropped because the ring was full. */
unsigned long log_ring_lost(void);

#endif
