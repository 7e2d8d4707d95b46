// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a terminal would obey is not printed (arch/um/os-Linux/printable.c); UTF-8 in its
 * strict form.
 */
#include "../../arch/um/os-Linux/printable.c"
#include "../guest/check.h"

static void shows(const char *text, const char *wanted, const char *sentence)
{
	char line[64];

	strcpy(line, text);
	make_printable(line);
	if (strcmp(line, wanted))
		say("# got %s\n", line);
	check(!strcmp(line, wanted), sentence);
}

/* All sequences of up to four bytes that begin like one, against the definition by numbers. */
static int is_character(const unsigned char *text, int length)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned int value = length == 1 ? text[0] : text[0] & (0x7f >> length);

	for (int i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (text[i] & 0x3f);
	}
	return value >= least[length] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
}

/* The length of a sequence by its first byte; 0: none begins so. */
static int length_after(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc0 || first >= 0xf8)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static void every_start(void)
{
	static const unsigned char edges[] = { 0x00, 0x7f, 0x80, 0x8f, 0x90,
					       0x9f, 0xa0, 0xbf, 0xc0, 0xff };
	int wrong = 0;

	for (int first = 1; first < 256; first++)
		for (unsigned int i = 0; i < 1000; i++) {
			unsigned char text[5] = { first, edges[i % 10], edges[i / 10 % 10],
						  edges[i / 100], 0 };
			int length = length_after(first);
			int wanted = length && is_character(text, length) ? length : 0;

			wrong += utf8_length((char *)text) != wanted;
		}
	check_equal(wrong, 0,
		    "a sequence is a character if its number is one, in its shortest form");
}

static void encode(char *text, unsigned int number)
{
	int more = number < 0x80 ? 0 : number < 0x800 ? 1 : number < 0x10000 ? 2 : 3;

	*text++ = more ? 0xff00 >> (more + 1) | number >> 6 * more : number;
	while (more--)
		*text++ = 0x80 | (number >> 6 * more & 0x3f);
	*text = '\0';
}

/* Control characters, and the marks, separators, embeddings and isolates of writing directions. */
static int must_be_replaced(unsigned int number)
{
	return number < 0x20 || (number >= 0x7f && number <= 0x9f) ||
	       number == 0x200e || number == 0x200f ||
	       (number >= 0x2028 && number <= 0x202e) || (number >= 0x2066 && number <= 0x2069);
}

static void every_character(void)
{
	int wrong = 0;

	for (unsigned int number = 1; number <= 0x10ffff; number++) {
		char text[8], line[8];

		if (number >= 0xd800 && number <= 0xdfff)
			continue;
		encode(text, number);
		strcpy(line, text);
		make_printable(line);
		if (strcmp(line, must_be_replaced(number) ? "?" : text)) {
			if (++wrong <= 10)
				say("# U+%04X became %s\n", number, line);
		}
	}
	check_equal(wrong, 0, "of all characters these are replaced, and no other");
}

static int shows_log(const char *text, unsigned long length, unsigned long room, const char *wanted)
{
	char part[64], all[256] = "";

	while (length) {
		unsigned long taken = printable_part(part, room, text, length);

		if (!taken || taken > length || strlen(part) >= room)
			return 0;
		strcat(all, part);
		text += taken;
		length -= taken;
	}
	if (strcmp(all, wanted))
		say("# got %s\n", all);
	return !strcmp(all, wanted);
}

static void logs(void)
{
	static const char text[] =
		"\tname\33[2J \xe2\x82\xac\xc3\xa9\xf0\x9f\x98\x80 \xc2\x9b\n\xff\n";
	int right = 1;

	for (unsigned long room = 5; room <= 64; room++)
		right &= shows_log(text, strlen(text), room,
				   "\tname?[2J \xe2\x82\xac\xc3\xa9\xf0\x9f\x98\x80 ?\n?\n");
	check(right, "in a log newlines and tabs stay, and no character is cut, whatever the room");
	check(shows_log("a\0b\xc3", 4, 8, "a?b?") &&
		      shows_log("\x9b\x9b\x9b\x9b\x9b\x9b", 6, 5, "??????"),
	      "nor is anything of it lost");
}

/* The next part and how much of the text it is. */
static int takes(const char *text, unsigned long length, unsigned long room, const char *wanted,
		 unsigned long taken)
{
	char part[64];
	unsigned long got;

	memset(part, 'x', sizeof(part));
	got = printable_part(part, room, text, length);
	if (got != taken || strncmp(part, wanted, sizeof(part)))
		say("# got %lu bytes: %.64s\n", got, part);
	return got == taken && !strncmp(part, wanted, sizeof(part));
}

static void one_part(void)
{
	check(takes("abc\n", 4, 8, "abc\n", 4), "a line and its end are one part");
	check(takes("abc\n", 4, 5, "abc\n", 4) && takes("abc\xc3", 4, 5, "abc?", 4) &&
		      takes("a\xe2\x82\xac", 4, 5, "a\xe2\x82\xac", 4),
	      "also where they just fit");
	check(takes("abcd\n", 5, 5, "abcd", 4), "with a byte less of room they are two");
	check(takes("ab\xe2\x82\xac", 5, 5, "ab", 2),
	      "a character that does not fit belongs to the next part");
	check(takes("abcdef", 3, 8, "abc", 3), "what follows the text is not in it");
	check(takes("\0ab", 3, 8, "?", 1) && takes("\xc3\0b", 3, 8, "?", 1),
	      "a zero is a part by itself, and ends the one before");
}

static int is_shortened(const char *message, unsigned long room, const char *wanted)
{
	char text[64];

	memset(text, 'x', sizeof(text));
	leave_out_middle(text, room, message);
	if (strncmp(text, wanted, sizeof(text)))
		say("# got %.64s\n", text);
	return !strncmp(text, wanted, sizeof(text)) && text[room] == 'x';
}

static void long_messages(void)
{
	check(is_shortened("short: do this", 24, "short: do this"), "a message that fits is whole");
	check(is_shortened("ubd0: 2345678901234567; do it", 24, "ubd0: 2345...567; do it") &&
		      is_shortened("ubd0: 2345678901234567; do it", 25, "ubd0: 2345...4567; do it"),
	      "one that is too long loses its middle");
	check(is_shortened("ubd0: 234567890; do this", 24, "ubd0: 2345...0; do this"),
	      "a byte too long is too long");
	check(is_shortened("ubd0: 23456789; do this", 24, "ubd0: 23456789; do this"),
	      "one that just fits is whole");
}

int main(void)
{
	shows("disk \"a\" \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	      "disk \"a\" \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "text is shown as it is");
	shows("a\033[2Jb\nc\rd\177", "a?[2Jb?c?d?", "control characters are not");
	shows("\xc2\x9b" "2J \xc2\xa0", "?2J \xc2\xa0", "nor those of the upper half");
	shows("a\x9b" "b\xff", "a?b?", "nor bytes that are not UTF-8");
	shows("\xe0\x80\x80 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80", "??? ?? ??? ????",
	      "nor overlong forms, surrogates and what is too large");
	shows("exe.\xe2\x80\xaetxt \xe2\x81\xa6", "exe.?txt ?",
	      "nor what turns the direction of writing");
	every_start();
	every_character();
	logs();
	one_part();
	long_messages();
	return check_done();
}
