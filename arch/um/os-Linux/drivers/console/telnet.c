// SPDX-License-Identifier: GPL-2.0-only
/*
 * The server's side of telnet, without any input or output.
 *
 * We offer to echo and to suppress go-ahead, which puts a client into character mode, and ask for
 * its window's size. A client may ask for binary transmission, which lets all bytes pass but for
 * the escaped 255. Otherwise a carriage return that no newline follows is sent, and received,
 * with a 0 after it. All other options are refused. An option that is on already is not answered,
 * so that no two programs answer each other forever.
 */
#include <string.h>

#include "telnet.h"

enum {
	IAC = 255, DONT = 254, DO = 253, WONT = 252, WILL = 251, SB = 250, EL = 248, EC = 247,
	IP = 244, SE = 240, END_OF_FILE = 236
};

enum { BINARY = 0, ECHO = 1, GO_AHEAD = 3, WINDOW = 31 };

#define BIT(option) (1U << (option))
#define OUR_OPTIONS (BIT(BINARY) | BIT(ECHO) | BIT(GO_AHEAD))
#define THEIR_OPTIONS (BIT(BINARY) | BIT(GO_AHEAD) | BIT(WINDOW))

static void reply(struct telnet *telnet, unsigned char verb, unsigned char option)
{
	if (telnet->reply_length + 3 > sizeof(telnet->replies))
		return;
	telnet->replies[telnet->reply_length++] = IAC;
	telnet->replies[telnet->reply_length++] = verb;
	telnet->replies[telnet->reply_length++] = option;
}

void telnet_init(struct telnet *telnet)
{
	memset(telnet, 0, sizeof(*telnet));
	telnet->ours = BIT(ECHO) | BIT(GO_AHEAD);
	telnet->theirs = BIT(GO_AHEAD) | BIT(WINDOW);
	reply(telnet, WILL, ECHO);
	reply(telnet, WILL, GO_AHEAD);
	reply(telnet, DO, GO_AHEAD);
	reply(telnet, DO, WINDOW);
}

/* One end has been asked to turn an option on or off; on and off are the answers to that. */
static void negotiate(struct telnet *telnet, unsigned int *end, unsigned int possible,
		      unsigned char option, int wanted, unsigned char on, unsigned char off)
{
	unsigned int bit = option < 32 ? BIT(option) : 0;

	if (wanted && !(possible & bit)) {
		reply(telnet, off, option);
	} else if (wanted && !(*end & bit)) {
		*end |= bit;
		reply(telnet, on, option);
	} else if (!wanted && (*end & bit)) {
		*end &= ~bit;
		reply(telnet, off, option);
	}
}

static void take_option(struct telnet *telnet, unsigned char option)
{
	if (telnet->verb == DO || telnet->verb == DONT)
		negotiate(telnet, &telnet->ours, OUR_OPTIONS, option, telnet->verb == DO, WILL,
			  WONT);
	else
		negotiate(telnet, &telnet->theirs, THEIR_OPTIONS, option, telnet->verb == WILL, DO,
			  DONT);
}

static void end_sub(struct telnet *telnet)
{
	const unsigned char *sub = telnet->sub;

	if (telnet->sub_length != 5 || sub[0] != WINDOW)
		return;
	telnet->columns = sub[1] << 8 | sub[2];
	telnet->rows = sub[3] << 8 | sub[4];
	telnet->resized = 1;
}

static void add_to_sub(struct telnet *telnet, unsigned char byte)
{
	if (telnet->sub_length < sizeof(telnet->sub))
		telnet->sub[telnet->sub_length] = byte;
	if (telnet->sub_length <= sizeof(telnet->sub))
		telnet->sub_length++;
}

/* The key that a command stands for; -1: none. Sets the next state. */
static int take_command(struct telnet *telnet, unsigned char byte)
{
	telnet->state = TELNET_DATA;
	switch (byte) {
	case WILL:
	case WONT:
	case DO:
	case DONT:
		telnet->verb = byte;
		telnet->state = TELNET_OPTION;
		return -1;
	case SB:
		telnet->sub_length = 0;
		telnet->state = TELNET_SUB;
		return -1;
	case IAC:
		return IAC;
	case IP:
		return 'C' & 31;
	case EC:
		return 127;
	case EL:
		return 'U' & 31;
	case END_OF_FILE:
		return 'D' & 31;
	default:
		return -1;
	}
}

/* The byte that was typed with this one; -1: none. */
static int decode_byte(struct telnet *telnet, unsigned char byte)
{
	switch (telnet->state) {
	case TELNET_RETURN:
		telnet->state = TELNET_DATA;
		if (byte == 0 || byte == '\n')
			return -1;
		/* fall through */
	case TELNET_DATA:
		if (byte == IAC)
			telnet->state = TELNET_COMMAND;
		else if (byte == '\r' && !(telnet->theirs & BIT(BINARY)))
			telnet->state = TELNET_RETURN;
		return byte == IAC ? -1 : byte;
	case TELNET_COMMAND:
		return take_command(telnet, byte);
	case TELNET_OPTION:
		take_option(telnet, byte);
		telnet->state = TELNET_DATA;
		return -1;
	case TELNET_SUB:
		if (byte == IAC)
			telnet->state = TELNET_SUB_COMMAND;
		else
			add_to_sub(telnet, byte);
		return -1;
	case TELNET_SUB_COMMAND:
		telnet->state = TELNET_SUB;
		if (byte == IAC) {
			add_to_sub(telnet, byte);
		} else if (byte == SE) {
			end_sub(telnet);
			telnet->state = TELNET_DATA;
		}
		return -1;
	}
	return -1;
}

unsigned long telnet_decode(struct telnet *telnet, const unsigned char *in, unsigned long length,
			    unsigned char *out)
{
	unsigned long used = 0;

	for (unsigned long i = 0; i < length; i++) {
		int byte = decode_byte(telnet, in[i]);

		if (byte >= 0)
			out[used++] = byte;
	}
	return used;
}

unsigned long telnet_encode(struct telnet *telnet, const unsigned char *in, unsigned long length,
			    unsigned char *out)
{
	int text = !(telnet->ours & BIT(BINARY));
	unsigned long used = 0;

	for (unsigned long i = 0; i < length; i++) {
		if (telnet->was_return && text && in[i] != '\n')
			out[used++] = 0;
		out[used++] = in[i];
		if (in[i] == IAC)
			out[used++] = IAC;
		telnet->was_return = in[i] == '\r';
	}
	return used;
}
