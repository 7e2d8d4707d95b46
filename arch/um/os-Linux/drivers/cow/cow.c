// SPDX-License-Identifier: GPL-2.0-only
/*
 * COW files on the host: opening them with all that they stand on, and checking that it is what
 * they were made for. See cow.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cow.h"
#include "cow_files.h"

/* Puts text before what is in why. */
static void put_before(char *why, const char *text)
{
	char *rest = strdup(why);

	cow_error(0, why, "%s%s", text, rest ? rest : "");
	free(rest);
}

int cow_lock(const struct cow_options *options, int fd, const char *path, int write, char *why)
{
	int error;

	if (!options->lock)
		return 0;
	*why = '\0';
	error = options->lock(options->argument, fd, path, write, why);
	if (error && !*why)
		cow_error(0, why, error == -EAGAIN ? "%s is in use" : "%s cannot be locked", path);
	return error;
}

/*
 * A file or block device, opened without waiting for anything (a path from a header may name a pipe
 * or a terminal).
 */
int cow_open_file(const char *path, int write, struct stat *file, char *why)
{
	int fd;

	if (stat(path, file) < 0)
		return cow_error(-errno, why, "%s: %s", path, strerror(errno));
	if (!S_ISREG(file->st_mode) && !S_ISBLK(file->st_mode))
		return cow_error(-ENOTBLK, why, "%s is neither a file nor a block device", path);
	fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, file) < 0) {
		int error = -errno;

		if (fd >= 0)
			close(fd);
		return cow_error(error, why, "%s: %s", path, strerror(-error));
	}
	return fd;
}

static int size_of(int fd, const struct stat *file, uint64_t *size)
{
	unsigned long long bytes;

	*size = file->st_size;
	if (!S_ISBLK(file->st_mode))
		return 0;
	if (ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return -errno;
	*size = bytes;
	return 0;
}

/* ---- paths; allocated, NULL with errno set when there are none ---- */

/* Bytes of path that are its folder, with the slash; 0 for the current one. */
int cow_folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 - path : 0;
}

/* The first length bytes of folder, and name. */
static char *cow_join(const char *folder, int length, const char *name)
{
	char *path;

	return asprintf(&path, "%.*s%s", length, folder, name) < 0 ? NULL : path;
}

/*
 * A name in a header that is relative is one beside the COW file, if there is such a file; else it
 * is relative to where we are.
 */
static char *locate(const char *cow, const char *name)
{
	char *beside = *name != '/' ? cow_join(cow, cow_folder_length(cow), name) : NULL;

	if (beside && access(beside, F_OK) == 0)
		return beside;
	free(beside);
	return strdup(name);
}

/* The folder's real path with the name as it is: a symbolic link that is given stays one. */
char *cow_absolute(const char *path)
{
	int length = cow_folder_length(path);
	char *folder = length ? strndup(path, length) : strdup(".");
	char *real = folder ? realpath(folder, NULL) : NULL, *result = NULL;

	if (real &&
	    asprintf(&result, "%s%s%s", real, strcmp(real, "/") ? "/" : "", path + length) < 0)
		result = NULL;
	free(folder);
	free(real);
	return result;
}

