/* SPDX-License-Identifier: GPL-2.0-only */
/* JSON on standard output. */
#ifndef JSON_H
#define JSON_H

/*
 * Prints a string with its quotes. It may be any bytes: those that are not UTF-8 come as the
 * characters of the same number.
 */
void print_json_string(const char *string);
/* The same of @length bytes, NULs among them; a NUL follows them. */
void print_json_text(const char *text, unsigned long length);

#endif
