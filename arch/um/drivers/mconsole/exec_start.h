/* SPDX-License-Identifier: GPL-2.0-only */
/* The first frame of a connection to the socket exec: what to run. */
#ifndef UM_EXEC_START_H
#define UM_EXEC_START_H

#include <linux/types.h>

#include "guest_command.h"

struct exec_start {
	bool wants_terminal;
	unsigned int rows, columns;
	const char **lists;		/* arguments, NULL, environment, NULL */
	void *frame;			/* what the command's strings point into */
};

/*
 * Fills start and what the command is to run. Copies the frame. Returns NULL, or why it is not a
 * request; exec_start_free() is right after both.
 */
const char *exec_start_parse(struct exec_start *start, struct guest_command *command,
			     const void *frame, size_t length);
void exec_start_free(struct exec_start *start);

#endif
