/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server's side of telnet (RFC 854, 855, 856, 857, 858, 1073), without any input or output.
 */
#ifndef TELNET_H
#define TELNET_H

struct telnet {
	enum {
		TELNET_DATA, TELNET_RETURN, TELNET_COMMAND, TELNET_OPTION,
		TELNET_SUB, TELNET_SUB_COMMAND
	} state;
	unsigned char verb;		/* of the option that follows: WILL, WONT, DO, DONT */
	unsigned char sub[8];		/* a subnegotiation: the option and what follows */
	unsigned int sub_length;	/* also counts what sub has no room for */
	unsigned int ours, theirs;	/* options that are on at either end, as bits */
	int was_return;			/* the last byte of the output was a carriage return */
	int resized;			/* rows and columns are new; for the user to clear */
	unsigned short rows, columns;
	unsigned char replies[256];	/* to be sent, and how many */
	unsigned int reply_length;
};

/* A new connection: begins with an offer to the client, in replies. */
void telnet_init(struct telnet *telnet);
/*
 * Takes length bytes that the client sent and writes what was typed to out, which may be the same
 * memory. Returns how many bytes that is, at most length. Replies are added to telnet->replies; a
 * client that asks more than there is room for gets no answer.
 */
unsigned long telnet_decode(struct telnet *telnet, const unsigned char *in, unsigned long length,
			    unsigned char *out);
/* Makes length bytes of output ready for the client: at most twice as many and one, in out. */
unsigned long telnet_encode(struct telnet *telnet, const unsigned char *in, unsigned long length,
			    unsigned char *out);

#endif
