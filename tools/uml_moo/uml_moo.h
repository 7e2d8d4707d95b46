/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of uml_moo offer each other. All of it ends the program on an error. */
#ifndef UML_MOO_H
#define UML_MOO_H

#include "copy.h"
#include "cow_tool.h"

struct arguments {
	const char *cow;
	const char *image;	/* the new image, or NULL */
	const char *backing;	/* -b, or NULL */
	int in_place, verify, info, json;
};

/* Opens the COW file and what is below it; flags: COW_ */
struct cow_image *open_cow(const struct arguments *arguments, int flags);
/* The name of the file in which an extent lies. */
const char *name_of(const struct cow_image *image, int depth);

/* merge.c */
void merge_to_new(const struct arguments *arguments);
/* in_place.c */
void merge_in_place(const struct arguments *arguments);
/*
 * merge.c: copies a first part of the disk's range to the same place, plus shift bytes, in the
 * target; returns how much.
 */
uint64_t copy_pieces(const struct cow_image *image, const struct target *target, uint64_t shift,
		     uint64_t offset, uint64_t length);
/* verify.c: compares a range of the disk with the same place, plus shift bytes, in the target. */
void compare(struct cow_image *image, const struct target *target, uint64_t shift, uint64_t offset,
	     uint64_t length);
/* verify.c: looks whether a COW file is sound. */
void verify(const struct arguments *arguments);
/* info.c */
void show_info(const struct arguments *arguments);

#endif
