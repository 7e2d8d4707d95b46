/* SPDX-License-Identifier: GPL-2.0-only */
/* Text of strangers (paths in headers, names of files) on its way to a terminal. */
#ifndef PRINTABLE_H
#define PRINTABLE_H

/* Bytes of the UTF-8 character at text, or 0 if there is none: the strict form of Unicode's table 3-7. */
int utf8_length(const char *text);
/*
 * Puts ? for what a terminal would obey instead of showing it: control characters, those that change
 * the direction of writing, and bytes that are not UTF-8. In place; takes no memory and no locks.
 */
void make_printable(char *line);

#endif
