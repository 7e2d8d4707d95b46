// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter for what a guest wrote to its terminal and we write to ours. It lets through what the
 * lists below name, in the notation of ECMA-48 and of xterm's list of control sequences.
 *
 * Control strings (titles, the clipboard, colours of the palette, graphics) end at their
 * terminator, at any ESC, or after FILTER_STRING bytes. So a guest cannot hide what follows by
 * beginning one.
 */
#include <stdlib.h>
#include <string.h>

#include "log_filter.h"
#include "printable.h"

#define ESC 0x1b
#define MOST_MOVE 9999			/* a larger number only keeps the terminal busy */

/* Sequences that would move the cursor are only sent where they are needed. */
size_t log_filter_reset(const struct log_filter *filter, char *to)
{
	char *at = to;

	*at = '\0';
	if (filter->passed_screen)
		at = stpcpy(at, "\033[?1049l");
	if (filter->passed_margins)		/* the whole screen scrolls */
		at = stpcpy(at, "\0337\033[r\0338");
	if (filter->passed_any)			/* colours, overwrite, wrap lines, cursor, ASCII */
		at = stpcpy(at, "\033[0m\033[4l\033[?7h\033[?25h\033(B\033)B\017");
	return at - to;
}

/* Final bytes of control sequences without a prefix: moving, clearing, colours, the margins. */
static const char plain_finals[] = "@ABCDEFGHIJKLMPSTXZ`abdefmrsu";

static int is_one_of(const char *list, char byte)
{
	return byte && strchr(list, byte);
}

/* Modes of DEC that are undone by the reset: lines wrap, the cursor shows, the other screen. */
static int is_private_mode(const char *parameters)
{
	static const char *const modes[] = { "7", "25", "47", "1047", "1048", "1049", NULL };

	for (int i = 0; modes[i]; i++)
		if (!strcmp(parameters, modes[i]))
			return 1;
	return 0;
}

static int numbers_are_small(const char *parameters)
{
	for (const char *at = parameters; *at; at++) {
		char *end;

		if (*at < '0' || *at > '9')
			continue;
		if (strtoul(at, &end, 10) > MOST_MOVE)
			return 0;
		at = end - 1;
	}
	return 1;
}

/* parameters: what is between ESC [ and the final byte. */
static int control_passes(const char *parameters, char final)
{
	if (strspn(parameters, "0123456789;:?") != strlen(parameters) ||
	    !numbers_are_small(parameters))
		return 0;
	if (*parameters == '?')
		return (final == 'h' || final == 'l') && is_private_mode(parameters + 1);
	if (strchr(parameters, '?'))
		return 0;
	if (final == 'J')		/* 3 clears what was scrolled out */
		return !strpbrk(parameters, "3");
	if (final == 'h' || final == 'l')
		return !strcmp(parameters, "4");
	if (final == 'T')		/* with several numbers it is about the mouse */
		return !strchr(parameters, ';');
	return is_one_of(plain_finals, final);
}

/* Escape sequences without parameters: lines up and down, the cursor saved. */
static int escape_passes(const char *sequence, size_t length)
{
	if (length == 1)
		return is_one_of("78DEM", sequence[0]);
	return length == 2 && is_one_of("()", sequence[0]) && is_one_of("0AB", sequence[1]);
}

/* ---- the states ---- */

static char *put_sequence(struct log_filter *filter, const char *start, char *to)
{
	to = stpcpy(to, start);
	memcpy(to, filter->sequence, filter->length);
	filter->passed_any = 1;
	return to + filter->length;
}

static void back_to_text(struct log_filter *filter)
{
	filter->state = FILTER_TEXT;
	filter->length = filter->character = 0;
}

/* One byte of text; whole characters of UTF-8 come out, and ? for what is none. */
static char *take_text(struct log_filter *filter, char byte, char *to)
{
	char *character = filter->sequence;
	int length;

	character[filter->character++] = byte;
	memset(character + filter->character, 0, 4);
	length = utf8_length(character);
	if (length > 1) {
		make_printable(character);
		to = stpcpy(to, character);
		filter->character = 0;
	} else if (length == 1) {
		if ((byte >= ' ' && byte != 0x7f) || is_one_of("\b\t\n\r\016\017", byte))
			*to++ = byte;
		filter->passed_any |= byte == 016;
		filter->character = 0;
	} else if (filter->character == 4) {
		*to++ = '?';
		filter->character = 0;
	}
	return to;
}

/* Bytes of a character that stays incomplete, since something else follows. */
static char *give_up_character(struct log_filter *filter, char *to)
{
	if (filter->character)
		*to++ = '?';
	filter->character = 0;
	return to;
}

static char *take_escape(struct log_filter *filter, char byte, char *to)
{
	filter->sequence[filter->length++] = byte;
	if (filter->length == 1 && byte == '[') {
		filter->state = FILTER_CONTROL;
		filter->length = 0;
	} else if (filter->length == 1 && is_one_of("]PX^_", byte)) {
		filter->state = FILTER_STRINGS;
		filter->length = 0;
	} else if (byte < ' ' || byte > '~' || filter->length == FILTER_SEQUENCE) {
		back_to_text(filter);
	} else if (byte >= '0') {
		if (escape_passes(filter->sequence, filter->length))
			to = put_sequence(filter, "\033", to);
		back_to_text(filter);
	}
	return to;
}

static char *take_control(struct log_filter *filter, char byte, char *to)
{
	filter->sequence[filter->length++] = byte;
	if (byte >= '@' && byte <= '~') {
		filter->sequence[filter->length - 1] = '\0';
		if (control_passes(filter->sequence, byte)) {
			filter->passed_margins |= byte == 'r';
			filter->passed_screen |= byte == 'h' && strchr(filter->sequence, '4');
			filter->sequence[filter->length - 1] = byte;
			to = put_sequence(filter, "\033[", to);
		}
		back_to_text(filter);
	} else if (byte < ' ' || byte > '~' || filter->length == FILTER_SEQUENCE - 1) {
		back_to_text(filter);
	}
	return to;
}

static void take_string(struct log_filter *filter, char byte)
{
	if (byte == '\a' || byte == 0x18 || byte == 0x1a || ++filter->length == FILTER_STRING)
		back_to_text(filter);
}

static char *take(struct log_filter *filter, char byte, char *to)
{
	/* An ESC begins something new, wherever it is; that of ESC \ ends a string. */
	if (byte == ESC) {
		if (filter->state == FILTER_TEXT)
			to = give_up_character(filter, to);
		filter->state = FILTER_ESCAPE;
		filter->length = 0;
		return to;
	}
	switch (filter->state) {
	case FILTER_ESCAPE:
		return take_escape(filter, byte, to);
	case FILTER_CONTROL:
		return take_control(filter, byte, to);
	case FILTER_STRINGS:
		take_string(filter, byte);
		return to;
	default:
		if (filter->character && ((unsigned char)byte & 0xc0) != 0x80)
			to = give_up_character(filter, to);
		return take_text(filter, byte, to);
	}
}

size_t log_filter(struct log_filter *filter, const char *from, size_t length, char *to)
{
	char *start = to;

	for (size_t i = 0; i < length; i++)
		to = take(filter, from[i], to);
	return to - start;
}
