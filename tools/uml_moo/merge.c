// SPDX-License-Identifier: GPL-2.0-only
/*
 * Merging to a new image. It is written under another name and gets its own when it is whole and
 * on the disk, so that a merge that fails leaves what was there. A block device is written as it
 * is.
 *
 * A disk is a sequence of pieces, each in one file. Large ones are copied as ranges; where they
 * are small and alternate, they are put together in memory and written at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cow_files.h"
#include "uml_moo.h"

#define LARGE	(64UL << 10)

static char *unfinished;	/* to be removed when we end early */

uint64_t copy_pieces(const struct cow_image *image, const struct target *target, uint64_t shift,
		     uint64_t offset, uint64_t length)
{
	uint64_t done = 0, limit = length < BUFFER ? length : BUFFER;
	unsigned char *bytes = buffer(1);
	struct cow_extent extent;

	cow_find(image, offset, length, &extent);
	if (extent.length >= LARGE || extent.length == length) {
		copy_range(extent.fd, name_of(image, extent.depth), extent.offset, target,
			   offset + shift, extent.length);
		return extent.length;
	}
	while (done < limit) {
		cow_find(image, offset + done, limit - done, &extent);
		if (done && extent.length >= LARGE)
			break;
		get(extent.fd, name_of(image, extent.depth), bytes + done, extent.length,
		    extent.offset);
		done += extent.length;
	}
	put(target, bytes, done, offset + shift);
	progress_add(done);
	return done;
}

static void remove_unfinished(void)
{
	if (unfinished)
		unlink(unfinished);
}

static void interrupted(int number)
{
	remove_unfinished();
	signal(number, SIG_DFL);
	raise(number);
}

static void refuse_own(const struct cow_image *image, const char *path)
{
	for (; image; image = image->under)
		if (cow_same_file(path, image->path) || cow_same_file(path, image->backing))
			die("%s is part of what is to be merged; name a new image, or merge in place with -d",
			    path);
}

/* The image's name: where a symbolic link points to, so that the link stays. */
static char *final_name(const char *path)
{
	char *real = realpath(path, NULL);

	return real ? real : strdup(path);
}

static void open_device(struct target *target, uint64_t size)
{
	unsigned long long room;

	target->fd = open(target->path, O_RDWR | O_CLOEXEC | O_EXCL);
	if (target->fd < 0)
		die("%s: %m", target->path);
	if (ioctl(target->fd, BLKGETSIZE64, &room) < 0 || room < size)
		die("%s is smaller than the disk of %llu bytes", target->path,
		    (unsigned long long)size);
}

static void open_new(struct target *target, const char *name, const struct stat *old, uint64_t size)
{
	if (asprintf(&unfinished, "%s.partial%d", name, getpid()) < 0)
		die("there is no memory");
	target->fd = open(unfinished, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (target->fd < 0) {
		char *path = unfinished;

		unfinished = NULL;
		die("%s: %m", path);
	}
	atexit(remove_unfinished);
	signal(SIGINT, interrupted);
	signal(SIGTERM, interrupted);
	signal(SIGHUP, interrupted);
	target->fresh = 1;
	if (ftruncate(target->fd, size) < 0)
		die("%s: %m", target->path);
	if (old && fchmod(target->fd, old->st_mode & 0777) < 0)
		die("%s: %m", target->path);
}

/*
 * Opens what the image is written to. Returns a descriptor that holds a lock on an old image of
 * that name, or -1.
 */
static int open_target(struct target *target, const char *name, const struct cow_image *image)
{
	char why[COW_WHY];
	struct stat file;
	int old = -1;

	if (stat(name, &file) < 0) {
		if (errno != ENOENT)
			die("%s: %m", name);
		open_new(target, name, NULL, image->header.size);
		return -1;
	}
	refuse_own(image, name);
	if (S_ISBLK(file.st_mode)) {
		open_device(target, image->header.size);
		return -1;
	}
	old = cow_open_file(name, 1, &file, why);
	if (old < 0 || lock_file(NULL, old, name, 1, why))
		die("%s", why);
	open_new(target, name, &file, image->header.size);
	return old;
}

static void give_name(const char *name)
{
	int length = cow_folder_length(name), folder;
	char *path = length ? strndup(name, length) : strdup(".");

	if (rename(unfinished, name) < 0)
		die("%s: %m", name);
	free(unfinished);
	unfinished = NULL;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0) {
		fsync(folder);
		close(folder);
	}
	free(path);
}

void merge_to_new(const struct arguments *arguments)
{
	struct cow_image *image = open_cow(arguments, COW_READ_ONLY);
	uint64_t size = image->header.size, done = 0;
	struct target target = { .path = arguments->image };
	char *name = final_name(arguments->image);
	int old = open_target(&target, name, image);

	progress_begin("merging", size);
	while (done < size)
		done += copy_pieces(image, &target, 0, done, size - done);
	progress_end();
	if (fsync(target.fd) < 0)
		die("%s: %m", target.path);
	if (arguments->verify)
		compare(image, &target, 0, 0, size);
	if (unfinished)
		give_name(name);
	close(target.fd);
	if (old >= 0)
		close(old);
	free(name);
	cow_close(image);
}
