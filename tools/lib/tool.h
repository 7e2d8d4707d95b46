/* SPDX-License-Identifier: GPL-2.0-only */
/* The common part of all tools. */
#ifndef TOOL_H
#define TOOL_H

#define TOOL_VERSION "1.0"

extern const char *tool_name;

/* One line on standard output, whatever is in it. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One line on standard error, and status 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* The same for a wrong command line: says where help is; status 2. */
void die_usage(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/*
 * For what getopt_long() returned for a wrong option; it said nothing itself, since its string
 * begins with ':'.
 */
void die_of_option(int result, char *const *argv) __attribute__((noreturn));
void *allocate(unsigned long size);

#endif
