/* SPDX-License-Identifier: GPL-2.0-only */
/* What uml_moo and uml_mkcow have in common. */
#ifndef COW_TOOL_H
#define COW_TOOL_H

#include "cow.h"
#include "tool.h"

/* For struct cow_options: what ./linux locks is refused, with the process that has it. */
int lock_file(void *unused, int fd, const char *path, int write, char why[COW_WHY]);
/*
 * Process id of who has the file locked against being read (or written); 0: nobody; -1: somebody.
 */
int locked_by(int fd, int write);

#endif
