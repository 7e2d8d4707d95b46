// SPDX-License-Identifier: GPL-2.0-only
/*
 * Merging in place: what is in the COW file is written to the backing file. It may be interrupted
 * at any moment, by loss of power too; repeating it completes it:
 *
 *   1. The COW file gets a mark, durably. From here on nothing uses it but this, which asks no
 *      more whether the backing file is the one it was made for (its time stamp changes with the
 *      first write).
 *   2. The sectors are written to the backing file, durably. Done twice, this changes nothing.
 *   3. The backing file's new time stamp goes to the COW file's header; then all bits are cleared,
 *      durably, in any order: each sector reads the same from either file. Then the data are
 *      freed.
 *   4. The mark goes. What is left is an empty COW file over the merged backing file, ready for
 *      use.
 *
 * Other COW files over the same backing file are of no use afterwards. Time stamps have seconds:
 * to be sure that they notice, a merge neither begins nor ends in the second that the COW file has
 * for its backing file.
 *
 * If the backing file is a COW file, the sectors go to that one, in its own order of steps.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cow_files.h"
#include "uml_moo.h"

#define GAP \
	(16UL << 10) /* bytes between two pieces that are written along rather than in two writes */

static void check(int error, const char *path)
{
	if (error)
		die("%s: %s", path, strerror(-error));
}

/*
 * The end of the pieces of the COW file that are to be written at once, the first of which goes
 * from offset to end.
 */
static uint64_t cluster_end(const struct cow_image *image, uint64_t offset, uint64_t end,
			    uint64_t gap)
{
	uint64_t size = image->header.size, at = end;

	while (at < size && end - offset < BUFFER && at - end <= gap) {
		struct cow_extent extent;

		cow_find(image, at, size - at, &extent);
		at += extent.length;
		if (!extent.depth)
			end = at;
	}
	return end;
}

/* Calls body for all ranges that hold data of the COW file. */
static void for_each_cluster(struct cow_image *image, const struct target *target, uint64_t shift,
			     uint64_t gap,
			     void (*body)(struct cow_image *, const struct target *, uint64_t shift,
					  uint64_t offset, uint64_t length))
{
	uint64_t size = image->header.size, offset = 0;

	while (offset < size) {
		struct cow_extent extent;
		uint64_t end;

		cow_find(image, offset, size - offset, &extent);
		end = offset + extent.length;
		if (!extent.depth) {
			end = cluster_end(image, offset, end, gap);
			body(image, target, shift, offset, end - offset);
		}
		offset = end;
	}
}

static void write_cluster(struct cow_image *image, const struct target *target, uint64_t shift,
			  uint64_t offset, uint64_t length)
{
	for (uint64_t done = 0; done < length;)
		done += copy_pieces(image, target, shift, offset + done, length - done);
	if (image->under)
		check(cow_set(image->under, offset, length), image->under->path);
}

static struct stat status_of(const struct cow_image *image)
{
	struct stat file;

	if (fstat(image->under ? image->under->fd : image->backing_fd, &file) < 0)
		die("%s: %m", image->backing);
	return file;
}

/*
 * Whether the time stamp of the backing file says that it is as it was. That of a block device's
 * node says nothing.
 */
static int looks_unchanged(const struct cow_image *image)
{
	struct stat file = status_of(image);

	return !S_ISBLK(file.st_mode) && (uint32_t)file.st_mtime == image->header.mtime;
}

/* Sleeps until it is another second than the one that the COW file knows. */
static void leave_second(uint32_t second)
{
	while ((uint32_t)time(NULL) == second)
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

static void make_durable(struct cow_image *image, const struct target *target)
{
	if (image->under)
		check(cow_flush(image->under), image->backing);
	if (fsync(target->fd) < 0)
		die("%s: %m", image->backing);
	while (looks_unchanged(image)) {
		const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
						   { .tv_nsec = UTIME_NOW } };

		leave_second(image->header.mtime);
		if (futimens(target->fd, times) < 0 || fsync(target->fd) < 0)
			die("%s: %m", image->backing);
	}
}

static void clear_bits(const struct cow_image *image)
{
	struct target target = { .fd = image->fd, .path = image->path };
	uint64_t at = image->header.bitmap_offset, end = at + image->header.bitmap_length;

	if (fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, end - at) < 0) {
		memset(buffer(0), 0, BUFFER);
		for (; at < end; at += BUFFER)
			put(&target, buffer(0), end - at < BUFFER ? end - at : BUFFER, at);
	}
	if (fdatasync(image->fd) < 0)
		die("%s: %m", image->path);
	/* Where this does not work the space stays taken; nothing is wrong. */
	if (fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      image->header.data_offset, image->header.size) < 0)
		return;
}

static void set_mark(struct cow_image *image, int merging)
{
	image->header.merging = merging;
	check(cow_write_mark(image), image->path);
}

void merge_in_place(const struct arguments *arguments)
{
	struct cow_image *image = open_cow(arguments, COW_MERGE);
	struct target target = { .path = image->backing,
				 .fd = image->under ? image->under->fd : image->backing_fd };
	uint64_t sectors = cow_bitmap_count(&image->present),
		 shift = image->under ? image->under->header.data_offset : 0;
	uint64_t gap = image->under ? 0 : GAP;

	if (!cow_can_mark(&image->header))
		die("the path in the header of %s leaves no room to note a merge in place; merge it to a new image",
		    image->path);
	if (sectors || image->header.merging) {
		leave_second(image->header.mtime);
		set_mark(image, 1);
		progress_begin("merging in place", sectors * image->header.sector_size);
		for_each_cluster(image, &target, shift, gap, write_cluster);
		progress_end();
		make_durable(image, &target);
		if (arguments->verify)
			for_each_cluster(image, &target, shift, gap, compare);
		image->header.mtime = status_of(image).st_mtime;
		check(cow_write_mtime(image), image->path);
		clear_bits(image);
		set_mark(image, 0);
	}
	cow_close(image);
}
