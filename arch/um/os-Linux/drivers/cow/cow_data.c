// SPDX-License-Identifier: GPL-2.0-only
/*
 * COW files in use: where data lie, and flushing. See cow.h for the rules.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cow.h"
#include "cow_files.h"

int cow_read(int fd, void *buffer, unsigned long length, uint64_t offset, unsigned long *got)
{
	*got = 0;
	while (*got < length) {
		ssize_t bytes = pread(fd, (char *)buffer + *got, length - *got, offset + *got);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			return -errno;
		if (!bytes)
			break;
		*got += bytes;
	}
	return 0;
}

int cow_write(int fd, const void *buffer, unsigned long length, uint64_t offset)
{
	while (length) {
		ssize_t bytes = pwrite(fd, buffer, length, offset);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes <= 0)
			return bytes ? -errno : -EIO;
		buffer = (const char *)buffer + bytes;
		offset += bytes;
		length -= bytes;
	}
	return 0;
}

/* ---- where data lie ---- */

void cow_find(const struct cow_image *image, uint64_t offset, uint64_t length,
	      struct cow_extent *extent)
{
	extent->depth = 0;
	for (;; image = image->under, extent->depth++) {
		uint32_t size = image->header.sector_size;
		uint64_t first = offset / size, count = (offset + length - 1) / size - first + 1;
		uint64_t end;
		int present;

		end = (first + cow_bitmap_run(&image->present, first, count, &present)) * size;
		if (end - offset < length)
			length = end - offset;
		extent->length = length;
		extent->fd = present ? image->fd : image->backing_fd;
		extent->offset = present ? cow_data(image, offset) : offset;
		if (present)
			return;
		if (!image->under) {
			extent->depth++;
			return;
		}
	}
}

int cow_set(struct cow_image *image, uint64_t offset, uint64_t length)
{
	uint64_t first = offset / image->header.sector_size;

	return length ? cow_bitmap_set(&image->present, first,
				       (offset + length - 1) / image->header.sector_size - first +
					       1) :
			0;
}

/* ---- flushing ---- */

static void copy_chunk(struct cow_image *image, struct cow_stage *stage, uint64_t chunk,
		       unsigned char *to)
{
	struct cow_stage_write *last = stage->count ? &stage->writes[stage->count - 1] : NULL;
	/* What is between bitmap and data is padding, and may be written. */
	uint64_t offset = image->header.bitmap_offset + chunk * COW_CHUNK,
		 left = image->header.data_offset - offset;
	unsigned long length = left < COW_CHUNK ? left : COW_CHUNK;

	memcpy(to, image->present.chunk[chunk], COW_CHUNK);
	if (last && last->offset + last->length == offset &&
	    last->length + length <= COW_STAGE_BYTES)
		last->length += length;
	else
		stage->writes[stage->count++] =
			(struct cow_stage_write){ offset, length, to, chunk };
	image->present.dirty[chunk] = 0;
}

int cow_stage(struct cow_image *image, struct cow_stage *stage)
{
	struct cow_bitmap *bitmap = &image->present;
	unsigned long count = 0;
	unsigned char *to;

	if (image->staged)
		return -EBUSY;
	if (image->error)
		return image->error;
	memset(stage, 0, sizeof(*stage));
	for (uint64_t n = bitmap->dirty_from; n < bitmap->dirty_to; n++)
		count += bitmap->dirty[n];
	if (count) {
		stage->buffer = aligned_alloc(COW_CHUNK, count * COW_CHUNK);
		stage->writes = calloc(count, sizeof(*stage->writes));
		if (!stage->buffer || !stage->writes) {
			free(stage->buffer);
			free(stage->writes);
			return -ENOMEM;
		}
	}
	to = stage->buffer;
	for (uint64_t n = bitmap->dirty_from; n < bitmap->dirty_to; n++)
		if (bitmap->dirty[n]) {
			copy_chunk(image, stage, n, to);
			to += COW_CHUNK;
		}
	bitmap->dirty_from = bitmap->chunks;
	bitmap->dirty_to = 0;
	image->staged = 1;
	return 0;
}

void cow_stage_done(struct cow_image *image, struct cow_stage *stage, int error)
{
	for (unsigned int n = 0; error && n < stage->count; n++)
		for (unsigned long done = 0; done < stage->writes[n].length; done += COW_CHUNK)
			cow_bitmap_mark_dirty(&image->present,
					      stage->writes[n].chunk + done / COW_CHUNK);
	free(stage->writes);
	free(stage->buffer);
	memset(stage, 0, sizeof(*stage));
	image->staged = 0;
}

void cow_sync_failed(struct cow_image *image, int error)
{
	if (!image->error)
		image->error = error;
}

static int sync_file(struct cow_image *image)
{
	if (fdatasync(image->fd) == 0)
		return 0;
	cow_sync_failed(image, -errno);
	return image->error;
}

int cow_flush(struct cow_image *image)
{
	struct cow_stage stage;
	int error = cow_stage(image, &stage), count;

	if (error)
		return error;
	count = stage.count;
	error = sync_file(image);
	for (unsigned int n = 0; !error && n < stage.count; n++)
		error = cow_write(image->fd, stage.writes[n].bytes, stage.writes[n].length,
				  stage.writes[n].offset);
	if (!error && count)
		error = sync_file(image);
	cow_stage_done(image, &stage, error);
	return error;
}
