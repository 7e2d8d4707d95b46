/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files cow*.c offer each other; users of COW files need cow.h only. */
#ifndef HOST_COW_FILES_H
#define HOST_COW_FILES_H

#include "cow.h"

/* cow_header.c: formats the text of an error into why[COW_WHY] and returns error. */
int cow_error(int error, char *why, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* cow_data.c: 0 or -errno; *got is less than length at the end of the file only. */
int cow_read(int fd, void *buffer, unsigned long length, uint64_t offset, unsigned long *got);
int cow_write(int fd, const void *buffer, unsigned long length, uint64_t offset);

/* cow.c */
int cow_lock(const struct cow_options *options, int fd, const char *path, int write, char *why);
/*
 * A file or block device, opened without waiting for anything (a path from a header may name a pipe
 * or a terminal).
 */
int cow_open_file(const char *path, int write, struct stat *file, char *why);
int cow_same_file(const char *one, const char *other);
/* Bytes of path that are its folder, with the slash; 0 for the current one. */
int cow_folder_length(const char *path);
/*
 * The folder's real path with the name as it is: a symbolic link that is given stays one.
 * Allocated; NULL with errno.
 */
char *cow_absolute(const char *path);
/*
 * Opens the file at image->backing: as a COW file if it is one, unless its size as raw data is the
 * one wanted, as other programs would have noted it. wanted: bytes, or ~0 if not known. Returns its
 * size as a disk, and its time stamp.
 */
int cow_open_backing(struct cow_image *image, const struct cow_options *options, int depth,
		     uint64_t wanted, uint64_t *size, struct stat *file, char *why);

#endif
