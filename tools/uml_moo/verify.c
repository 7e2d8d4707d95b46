// SPDX-License-Identifier: GPL-2.0-only
/* --verify: whether a merge wrote what it was to write, and whether a COW file is sound. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "uml_moo.h"

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void compare_bytes(const struct cow_image *image, const struct cow_extent *extent,
			  const struct target *target, uint64_t offset, uint64_t length)
{
	const char *source = name_of(image, extent->depth);

	for (uint64_t done = 0; done < length;) {
		uint64_t here = min(length - done, BUFFER), at = 0;

		get(extent->fd, source, buffer(0), here, extent->offset + done);
		get(target->fd, target->path, buffer(1), here, offset + done);
		while (at < here && buffer(0)[at] == buffer(1)[at])
			at = memcmp(buffer(0), buffer(1), here) ? at + 1 : here;
		if (at < here) {
			progress_end();
			die("%s is not as %s has it at byte %llu", target->path, source,
			    (unsigned long long)offset + done + at);
		}
		done += here;
		progress_add(here);
	}
}

void compare(struct cow_image *image, const struct target *target, uint64_t shift, uint64_t offset,
	     uint64_t length)
{
	while (length) {
		struct cow_extent extent;
		int hole, other;

		cow_find(image, offset, length, &extent);
		extent.length = file_extent(extent.fd, extent.offset, extent.length, &hole);
		extent.length = file_extent(target->fd, offset + shift, extent.length, &other);
		if (!hole || !other)
			compare_bytes(image, &extent, target, offset + shift, extent.length);
		offset += extent.length;
		length -= extent.length;
	}
}

/* Bits behind the last sector; they do no harm. */
static int bits_behind_end(const struct cow_image *image)
{
	uint64_t bits = image->present.bits;
	unsigned char last;

	if (bits % 8 == 0)
		return 0;
	get(image->fd, image->path, &last, 1, image->header.bitmap_offset + bits / 8);
	return last >> bits % 8;
}

/* Reads all data of the COW file. */
static uint64_t read_data(const struct cow_image *image)
{
	uint64_t size = image->header.size, offset = 0, read = 0;

	while (offset < size) {
		struct cow_extent extent;
		int hole;

		cow_find(image, offset, size - offset, &extent);
		if (!extent.depth) {
			extent.length = file_extent(image->fd, extent.offset, extent.length, &hole);
			extent.length = min(extent.length, BUFFER);
			get(image->fd, image->path, buffer(0), extent.length, extent.offset);
			read += extent.length;
			progress_add(extent.length);
		}
		offset += extent.length;
	}
	return read;
}

void verify(const struct arguments *arguments)
{
	struct cow_image *image = open_cow(arguments, COW_READ_ONLY);
	uint64_t read;

	progress_begin("reading", cow_bitmap_count(&image->present) * image->header.sector_size);
	read = read_data(image);
	progress_end();
	if (bits_behind_end(image))
		tell("%s: the bitmap has bits behind the end of the disk, which mean nothing",
		     image->path);
	tell("%s is sound: %llu of its %llu bytes are in it, the others in %s", image->path,
	     (unsigned long long)read, (unsigned long long)image->header.size, image->backing);
	cow_close(image);
}
