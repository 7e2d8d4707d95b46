/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract: the instance's folder on the host, and the management console's socket in it.
 *
 * The protocol is version 2 of the one that uml_mconsole speaks: a datagram each way, see
 * docs/reference/mconsole.md. Packets that are no request are answered with an error here and not
 * handed on. Functions may run on any virtual CPU, in interrupts too, and do not sleep if it is not
 * said.
 */
#ifndef HOST_MCONSOLE_H
#define HOST_MCONSOLE_H

#define HOST_MCONSOLE_TEXT	512	/* bytes in a packet, the NUL at the end among them */
/* The error of every failure: clients exit with it, and 1 is what scripts know. */
#define HOST_MCONSOLE_ERROR	1

/* Whom to answer. */
struct host_mconsole_client {
	unsigned int length;		/* of name; 0: has none, and gets no answer */
	unsigned char name[110];	/* a struct sockaddr_un */
};

/* The instance's name (umid=), "" if there is no folder; the socket's path. */
const char *host_umid(void);
const char *host_mconsole_path(void);

/*
 * The next request's text, NUL-terminated, and who sent it. Returns its length, at most
 * HOST_MCONSOLE_TEXT - 1, or -EAGAIN: none; HOST_IRQ_MCONSOLE is raised when one comes.
 */
long host_mconsole_receive(struct host_mconsole_client *client, char *text);
/* Sleeps until there may be a request, a signal came or so much time has passed; 0: no limit. */
void host_mconsole_wait(int milliseconds);
/*
 * Sends a packet of at most HOST_MCONSOLE_TEXT - 1 bytes of text. @error: 0, HOST_MCONSOLE_ERROR or
 * the exit status of a command; @more: others follow. A client that does not read is waited for by
 * a thread. Returns 0; -EAGAIN: so much waits for it already that the packet was not taken (with
 * @must, it is taken as long as there is room for all); or -errno: the client is gone. -ETIMEDOUT,
 * not with @must: it has read nothing for so long that packets of its answer were dropped.
 */
int host_mconsole_reply(const struct host_mconsole_client *client, unsigned int error, int more,
			const char *text, unsigned int length, int must);

/* Kinds of notification, as they are sent. */
enum {
	HOST_NOTIFY_SOCKET,
	HOST_NOTIFY_PANIC,
	HOST_NOTIFY_HANG,
	HOST_NOTIFY_USER,
};
/*
 * Tells the socket that mconsole=notify:<socket> named, if it did and a program listens. At most
 * HOST_MCONSOLE_TEXT - 1 bytes are sent. 0; -ENOTCONN: there is no such option; or what sendto(2)
 * gave.
 */
int host_mconsole_notify(unsigned int kind, const char *text, unsigned int length);

#endif
