/* SPDX-License-Identifier: GPL-2.0-only */
/* disk.c and disk_cow.c: requests, and what becomes of those for a COW file. */
#ifndef DISK_COW_H
#define DISK_COW_H

#include <host/disk.h>

#include "disk_file.h"
#include "disk_io.h"

struct disk_cow;

struct host_disk {
	struct disk_file file;		/* the image, or the COW file */
	int flags;			/* HOST_DISK_ */
	struct disk_cow *cow;		/* NULL: an image */
};

/*
 * disk.c: a part of a request, for data the bytes from skip on, begins at offset of fd; fd -1: of
 * disk->file. -ENOMEM. Whoever calls this holds a part himself (request->parts), and gives that up
 * with disk_part_ended().
 */
int disk_add_part(struct host_disk_request *request, enum disk_op op, int fd, unsigned long long offset, unsigned long long skip,
		  unsigned long long length);
void disk_part_ended(struct host_disk_request *request, int error);

/* Opens a COW file, or makes it; see host_disk_open. */
int disk_cow_open(struct disk_cow **cow, struct disk_file *file, const char *path, const char *backing, int flags,
		  struct host_disk_info *info);
void disk_cow_close(struct disk_cow *cow);
/* Adds the parts that read a range. -errno */
int disk_cow_read(struct disk_cow *cow, struct host_disk_request *request);
/* Where in the COW file the disk's bytes from offset on are written. */
unsigned long long disk_cow_data(const struct disk_cow *cow, unsigned long long offset);
/* The request's range was written to the COW file and counts from now on. -errno */
int disk_cow_written(struct disk_cow *cow, const struct host_disk_request *request);
/* Adds a part to the request, which ends when everything written before is durable. */
void disk_cow_flush(struct disk_cow *cow, struct host_disk_request *request);

#endif
