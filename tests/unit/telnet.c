// SPDX-License-Identifier: GPL-2.0-only
/* Telnet as the channel port speaks it, and the ring that keeps output for a reader. */
#include "../../arch/um/os-Linux/drivers/console/telnet.c"
#include "../../arch/um/os-Linux/drivers/console/outbox.c"
#include "../guest/check.h"

static struct telnet telnet;

/* Whether in, as a client sends it, is what was typed; replies stay in telnet. */
static void types(const char *in, unsigned long length, const char *wanted, unsigned long expected,
		  const char *sentence)
{
	unsigned char buffer[256];
	unsigned long got;

	memcpy(buffer, in, length);
	got = telnet_decode(&telnet, buffer, length, buffer);
	check(got == expected && !memcmp(buffer, wanted, got), sentence);
}

#define TYPES(in, wanted, sentence) \
	types(in, sizeof(in) - 1, wanted, sizeof(wanted) - 1, sentence)

static void replies(const char *wanted, unsigned long length, const char *sentence)
{
	check(telnet.reply_length == length && !memcmp(telnet.replies, wanted, length), sentence);
	telnet.reply_length = 0;
}

#define REPLIES(wanted, sentence) replies(wanted, sizeof(wanted) - 1, sentence)

static void sends(const char *in, unsigned long length, const char *wanted, unsigned long expected,
		  const char *sentence)
{
	unsigned char buffer[256];
	unsigned long got = telnet_encode(&telnet, (const unsigned char *)in, length, buffer);

	check(got == expected && !memcmp(buffer, wanted, got), sentence);
}

#define SENDS(in, wanted, sentence) \
	sends(in, sizeof(in) - 1, wanted, sizeof(wanted) - 1, sentence)

static void conversation(void)
{
	telnet_init(&telnet);
	REPLIES("\377\373\001\377\373\003\377\375\003\377\375\037",
		"it offers to echo and to suppress go-ahead, and asks for the window's size");
	TYPES("\377\375\001\377\375\003\377\373\003\377\373\037", "",
	      "a client's consent is no text");
	REPLIES("", "and is not answered");
	TYPES("\377\372\037\000\120\000\030\377\360", "", "a window's size is no text");
	check(telnet.resized && telnet.columns == 80 && telnet.rows == 24, "and is understood");
	telnet.resized = 0;
	TYPES("\377\372\037\377\377\377\377\000\030\377\360x", "x", "255 in it is doubled");
	check(telnet.resized && telnet.columns == 65535 && telnet.rows == 24, "and understood");
	TYPES("a\377\377b", "a\377b", "a doubled 255 is the byte");
	TYPES("one\r\000two\r\nthree\r", "one\rtwo\rthree\r",
	      "a carriage return comes with a 0 or a newline, which is dropped");
	TYPES("\nx", "x", "also where a packet ends between them");
	TYPES("\377\364\377\367\377\370\377\354", "\003\177\025\004",
	      "interrupt, erase character, erase line and end of file are their keys");
	TYPES("\377\366\377\361", "", "other commands are ignored");
	TYPES("\377\375\042\377\373\030", "", "options that it does not have");
	REPLIES("\377\374\042\377\376\030", "are refused");
	SENDS("a\377b", "a\377\377b", "a 255 is sent twice");
	SENDS("a\r\nb\rc", "a\r\nb\r\000c", "a lone carriage return has a 0 after it");
	SENDS("\r", "\r", "at the end of a packet");
	SENDS("x", "\000x", "the next one begins with it");
	TYPES("\377\375\000\377\373\000", "", "a client may ask for binary transmission");
	REPLIES("\377\373\000\377\375\000", "and gets it");
	TYPES("\r\n\r\000", "\r\n\r\000", "then carriage returns are bytes as others");
	SENDS("\rx", "\rx", "both ways");
	TYPES("\377\376\001", "", "a client may take the echo back");
	REPLIES("\377\374\001", "which is confirmed once");
	TYPES("\377\376\001", "", "and not twice");
	REPLIES("", "so that two programs do not answer each other forever");
}

/* Any bytes at all: never more output than input, never more replies than there is room for. */
static void noise(void)
{
	unsigned char in[97], out[97], wire[2 * 97 + 1];
	int wrong = 0;

	srandom(1);
	for (int round = 0; round < 200000; round++) {
		unsigned long length = random() % sizeof(in);

		for (unsigned long i = 0; i < length; i++)
			in[i] = random() & 1 ? 236 + random() % 20 : random();
		wrong += telnet_decode(&telnet, in, length, out) > length;
		wrong += telnet.reply_length > sizeof(telnet.replies);
		wrong += telnet_encode(&telnet, in, length, wire) > 2 * length + 1;
		if (random() % 64 == 0)
			telnet_init(&telnet);
	}
	check(!wrong, "any bytes are taken without writing where there is no room");
}

static void ring(void)
{
	struct outbox box;
	const char *bytes;
	char *much = malloc(3 * OUTBOX_SIZE), *got = malloc(3 * OUTBOX_SIZE);
	unsigned long put = 0, taken = 0, length;
	int wrong = 0;

	for (unsigned long i = 0; i < 3 * OUTBOX_SIZE; i++)
		much[i] = i * 31 + i / 977;
	outbox_init(&box);
	for (int round = 0; round < 2000; round++) {
		unsigned long at = put % OUTBOX_SIZE;

		length = random() % 200;
		outbox_put(&box, much + at, length);
		put += length;
		length = outbox_oldest(&box, &bytes);
		if (length > 150)
			length = 150;
		for (unsigned long i = 0; i < length; i++)
			got[i] = bytes[i];
		taken += length;
		outbox_remove(&box, length);
		wrong += put - taken != outbox_length(&box);
		put %= OUTBOX_SIZE;
		taken = put - outbox_length(&box);
	}
	check(!wrong, "a ring of output holds what was put in and not taken out");
	outbox_remove(&box, outbox_length(&box));
	outbox_put(&box, much, 1000);
	outbox_put(&box, much + 1000, OUTBOX_SIZE);
	for (taken = 0; (length = outbox_oldest(&box, &bytes)); taken += length) {
		memcpy(got + taken, bytes, length);
		outbox_remove(&box, length);
	}
	check(taken == OUTBOX_SIZE && !memcmp(got, much + 1000, taken),
	      "when it is full the newest bytes replace the oldest");
	outbox_put(&box, much, 3 * OUTBOX_SIZE);
	for (taken = 0; (length = outbox_oldest(&box, &bytes)); taken += length) {
		memcpy(got + taken, bytes, length);
		outbox_remove(&box, length);
	}
	check(taken == OUTBOX_SIZE && !memcmp(got, much + 2 * OUTBOX_SIZE, taken),
	      "also if they come at once");
	outbox_free(&box);
	free(much);
	free(got);
}

int main(void)
{
	conversation();
	noise();
	ring();
	return check_done();
}
