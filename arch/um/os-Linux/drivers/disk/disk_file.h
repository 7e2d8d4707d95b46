/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * disk_file.c: files and block devices as disks: opening, measuring, and the way past the page
 * cache.
 */
#ifndef DISK_FILE_H
#define DISK_FILE_H

#include <sys/uio.h>

#include <host/disk.h>

struct disk_file {
	int fd;				/* -1: not open */
	int direct_fd;			/* the same with O_DIRECT, or -1 */
	/* what it needs: alignment of offsets and lengths, and of memory; bytes */
	unsigned int direct_offset, direct_memory;
};

/*
 * Opens path for reading and, unless info->read_only is or becomes set, writing. Sets info->size
 * and block_size. 0 or -errno.
 */
int disk_file_open(struct disk_file *file, const char *path, int flags, struct host_disk_info *info);
void disk_file_close(struct disk_file *file);
/* How large it is now, bytes; 0: the host does not tell. */
unsigned long long disk_file_size(const struct disk_file *file);
/* Opens it a second time with O_DIRECT, or sets info->not_direct. */
void disk_file_direct(struct disk_file *file, const char *path, struct host_disk_info *info);
/* The descriptor to use for this transfer. */
int disk_file_fd(const struct disk_file *file, unsigned long long offset, unsigned long long length, const struct iovec *iov, int iovs);

#endif
