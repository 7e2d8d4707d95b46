// SPDX-License-Identifier: GPL-2.0-only
/* Text of strangers; see printable.h. Also part of the tools. */
#include <string.h>

#include "printable.h"

static int is_continuation(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* No overlong forms, no surrogates, nothing beyond U+10FFFF: the second byte tells. */
static int may_follow(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0;
	case 0xed:
		return second < 0xa0;
	case 0xf0:
		return second >= 0x90;
	case 0xf4:
		return second < 0x90;
	default:
		return 1;
	}
}

/* How long a character is that begins with this byte; 0: none does. */
static int promised_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

int utf8_length(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	int length = promised_length(*bytes);

	for (int i = 1; i < length; i++)
		if (!is_continuation(bytes[i]) || (i == 1 && !may_follow(bytes[0], bytes[1])))
			return 0;
	return length;
}

static int is_obeyed(const unsigned char *at, int length)
{
	switch (length) {
	case 1:
		return *at < 0x20 || *at == 0x7f;
	case 2:		/* U+0080 to U+009F */
		return at[0] == 0xc2 && at[1] < 0xa0;
	case 3:		/* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069 */
		return at[0] == 0xe2 && ((at[1] == 0x80 && (at[2] == 0x8e || at[2] == 0x8f ||
							    (at[2] >= 0xa8 && at[2] <= 0xae))) ||
					 (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9));
	default:
		return !length;
	}
}

/* Of control characters those in kept stay. */
static void replace_obeyed(char *line, const char *kept)
{
	char *to = line;

	while (*line) {
		int length = utf8_length(line), whole = length ? length : 1;

		if (is_obeyed((unsigned char *)line, length) && !strchr(kept, *line))
			*to++ = '?';
		else
			to = (char *)memmove(to, line, whole) + whole;
		line += whole;
	}
	*to = '\0';
}

void make_printable(char *line)
{
	replace_obeyed(line, "");
}

/* How many of the last bytes before end begin a character that continues after it. */
static unsigned long cut_off(const char *start, const char *end)
{
	int back = 1;

	while (back < 4 && end - back > start && is_continuation(end[-back]))
		back++;
	return promised_length(end[-back]) > back ? back : 0;
}

unsigned long printable_part(char *part, unsigned long room, const char *text, unsigned long length)
{
	unsigned long taken = 0;

	if (!*text) {
		memcpy(part, "?", 2);
		return 1;
	}
	while (taken < length && taken < room - 1 && text[taken])
		taken++;
	/* If room is what ends it, the character there belongs to the next part. */
	if (taken == room - 1 && taken < length)
		taken -= cut_off(text, text + taken);
	memcpy(part, text, taken);
	part[taken] = '\0';
	replace_obeyed(part, "\n\t");
	return taken;
}

void leave_out_middle(char *text, unsigned long room, const char *message)
{
	unsigned long length = strlen(message), head = (room - 4) / 2, tail = room - 4 - head;

	if (length < room) {
		memcpy(text, message, length + 1);
		return;
	}
	memcpy(text, message, head);
	memcpy(text + head, "...", 3);
	memcpy(text + head + 3, message + length - tail, tail + 1);
}
