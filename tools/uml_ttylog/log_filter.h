/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A filter between a guest's output and a terminal. It passes text, movements of the cursor,
 * colours and clearing. Nothing passes that makes the terminal answer, or that would stay after the
 * reset at the end.
 */
#ifndef LOG_FILTER_H
#define LOG_FILTER_H

#include <stddef.h>

#define FILTER_SEQUENCE 64		/* bytes of a control sequence */
#define FILTER_STRING 4096		/* bytes of a control string, at most */

struct log_filter {
	enum { FILTER_TEXT, FILTER_ESCAPE, FILTER_CONTROL, FILTER_STRINGS } state;
	size_t length;			/* of sequence, or of a string so far */
	char sequence[FILTER_SEQUENCE];
	size_t character;		/* bytes of a UTF-8 character in sequence; in FILTER_TEXT */
	/* Kinds of sequences that passed, which the reset undoes. */
	int passed_any, passed_margins, passed_screen;
};

/*
 * Filters length bytes into to, which has room for FILTER_ROOM(length). Returns how many came out.
 * A sequence or character that is not complete is kept for the next call.
 */
#define FILTER_ROOM(length) (4 * (length) + FILTER_SEQUENCE)
size_t log_filter(struct log_filter *filter, const char *from, size_t length, char *to);
/* Writes into to, of FILTER_RESET bytes, what undoes all that passed; how many bytes. */
#define FILTER_RESET 128
size_t log_filter_reset(const struct log_filter *filter, char *to);

#endif
