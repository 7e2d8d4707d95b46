// SPDX-License-Identifier: GPL-2.0-only
/* A line's newest output; see history.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "history.h"

#define LONGEST_LINE 4096UL

static char *map(unsigned long size)
{
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return bytes == MAP_FAILED ? NULL : bytes;
}

int history_init(struct history *history, unsigned long size)
{
	*history = (struct history) { .bytes = map(size), .size = size };
	return history->bytes ? 0 : -ENOMEM;
}

void history_free(struct history *history)
{
	munmap(history->bytes, history->size);
	history->bytes = NULL;
}

/* Where a position lies, and how many bytes lie in one piece from there on. */
static char *at(const struct history *history, unsigned long position, unsigned long *piece)
{
	unsigned long offset = position & (history->size - 1);

	*piece = history->size - offset;
	return history->bytes + offset;
}

void history_put(struct history *history, const void *bytes, unsigned long length)
{
	const char *from = bytes;
	unsigned long piece;
	char *to;

	if (length > history->size) {		/* the rest is too old already */
		history->end += length - history->size;
		from += length - history->size;
		length = history->size;
	}
	to = at(history, history->end, &piece);
	if (piece > length)
		piece = length;
	memcpy(to, from, piece);
	memcpy(history->bytes, from + piece, length - piece);
	history->end += length;
	if (history->end - history->start > history->size)
		history->start = history->end - history->size;
}

unsigned long history_copy(const struct history *history, unsigned long position, void *to,
			   unsigned long room)
{
	unsigned long length = history->end - position, piece;
	char *from = at(history, position, &piece);

	if (length > room)
		length = room;
	if (piece > length)
		piece = length;
	memcpy(to, from, piece);
	memcpy((char *)to + piece, history->bytes, length - piece);
	return length;
}

void history_resize(struct history *history, unsigned long size)
{
	struct history other;

	if (size == history->size || history_init(&other, size))
		return;
	other.start = other.end = history->start;
	for (unsigned long position = history->start, piece; position < history->end;
	     position += piece) {
		char *from = at(history, position, &piece);

		if (piece > history->end - position)
			piece = history->end - position;
		history_put(&other, from, piece);
	}
	history_free(history);
	*history = other;
}

unsigned long history_recent(const struct history *history, unsigned long most)
{
	unsigned long from = history->start, piece;

	if (history->end - from > most)
		from = history->end - most;
	if (!from)
		return from;
	for (unsigned long i = 0; i < LONGEST_LINE && from + i < history->end; i++)
		if (*at(history, from + i, &piece) == '\n')
			return from + i + 1;
	return from;
}
