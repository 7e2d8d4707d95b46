/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests of clients on a control connection, for a port. Numbers have the host's byte order. The
 * functions look at the bytes alone: no host call, no state.
 *
 * - Version 3: u32 magic, u32 3, u32 type, the address of the client's data socket.
 * - Version 1: u32 magic, u32 type, an Ethernet address of 6 bytes, the data socket's.
 * - Version 0: u32 type, an Ethernet address of 6 bytes, the data socket's; no answer.
 *
 * Type 0 asks for a new port. An address is a struct sockaddr_un of 110 bytes; the answer is one,
 * that of the switch's data socket. Some clients send what the compiler puts behind it, too.
 */
#ifndef SWITCH_REQUEST_H
#define SWITCH_REQUEST_H

#include <sys/socket.h>
#include <sys/un.h>

#define REQUEST_MAGIC		0xfeedface
#define REQUEST_LONGEST		124	/* bytes that any version has at most */

enum request_state { REQUEST_INCOMPLETE, REQUEST_WHOLE, REQUEST_WRONG };

struct request {
	int version;			/* 0, 1 or 3 */
	struct sockaddr_un address;	/* of the client's data socket */
	socklen_t address_length;
};

/*
 * Reads a request from the first @length bytes that came. @old: version 0 is let in. @why, for
 * REQUEST_WRONG: a few words.
 */
enum request_state request_parse(struct request *request, const void *bytes, unsigned long length,
				 int old, const char **why);

#endif