int cow_same_file(const char *one, const char *other)
{
	struct stat a, b;

	return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* ---- the backing file ---- */

static int open_image(struct cow_image **result, const struct cow_options *options, int depth,
		      char *why);

/*
 * Opens the file at image->backing: as a COW file if it is one, unless its size as raw data is the
 * one wanted, as other programs would have noted it. wanted: bytes, or ~0 if not known. Returns its
 * size as a disk, and its time stamp.
 */
int cow_open_backing(struct cow_image *image, const struct cow_options *options, int depth,
		     uint64_t wanted, uint64_t *size, struct stat *file, char *why)
{
	int write = options->flags & COW_MERGE, error;
	struct cow_options below = { .path = image->backing,
				     .lock = options->lock,
				     .argument = options->argument,
				     .flags = write ? 0 : COW_READ_ONLY };
	char start[8];
	unsigned long got;
	int fd = cow_open_file(image->backing, write, file, why);

	if (fd < 0) {
		put_before(why, "backing file ");
		return fd == -ENOENT ? -ENOLINK : fd;
	}
	error = size_of(fd, file, size);
	if (!error)
		error = cow_read(fd, start, sizeof(start), 0, &got);
	if (error) {
		cow_error(0, why, "backing file %s: %s", image->backing, strerror(-error));
		goto close;
	}
	if (!cow_is_cow(start, got) || *size == wanted) {
		error = cow_lock(options, fd, image->backing, write, why);
		if (error)
			goto close;
		image->backing_fd = fd;
		return 0;
	}
	close(fd);
	error = open_image(&image->under, &below, depth + 1, why);
	if (!error)
		*size = image->under->header.size;
	return error == -ENOENT ? -ENOLINK : error;
close:
	close(fd);
	return error;
}

static void text_of_time(char text[64], uint32_t seconds)
{
	time_t time = seconds;
	struct tm parts;

	gmtime_r(&time, &parts);
	strftime(text, 64, "%Y-%m-%d %H:%M:%S UTC", &parts);
}

/*
 * Whether this is the file that the header is about. The time of a block device's node says
 * nothing.
 */
static int check_backing(const struct cow_image *image, uint64_t size, const struct stat *file,
			 int flags, char *why)
{
	uint32_t mtime = file->st_mtime;
	char is[64], was[64];

	if (size != image->header.size)
		return cow_error(
			-ESTALE, why,
			"backing file %s has changed: its size is %llu bytes, and was %llu when %s was made",
			image->backing, (unsigned long long)size,
			(unsigned long long)image->header.size, image->path);
	if (mtime == image->header.mtime || S_ISBLK(file->st_mode))
		return 0;
	if (image->header.merging && (flags & COW_MERGE))
		return 0;
	text_of_time(is, mtime);
	text_of_time(was, image->header.mtime);
	return cow_error(
		-ESTALE, why,
		"backing file %s has changed: it was modified at %s, and %s was made for %s "
		"(if its content is the same: touch -d @%u %s)",
		image->backing, is, image->path, was, image->header.mtime, image->backing);
}

/*
 * The header of a COW file may name any file that its user can read, and a guest then reads it:
 * what a stranger made is believed only where the user says the same.
 */
static int is_from_stranger(const struct stat *file)
{
	return file->st_uid && file->st_uid != geteuid();
}

/*
 * Decides which backing file it is: image->backing. Returns 1 if the header is to be changed to it.
 */
static int choose_backing(struct cow_image *image, const struct cow_options *options, char *why)
{
	const char *given = options->backing;
	int other;

	image->backing = locate(image->path, image->header.backing);
	other = given && image->backing && !cow_same_file(given, image->backing);
	if (other && !(options->flags & (COW_SWITCH | COW_OVERRIDE)))
		return cow_error(-EREMCHG, why, "%s stands on the backing file %s, not on %s",
				 image->path, image->header.backing, given);
	if (other) {
		free(image->backing);
		image->backing = strdup(given);
	}
	if (!image->backing)
		return cow_error(-ENOMEM, why, "there is no memory for %s", image->path);
	return other && !(options->flags & COW_OVERRIDE);
}

static int write_path(struct cow_image *image)
{
	unsigned char *bytes = malloc(COW_PATH);
	int error = bytes ? 0 : -ENOMEM;

	if (!error)
		error = cow_write(image->fd, bytes, cow_format_path(&image->header, bytes),
				  image->header.path_offset);
	if (!error && fdatasync(image->fd) < 0)
		error = -errno;
	free(bytes);
	return error;
}

static int switch_backing(struct cow_image *image, char *why)
{
	char *path = cow_absolute(image->backing);
	int error = path ? 0 : -errno;

	if (path && strlen(path) >= image->header.path_size)
		error = -ENAMETOOLONG;
	if (error) {
		cow_error(0, why, "backing file %s: %s", image->backing, strerror(-error));
	} else {
		strcpy(image->header.backing, path);
		error = write_path(image);
		if (error)
			cow_error(0, why, "%s: its header cannot be written: %s", image->path,
				  strerror(-error));
	}
	free(path);
	return error;
}

/* ---- opening ---- */

static int read_header(struct cow_image *image, char *why)
{
	unsigned char *bytes = malloc(COW_HEADER);
	unsigned long got;
	int error = bytes ? cow_read(image->fd, bytes, COW_HEADER, 0, &got) : -ENOMEM;

	if (error) {
		cow_error(0, why, "%s: %s", image->path, strerror(-error));
	} else {
		error = cow_parse(&image->header, bytes, got, why);
		if (error)
			put_before(why, error == -EMEDIUMTYPE ? " " : " is a damaged COW file: ");
		if (error)
			put_before(why, image->path);
	}
	free(bytes);
	return error;
}

/*
 * The bitmap's data from *from on, within the bitmap; *from >= *to if there are none. Reads all
 * where holes cannot be told.
 */
static void find_data(const struct cow_image *image, uint64_t *from, uint64_t *to)
{
	uint64_t start = image->header.bitmap_offset, end = start + image->header.bitmap_length;
	off_t data = lseek(image->fd, start + *from, SEEK_DATA), hole;

	*to = image->header.bitmap_length;
	if (data < 0) {
		if (errno == ENXIO)
			*from = *to;
		return;
	}
	hole = lseek(image->fd, data, SEEK_HOLE);
	*from = (data - start) / COW_CHUNK * COW_CHUNK;
	if (hole > 0 && (uint64_t)hole < end)
		*to = hole - start;
}

/* What lies behind the end of a file that is too short is 0. */
static int load_bitmap(struct cow_image *image, char *why)
{
	uint64_t from = 0, to;
	unsigned long most = image->header.bitmap_length < COW_STAGE_BYTES ?
				     image->header.bitmap_length + 1 :
				     COW_STAGE_BYTES;
	unsigned char *buffer = malloc(most);
	int error = buffer ? 0 : -ENOMEM;

	for (find_data(image, &from, &to); !error && from < to; find_data(image, &from, &to)) {
		while (!error && from < to) {
			uint64_t left = image->header.bitmap_length - from;
			unsigned long got, length = left < most ? left : most;

			error = cow_read(image->fd, buffer, length,
					 image->header.bitmap_offset + from, &got);
			if (!error)
				error = cow_bitmap_fill(&image->present, from, buffer, got);
			from += length;
		}
		if (from >= image->header.bitmap_length)
			break;
	}
	free(buffer);
	return error ? cow_error(error, why, "the bitmap of %s cannot be read: %s", image->path,
				 strerror(-error)) :
		       0;
}

static int open_below(struct cow_image *image, const struct cow_options *options,
		      const struct stat *cow, int depth, char *why)
{
	uint64_t size;
	struct stat file;
	int change, error;

	if (options->flags & COW_NO_BACKING)
		return 0;
	if (!options->backing && is_from_stranger(cow))
		return cow_error(
			-EACCES, why,
			"%s belongs to another user (number %u), so its word for the backing file %s does not count: %s",
			image->path, cow->st_uid, image->header.backing,
			depth ? "make it yours first" :
				"give that file too, if it is the right one");
	change = choose_backing(image, options, why);
	if (change < 0)
		return change;
	error = cow_open_backing(image, options, depth, image->header.size, &size, &file, why);
	if (!error)
		error = check_backing(image, size, &file, options->flags, why);
	return !error && change ? switch_backing(image, why) : error;
}

static int fill_in(struct cow_image *image, const struct cow_options *options, int depth, char *why)
{
	struct stat file;
	int write = !(options->flags & COW_READ_ONLY), error;

	image->path = strdup(options->path);
	if (!image->path)
		return cow_error(-ENOMEM, why, "there is no memory for %s", options->path);
	if (depth >= COW_MAX_DEPTH)
		return cow_error(-ELOOP, why,
				 "%s: more than %d COW files stand on each other, or in a circle",
				 image->path, depth);
	image->fd = cow_open_file(image->path, write, &file, why);
	if (image->fd < 0)
		return image->fd;
	error = cow_lock(options, image->fd, image->path, write, why);
	if (!error)
		error = read_header(image, why);
	if (!error && image->header.merging && !(options->flags & (COW_MERGE | COW_NO_BACKING)))
		error = cow_error(
			-EINPROGRESS, why,
			"merging %s into its backing file was interrupted; `uml_moo -d %s` completes it",
			image->path, image->path);
	if (!error &&
	    cow_bitmap_init(&image->present, (image->header.size + image->header.sector_size - 1) /
						     image->header.sector_size))
		error = cow_error(-ENOMEM, why, "there is no memory for the bitmap of %s",
				  image->path);
	if (!error)
		error = load_bitmap(image, why);
	return error ? error : open_below(image, options, &file, depth, why);
}

static int open_image(struct cow_image **result, const struct cow_options *options, int depth,
		      char *why)
{
	struct cow_image *image = calloc(1, sizeof(*image));
	int error;

	if (!image)
		return cow_error(-ENOMEM, why, "there is no memory for %s", options->path);
	image->fd = image->backing_fd = -1;
	error = fill_in(image, options, depth, why);
	if (error)
		cow_close(image);
	else
		*result = image;
	return error;
}

int cow_open(struct cow_image **image, const struct cow_options *options, char why[COW_WHY])
{
	return open_image(image, options, 0, why);
}

void cow_close(struct cow_image *image)
{
	if (image->under)
		cow_close(image->under);
	if (image->backing_fd >= 0)
		close(image->backing_fd);
	if (image->fd >= 0)
		close(image->fd);
	cow_bitmap_free(&image->present);
	free(image->path);
	free(image->backing);
	free(image);
}

/* ---- changes of the header ---- */

int cow_write_mark(struct cow_image *image)
{
	return write_path(image);
}

int cow_write_mtime(struct cow_image *image)
{
	unsigned char bytes[8];
	int error = cow_write(image->fd, bytes, cow_format_mtime(&image->header, bytes),
			      image->header.mtime_offset);

	return error ? error : fdatasync(image->fd) < 0 ? -errno : 0;
}

