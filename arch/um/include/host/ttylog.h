/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract: terminal logs, by which the host records what is typed and shown on the guest's
 * terminals (tty_log_dir=, tty_log_fd=). docs/reference/terminal-log-format.md has the records.
 *
 * A session is a terminal of the guest from its first open to its last close. Any context; nothing
 * sleeps, and nothing waits for the host's disk. Calls must not overlap.
 */
#ifndef HOST_TTYLOG_H
#define HOST_TTYLOG_H

/* A record, in the byte order of the host; so many bytes of data follow it. */
struct host_ttylog_record {
	int what;
	unsigned long tty;		/* names the session */
	int length;
	int direction;
	unsigned long seconds;		/* the host's time of day */
	unsigned long microseconds;
};

enum {
	HOST_TTYLOG_OPEN = 1,		/* data: unsigned long, the session of the opener, or 0 */
	HOST_TTYLOG_CLOSE = 2,
	HOST_TTYLOG_DATA = 3,
	HOST_TTYLOG_EXEC = 4,		/* data: arguments of a program, each with a 0 at its end */
	HOST_TTYLOG_LOST = 5,		/* data: an unsigned long, bytes that are missing here */
};

/* Directions of HOST_TTYLOG_DATA. */
enum {
	HOST_TTYLOG_TYPED = 1,
	HOST_TTYLOG_SHOWN = 2,
};

/* The number of a session: its device's in these bits, and above them one that no other has. */
#define HOST_TTYLOG_DEVICE_BITS 32
#define HOST_TTYLOG_MINOR_BITS 20

struct host_ttylog;

/* Whether the command line asked for logs. */
int host_ttylog_wanted(void);
/*
 * A new session of the terminal with that number of a device, opened by a program whose terminal
 * has the session parent, or 0. NULL: the host has no memory.
 */
struct host_ttylog *host_ttylog_open(unsigned int device, unsigned long parent);
unsigned long host_ttylog_id(const struct host_ttylog *session);
/*
 * Records data of up to HOST_TTYLOG_MOST bytes. When the host does not keep up, the data is dropped
 * and counted.
 */
#define HOST_TTYLOG_MOST 4096
void host_ttylog_record(struct host_ttylog *session, int what, int direction, const void *data,
			unsigned long length);
/* The session ends; the caller must not use it afterwards. */
void host_ttylog_close(struct host_ttylog *session);

#endif
