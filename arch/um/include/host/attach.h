/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract: terminal lines on the socket console in the instance's folder, by which any line
 * can be watched and typed on, whatever its channel is. docs/reference/console-socket.md has the
 * protocol.
 *
 * A line's newest output is kept, and copied to each client that is attached to it. The first of
 * them that may write is its writer: the line receives what that one types, and has the size of its
 * window. No client makes the guest wait: one that does not read loses output, and learns how much.
 *
 * The functions may run on any virtual CPU, and two of them at once. They do not sleep if it is not
 * said. A line that could not be made is a negative number, which they take and ignore.
 */
#ifndef HOST_ATTACH_H
#define HOST_ATTACH_H

#define HOST_ATTACH_LINES	80	/* at most */
#define HOST_ATTACH_CLIENTS	64	/* connections at once */
#define HOST_ATTACH_FRAME	32768	/* bytes in a frame, its kind among them */
#define HOST_ATTACH_VERSION	1

/* Kinds of frames: those that a client sends, and those that it receives. */
enum {
	HOST_ATTACH_LIST = 1,
	HOST_ATTACH_START,
	HOST_ATTACH_INPUT,
	HOST_ATTACH_SIZE,

	HOST_ATTACH_OUTPUT = 16,
	HOST_ATTACH_LOST,
	HOST_ATTACH_ROLE,
	HOST_ATTACH_ENTRY,
	HOST_ATTACH_END,
	HOST_ATTACH_FAILURE,
};

#define HOST_ATTACH_READ_ONLY	1	/* flag of HOST_ATTACH_START */
#define HOST_ATTACH_NAME	8	/* bytes of a line's name, with a NUL */

/* The first frame: of HOST_ATTACH_LIST the first two fields, of HOST_ATTACH_START all. */
struct host_attach_request {
	unsigned int kind, version, flags;
	unsigned int rows, columns;	/* 0: the client has no window */
	char line[HOST_ATTACH_NAME];
};

/* HOST_ATTACH_SIZE, HOST_ATTACH_LOST (a count of bytes), HOST_ATTACH_ROLE (and how many clients) */
struct host_attach_numbers {
	unsigned int kind, first, second;
};

enum {
	HOST_ATTACH_WRITES = 1,
	HOST_ATTACH_WATCHES,		/* and writes when those before it have left */
	HOST_ATTACH_ONLY_READS,
};

/* One line of the list; HOST_ATTACH_END follows the last one. */
struct host_attach_entry {
	unsigned int kind, is_open, clients;
	char line[HOST_ATTACH_NAME];
	char channel[256];		/* with a NUL */
};

/* A number of errno.h, and text without a NUL behind it. */
struct host_attach_failure {
	unsigned int kind, error;
	char text[256];
};

/* States of a line, for host_attach_describe(). */
enum {
	HOST_ATTACH_NONE,		/* the guest cannot open it */
	HOST_ATTACH_DEFERRED,		/* it can; what it then gets is not made yet */
	HOST_ATTACH_JOINED,
};

/*
 * Makes a line that is called @name ("con0"). Its number, or -errno: there is no folder, or no
 * memory. While consoles start; may sleep.
 */
int host_attach_line(const char *name);
/* Lets clients in. Once, when all lines are there; may sleep. */
void host_attach_start(void);

/* Changes the list's entry. A line is HOST_ATTACH_NONE before the first call. */
void host_attach_describe(int line, int state, const char *channel);
void host_attach_set_open(int line, int is_open);

/* The line's output. */
void host_attach_output(int line, const void *bytes, unsigned long length);
/*
 * The kernel's messages on the line: newlines get a carriage return, other characters that a
 * terminal would obey become a ?. Any context.
 */
void host_attach_print(int line, const char *text, unsigned long length);
/* Input of the writer: how many bytes, or -EAGAIN. HOST_IRQ_CONSOLE is raised when some come. */
long host_attach_read(int line, void *bytes, unsigned long length);
/* Whether the size has changed since it was asked. HOST_IRQ_CONSOLE is raised when it does. */
int host_attach_resized(int line);
/* Rows and columns of the writer's window; 0, or -ENOTTY: there is none. */
int host_attach_size(int line, unsigned short *rows, unsigned short *columns);

#endif
