/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract: connections to the socket exec in the instance's folder, each of which runs a
 * command in the guest. docs/reference/exec.md has the protocol.
 *
 * A connection carries frames: packets that begin with a 32-bit kind in the host's byte order. None
 * of the functions sleeps. Each may run on any virtual CPU, host_exec_accept() and
 * host_exec_ready() on one at a time; the others on one at a time for each connection.
 */
#ifndef HOST_EXEC_H
#define HOST_EXEC_H

#define HOST_EXEC_MOST	256		/* connections at once */
#define HOST_EXEC_FRAME	32768		/* bytes in a frame, its kind among them */
#define HOST_EXEC_VERSION 1

/* Kinds of frames: those that a client sends, and those that it receives. */
enum {
	HOST_EXEC_START = 1,
	HOST_EXEC_INPUT,
	HOST_EXEC_INPUT_END,
	HOST_EXEC_SIZE,
	HOST_EXEC_SIGNAL,

	HOST_EXEC_OUTPUT = 16,
	HOST_EXEC_ERRORS,
	HOST_EXEC_STATUS,
	HOST_EXEC_FAILURE,
};

#define HOST_EXEC_TERMINAL	1	/* flag of HOST_EXEC_START */

/* The first frame. Behind it: groups, then strings, each with its NUL: directory, arguments,
 * variables of the environment. */
struct host_exec_start {
	unsigned int kind, version, flags;
	unsigned int user, group, groups;
	unsigned int rows, columns;
	unsigned int arguments, variables;
};

/* HOST_EXEC_FAILURE: a number of errno.h, and text without a NUL behind it. */
struct host_exec_failure {
	unsigned int kind, error;
	char text[256];
};

/*
 * The number of a new connection, below HOST_EXEC_MOST; or -EAGAIN: none, HOST_IRQ_EXEC is raised
 * when there is one. Connections beyond the most are refused here.
 */
int host_exec_accept(void);
/*
 * The number of a connection on which something has happened since it was asked for; or -EAGAIN:
 * none, HOST_IRQ_EXEC is raised then. Something: a frame came, there is room for one again after
 * -EAGAIN, or the client has gone. It may be the number of one that was closed meanwhile.
 */
int host_exec_ready(void);
/*
 * Takes a frame of at most size bytes into kernel memory that is not in vmalloc space. Returns its
 * length; -EAGAIN: there is none; -EMSGSIZE: it was longer, and is lost; -EPIPE: the client has
 * gone.
 */
long host_exec_receive(int connection, void *frame, unsigned long size);
/* 0; -EAGAIN: the client has not read what there is room for; -EPIPE: it has gone. */
int host_exec_send(int connection, const void *frame, unsigned long length);
/* Not 0: the client has gone, even if frames of it are left. */
int host_exec_is_gone(int connection);
/* Ends the connection. The client can still read all that was sent. */
void host_exec_close(int connection);

#endif
