/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A line's newest output: a ring that several read, each at its own position. Positions count all
 * bytes that were ever put in. Its owner's lock covers it.
 */
#ifndef HISTORY_H
#define HISTORY_H

struct history {
	char *bytes;
	unsigned long size;		/* a power of two */
	unsigned long start, end;	/* positions of the oldest byte, and behind the newest */
};

/* Makes an empty one, which takes no memory of the host before it is written. 0 or -ENOMEM. */
int history_init(struct history *history, unsigned long size);
/* Gives it another size; the newest bytes stay. Without memory it stays as it is. */
void history_resize(struct history *history, unsigned long size);
void history_free(struct history *history);

void history_put(struct history *history, const void *bytes, unsigned long length);
/* Copies as many bytes from @position on as there are, and room for; how many. */
unsigned long history_copy(const struct history *history, unsigned long position, void *to,
			   unsigned long room);
/*
 * Where the newest @most bytes begin. If there were more before, after a newline, if there is one
 * within 4 KiB.
 */
unsigned long history_recent(const struct history *history, unsigned long most);

#endif
