/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * copy.c: moving bytes between files, at the speed of copying and with their holes. All of it ends
 * the program on an error.
 */
#ifndef COPY_H
#define COPY_H

#include <stdint.h>

/* Where a copy goes. */
struct target {
	int fd;
	const char *path;
	int fresh; /* reads as zeroes where nothing was written, so holes need nothing */
};

/* Copies length bytes; where the source (named for errors) has holes, the target gets some too. */
void copy_range(int from, const char *source, uint64_t from_offset, const struct target *target,
		uint64_t offset, uint64_t length);
/* How many bytes from offset on are data (*hole 0) or a hole; at most limit. */
uint64_t file_extent(int fd, uint64_t offset, uint64_t limit, int *hole);
/* Writes a buffer, to a fresh target without its blocks of zeroes. */
void put(const struct target *target, const unsigned char *bytes, uint64_t length, uint64_t offset);
void get(int fd, const char *source, unsigned char *bytes, uint64_t length, uint64_t offset);

#define BUFFER	(1UL << 20)
/* BUFFER bytes; copy_range() uses the first. */
unsigned char *buffer(int number);

/*
 * For the line on a terminal: what there is to do in all (bytes; what: a verb), and what has been
 * done.
 */
void progress_begin(const char *what, uint64_t total);
void progress_add(uint64_t bytes);
void progress_end(void);

#endif
