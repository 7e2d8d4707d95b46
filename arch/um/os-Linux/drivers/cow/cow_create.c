// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making COW files. The file is written under another name and gets its own when it is whole and on
 * the disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cow.h"
#include "cow_files.h"

static int check_target(const struct cow_options *options, const struct cow_image *image, char *why)
{
	struct stat file;
	int fd, error;

	if (stat(options->path, &file) < 0)
		return errno == ENOENT ?
			       0 :
			       cow_error(-errno, why, "%s: %s", options->path, strerror(errno));
	if (!(options->flags & COW_REPLACE))
		return cow_error(-EEXIST, why, "%s is there already", options->path);
	if (cow_same_file(options->path, image->backing))
		return cow_error(-EINVAL, why, "%s would take the place of its own backing file",
				 options->path);
	if (!S_ISREG(file.st_mode))
		return cow_error(-EINVAL, why, "%s is not a file", options->path);
	fd = cow_open_file(options->path, 1, &file, why);
	if (fd < 0)
		return fd;
	error = cow_lock(options, fd, options->path, 1, why);
	close(fd);
	return error;
}

static int write_new(int fd, const struct cow_header *header)
{
	unsigned char *bytes = malloc(COW_V3_HEADER);
	int error;

	if (!bytes)
		return -ENOMEM;
	cow_format(header, bytes);
	error = ftruncate(fd, header->data_offset + header->size) < 0 ?
			-errno :
			cow_write(fd, bytes, COW_V3_HEADER, 0);
	free(bytes);
	return error ? error : fsync(fd) < 0 ? -errno : 0;
}

/* A name appears, or changes its file, at once; then the folder is made durable. */
static int cow_give_name(const char *from, const char *to, int replace)
{
	int length = cow_folder_length(to), fd, error = 0;
	char *folder;

	if (replace ? rename(from, to) < 0 :
		      renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
		error = -errno;
	if (error == -EINVAL && !replace) {	/* a file system without that flag */
		error = link(from, to) < 0 ? -errno : 0;
		unlink(from);
	}
	if (error)
		return error;
	folder = length ? strndup(to, length) : strdup(".");
	fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	free(folder);
	if (fd < 0)
		return 0;	/* may be used, but not looked into */
	if (fsync(fd) < 0 && errno != EINVAL)
		error = -errno;
	close(fd);
	return error;
}

/*
 * Who may not read the backing file may not read what was made of it either. The umask takes more
 * away.
 */
static mode_t mode_over(const struct stat *backing)
{
	return 0600 | (backing->st_mode & 0040 ? 0060 : 0) | (backing->st_mode & 0004 ? 0006 : 0);
}

static int cow_make_file(const struct cow_options *options, const struct cow_header *header,
			 mode_t mode, char *why)
{
	char *name;
	int fd, error;

	if (asprintf(&name, "%s.new%d", options->path, getpid()) < 0)
		return cow_error(-ENOMEM, why, "there is no memory for %s", options->path);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	error = fd < 0 ? -errno : write_new(fd, header);
	if (!error)
		error = cow_give_name(name, options->path, options->flags & COW_REPLACE);
	if (fd >= 0) {
		close(fd);
		if (error)
			unlink(name);
	}
	free(name);
	return error ? cow_error(error, why, "%s cannot be made: %s", options->path,
				 strerror(-error)) :
		       0;
}

/* Finds out about the backing file, with image for a scratch pad, and makes the COW file. */
static int create_file(struct cow_image *image, const struct cow_options *options, char *why)
{
	struct cow_options below = *options;
	struct stat file;
	uint64_t size;
	char *path;
	int error;

	below.flags &= ~COW_MERGE;
	image->backing = strdup(options->backing);
	path = cow_absolute(options->backing);
	if (!image->backing || !path) {
		error = cow_error(errno == ENOENT ? -ENOLINK : -errno, why, "backing file %s: %s",
				  options->backing, strerror(errno));
		goto out;
	}
	error = cow_open_backing(image, &below, 0, ~0ULL, &size, &file, why);
	if (!error)
		error = check_target(options, image, why);
	if (!error)
		error = cow_make_header(&image->header, size, file.st_mtime, path, why);
	if (!error)
		error = cow_make_file(options, &image->header, mode_over(&file), why);
out:
	free(path);
	return error;
}

int cow_create(const struct cow_options *options, char why[COW_WHY])
{
	struct cow_image *image = calloc(1, sizeof(*image));
	int error;

	if (!image)
		return cow_error(-ENOMEM, why, "there is no memory for %s", options->path);
	image->fd = image->backing_fd = -1;
	error = create_file(image, options, why);
	cow_close(image);
	return error;
}
