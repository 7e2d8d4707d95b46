// SPDX-License-Identifier: GPL-2.0-only
/* JSON on standard output. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "printable.h"

/* Prints one character of text and returns its bytes. */
static int print_character(const unsigned char *text)
{
	int length = utf8_length((const char *)text);

	if (*text == '"' || *text == '\\')
		printf("\\%c", *text);
	else if (length == 2 && text[0] == 0xc2 && text[1] < 0xa0)
		/* U+0080 to U+009F, which a terminal may obey */
		printf("\\u%04x", text[1]);
	else if (*text < 0x20 || *text == 0x7f || !length)
		printf("\\u%04x", *text);
	else
		fwrite(text, 1, length, stdout);
	return length ? length : 1;
}

void print_json_text(const char *text, unsigned long length)
{
	const char *end = text + length;

	putchar('"');
	while (text < end)
		text += print_character((const unsigned char *)text);
	putchar('"');
}

void print_json_string(const char *string)
{
	print_json_text(string, strlen(string));
}
