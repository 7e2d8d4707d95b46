// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files and block devices as disks. Runs on the thread of a virtual CPU; everything but
 * disk_file_fd() may sleep.
 *
 * A disk with O_DIRECT has a second descriptor without: what is not aligned as the host's file
 * system wants it (the last sectors of an odd image, sectors smaller than the host disk's, parts of
 * a COW file's disk) goes through the page cache, which the host keeps coherent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cow/cow.h"
#include "drivers/cow/cow_files.h"
#include "drivers/cow/image_lock.h"
#include "disk_file.h"

#define USUAL_ALIGNMENT 4096	/* where the host does not tell */

/* What can be a disk at all; looked at before open(), which would wait for a pipe's other end. */
static int check_kind(const char *path, struct stat *status)
{
	if (stat(path, status) < 0)
		return -errno;
	if (S_ISDIR(status->st_mode))
		return -EISDIR;
	return S_ISREG(status->st_mode) || S_ISBLK(status->st_mode) ? 0 : -ENOTBLK;
}

/* O_EXCL is for block devices, which the host may have mounted. */
static int open_either_way(const char *path, int exclusive, struct host_disk_info *info)
{
	int fd = -1;

	if (!info->read_only) {
		fd = open(path, O_RDWR | O_CLOEXEC | exclusive);
		if (fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS || errno == ETXTBSY))
			info->read_only = 1;
	}
	if (info->read_only)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		cow_error(0, info->why, "%s is in use by the host itself, for example mounted", path);
	return fd < 0 ? -errno : fd;
}

static int measure(int fd, const struct stat *status, struct host_disk_info *info)
{
	unsigned long long size;
	unsigned int block;

	info->sector_size = 512;
	info->size = status->st_size;
	info->block_size = status->st_blksize;
	if (!S_ISBLK(status->st_mode))
		return 0;
	if (ioctl(fd, BLKGETSIZE64, &size) < 0)
		return -errno;
	info->size = size;
	if (ioctl(fd, BLKPBSZGET, &block) == 0)
		info->block_size = block;
	return 0;
}

int disk_file_open(struct disk_file *file, const char *path, int flags, struct host_disk_info *info)
{
	struct stat status;
	int error = check_kind(path, &status);

	file->fd = file->direct_fd = -1;
	if (error)
		return error;
	file->fd = open_either_way(path, S_ISBLK(status.st_mode) && !(flags & HOST_DISK_SHARED) ? O_EXCL : 0, info);
	if (file->fd < 0)
		return file->fd;
	error = fstat(file->fd, &status) < 0 ? -errno : measure(file->fd, &status, info);
	if (error)
		disk_file_close(file);
	return error;
}

unsigned long long disk_file_size(const struct disk_file *file)
{
	struct host_disk_info info;
	struct stat status;

	return fstat(file->fd, &status) < 0 || measure(file->fd, &status, &info) ? 0 : info.size;
}

void disk_file_close(struct disk_file *file)
{
	image_unlock(file->fd);
	if (file->fd >= 0)
		close(file->fd);
	if (file->direct_fd >= 0)
		close(file->direct_fd);
	file->fd = file->direct_fd = -1;
}

/* Whether the two are one file, and what O_DIRECT needs there. */
static int learn_alignment(struct disk_file *file, int direct)
{
	struct statx status, other;

	if (statx(direct, "", AT_EMPTY_PATH, STATX_INO | STATX_DIOALIGN, &status) < 0 ||
	    statx(file->fd, "", AT_EMPTY_PATH, STATX_INO, &other) < 0)
		return 0;
	file->direct_offset = file->direct_memory = USUAL_ALIGNMENT;
	if (status.stx_mask & STATX_DIOALIGN) {
		file->direct_offset = status.stx_dio_offset_align;
		file->direct_memory = status.stx_dio_mem_align;
	}
	return file->direct_offset && file->direct_memory && status.stx_ino == other.stx_ino &&
	       status.stx_dev_major == other.stx_dev_major && status.stx_dev_minor == other.stx_dev_minor;
}

void disk_file_direct(struct disk_file *file, const char *path, struct host_disk_info *info)
{
	int fd = open(path, (info->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_DIRECT);

	if (fd >= 0 && learn_alignment(file, fd)) {
		file->direct_fd = fd;
		return;
	}
	info->not_direct = 1;
	if (fd >= 0)
		close(fd);
}

int disk_file_fd(const struct disk_file *file, unsigned long long offset, unsigned long long length, const struct iovec *iov, int iovs)
{
	uintptr_t memory = 0;

	if (file->direct_fd < 0 || (offset | length) & (file->direct_offset - 1))
		return file->fd;
	for (int i = 0; i < iovs; i++)
		memory |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return memory & (file->direct_memory - 1) ? file->fd : file->direct_fd;
}
