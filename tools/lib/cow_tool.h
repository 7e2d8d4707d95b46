/* SPDX-License-Identifier: GPL-2.0-only */
/* What uml_moo and uml_mkcow have in common. */
#ifndef COW_TOOL_H
#define COW_TOOL_H

#include "cow.h"

#define COW_TOOL_VERSION "1.0"

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
/* For struct cow_options: what ./linux locks is refused, with the process that has it. */
int lock_file(void *unused, int fd, const char *path, int write, char why[COW_WHY]);
/*
 * Process id of who has the file locked against being read (or written); 0: nobody; -1: somebody.
 */
int locked_by(int fd, int write);

#endif
