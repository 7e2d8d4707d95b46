/* SPDX-License-Identifier: GPL-2.0-only */
/* Text of strangers (paths in headers, names of files) on its way to a terminal. */
#ifndef PRINTABLE_H
#define PRINTABLE_H

/*
 * Bytes of the UTF-8 character at text, or 0 if there is none: the strict form of Unicode's table
 * 3-7.
 */
int utf8_length(const char *text);
/*
 * Puts ? for what a terminal would obey instead of showing it: control characters, those that
 * change the direction of writing, and bytes that are not UTF-8. In place; takes no memory and no
 * locks.
 */
void make_printable(char *line);
/*
 * For logs, in which newlines and tabs stay: makes printable as much of text, which has length
 * bytes, as goes into part, of room bytes with the 0 at its end. Returns how much of text that was,
 * at least one byte; room is at least 5. No character is cut.
 */
unsigned long printable_part(char *part, unsigned long room, const char *text, unsigned long length);
/*
 * Copies a message into text, of room bytes. From one that is too long, since it names a long path,
 * the middle is left out: it begins with what it is about and ends with what to do.
 */
void leave_out_middle(char *text, unsigned long room, const char *message);

#endif
