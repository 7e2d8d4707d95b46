// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks: images, host block devices and COW files. The host half of ubd, <host/disk.h>.
 *
 * A request is taken apart into parts, each a transfer (disk_io.h) that the backend carries out,
 * all at once. A request holds as many parts as are under way, and one for whoever is adding more;
 * when none is left it settles, which for a change may mean another part (the sync that makes it
 * durable, a COW file's bits), and then ends: with the first error of its parts, or with all of it
 * done.
 *
 * What ended is on a list of the virtual CPU, without a lock: its thread alone runs all of this.
 *
 * A raw image that might have been a COW file must not become one by what its guest writes, or a
 * guest could choose any file of the host as its backing file. So, unless the flag d says that the
 * image is raw data, the first sector is copied and looked at before it is written (the guest
 * could still change its own memory after the look), and refused with -EPERM if it begins like a
 * COW file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cow/cow.h"
#include "drivers/cow/image_lock.h"
#include "disk_cow.h"
#include "disk_backend.h"

_Static_assert(sizeof(struct host_disk_segment) == sizeof(struct iovec), "segments are passed as iovecs");

#define FIRST_SECTOR 512

static struct ended {
	struct host_disk_request *first, **end;
} ended[HOST_MAX_VCPUS];

/* ---- the end of requests ---- */

static void disk_end_request(struct host_disk_request *request)
{
	struct ended *list = &ended[this_vcpu_number()];

	request->next = NULL;
	if (!list->first)
		list->end = &list->first;
	*list->end = request;
	list->end = &request->next;
}

static int is_change(const struct host_disk_request *request)
{
	return request->op == HOST_DISK_WRITE || request->op == HOST_DISK_ZERO || request->op == HOST_DISK_ZERO_FREE;
}

/* All parts of a change have ended well: what is still to be done? The caller holds a part. */
static int settle(struct host_disk_request *request)
{
	struct host_disk *disk = request->disk;
	int durable = request->fua || disk->flags & HOST_DISK_SYNC;

	if (disk->cow) {
		int error = disk_cow_written(disk->cow, request);

		if (!error && durable)
			disk_cow_flush(disk->cow, request);
		return error;
	}
	return durable && request->op != HOST_DISK_WRITE ? disk_add_part(request, DISK_SYNC, -1, 0, 0, 0) : 0;
}

void disk_part_ended(struct host_disk_request *request, int error)
{
	if (error && !request->error)
		request->error = error;
	if (--request->parts)
		return;
	if (!request->error && is_change(request) && !request->settled) {
		request->settled = 1;
		request->parts = 1;
		disk_part_ended(request, settle(request));
		return;
	}
	disk_end_request(request);
}

/* What the host says of ranges that it cannot free or zero. */
static int range_error(const struct disk_io *io, const struct host_disk_request *request, int error)
{
	if (io->op != DISK_PUNCH && io->op != DISK_ZERO)
		return error;
	if (error == -EINVAL)	/* not whole blocks of a device; to discard them was only advice */
		return request->op == HOST_DISK_DISCARD ? 0 : -EOPNOTSUPP;
	return error == -ENODEV || error == -ENOSYS ? -EOPNOTSUPP : error;
}

static void part_done(struct disk_io *io, int error)
{
	struct host_disk_request *request = io->owner;

	error = range_error(io, request, error);
	disk_io_free(io);
	disk_part_ended(request, error);
}

/* ---- their beginning ---- */

/*
 * The memory of the request's bytes from skip on: fills iov, or with NULL only counts. Returns how
 * many.
 */
static int slice(const struct host_disk_request *request, unsigned long long skip, unsigned long long length, struct iovec *iov)
{
	const struct host_disk_segment *segment = request->segment;
	int count = 0;

	for (; length && skip >= segment->length; segment++)
		skip -= segment->length;
	for (; length; segment++, count++) {
		unsigned long here = segment->length - skip < length ? segment->length - skip : length;

		if (iov)
			iov[count] = (struct iovec){ (char *)segment->base + skip, here };
		length -= here;
		skip = 0;
	}
	return count;
}

static void disk_start(struct host_disk_request *request, struct disk_io *io, int fd)
{
	const struct disk_file *file = &request->disk->file;

	if (fd < 0) {
		io->fd = disk_file_fd(file, io->offset, io->length, io->iov, io->iovs);
		io->direct = io->fd == file->direct_fd;
	}
	io->done = part_done;
	io->owner = request;
	request->parts++;
	disk_backend->queue(io);
}

int disk_add_part(struct host_disk_request *request, enum disk_op op, int fd, unsigned long long offset, unsigned long long skip,
		  unsigned long long length)
{
	int data = op <= DISK_WRITE_DURABLE, whole = data && !skip && length == request->length;
	int iovs = whole ? request->segments : data ? slice(request, skip, length, NULL) : 0;
	struct disk_io *io = disk_io_new(op, fd, offset, length, whole ? 0 : iovs);

	if (!io)
		return -ENOMEM;
	if (whole)
		io->iov = (struct iovec *)request->segment;
	else if (data)
		slice(request, skip, length, io->iov);
	io->iovs = iovs;
	disk_start(request, io, fd);
	return 0;
}

static void copy_out(const struct iovec *iov, int iovs, char *to)
{
	for (int i = 0; i < iovs; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

/* A write that covers the first sector of an image that nobody said is raw data. */
static int write_guarded(struct host_disk_request *request, enum disk_op op)
{
	int iovs = 1 + slice(request, FIRST_SECTOR, request->length - FIRST_SECTOR, NULL);
	int copied = slice(request, 0, FIRST_SECTOR, NULL);
	struct disk_io *io = disk_io_new(op, -1, 0, request->length, iovs + copied);
	char *copy = io ? disk_io_bounce(io, FIRST_SECTOR) : NULL;

	if (!copy) {
		if (io)
			disk_io_free(io);
		return -ENOMEM;
	}
	slice(request, 0, FIRST_SECTOR, io->iov);
	copy_out(io->iov, copied, copy);
	if (cow_is_cow(copy, FIRST_SECTOR)) {
		disk_io_free(io);
		return -EPERM;
	}
	io->iov[0] = (struct iovec){ copy, FIRST_SECTOR };
	slice(request, FIRST_SECTOR, request->length - FIRST_SECTOR, io->iov + 1);
	io->iovs = iovs;
	disk_start(request, io, -1);
	return 0;
}

static int begin_write(struct host_disk *disk, struct host_disk_request *request)
{
	enum disk_op op;

	if (disk->cow)
		return disk_add_part(request, DISK_WRITE, -1, disk_cow_data(disk->cow, request->offset), 0, request->length);
	op = request->fua || disk->flags & HOST_DISK_SYNC ? DISK_WRITE_DURABLE : DISK_WRITE;
	if (!request->offset && !(disk->flags & HOST_DISK_RAW))
		return write_guarded(request, op);
	return disk_add_part(request, op, -1, request->offset, 0, request->length);
}

/* Discarding what is not in the COW file frees nothing, and punching a hole there does no harm. */
static int disk_begin(struct host_disk *disk, struct host_disk_request *request)
{
	unsigned long long offset = disk->cow ? disk_cow_data(disk->cow, request->offset) : request->offset;

	switch (request->op) {
	case HOST_DISK_READ:
		return disk->cow ? disk_cow_read(disk->cow, request) :
			disk_add_part(request, DISK_READ, -1, offset, 0, request->length);
	case HOST_DISK_WRITE:
		return begin_write(disk, request);
	case HOST_DISK_FLUSH:
		if (!disk->cow)
			return disk_add_part(request, DISK_SYNC, -1, 0, 0, 0);
		disk_cow_flush(disk->cow, request);
		return 0;
	case HOST_DISK_DISCARD:
	case HOST_DISK_ZERO_FREE:
		return disk_add_part(request, DISK_PUNCH, -1, offset, 0, request->length);
	case HOST_DISK_ZERO:
		return disk_add_part(request, DISK_ZERO, -1, offset, 0, request->length);
	}
	return -EOPNOTSUPP;
}

/* ---- the contract: requests ---- */

void host_disk_submit(struct host_disk *disk, struct host_disk_request *request)
{
	request->disk = disk;
	request->error = 0;
	request->settled = 0;
	request->parts = 1;
	disk_part_ended(request, disk_begin(disk, request));
}

void host_disk_commit(int more)
{
	disk_backend->turn(more);
}

struct host_disk_request *host_disk_completed(void)
{
	struct ended *list = &ended[this_vcpu_number()];
	struct host_disk_request *request = list->first;

	if (request)
		list->first = request->next;
	return request;
}

/* ---- the contract: opening ---- */

static int looks_like_cow(int fd)
{
	char start[8];
	long got = pread(fd, start, sizeof(start), 0);

	return got > 0 && cow_is_cow(start, got);
}

/* Returns 1 if it turns out to be a COW file, which is not open then. */
static int open_raw(struct host_disk *disk, const char *path, struct host_disk_info *info)
{
	int error = disk_file_open(&disk->file, path, disk->flags, info);

	if (error)
		return error;
	if (!(disk->flags & HOST_DISK_RAW) && looks_like_cow(disk->file.fd)) {
		disk_file_close(&disk->file);
		return 1;
	}
	if (!(disk->flags & HOST_DISK_SHARED))
		error = image_lock(disk->file.fd, path, !info->read_only, &info->locked_by, info->why);
	if (error)
		disk_file_close(&disk->file);
	info->fua = 1;
	return error;
}

static int open_either(struct host_disk *disk, const char *path, const char *backing, struct host_disk_info *info)
{
	int error = 1;

	if (*backing && disk->flags & HOST_DISK_RAW) {
		snprintf(info->why, sizeof(info->why), "raw data (the flag d) has no backing file; leave out one of them");
		return -EINVAL;
	}
	if (!*backing)
		error = open_raw(disk, path, info);
	if (error == 1)
		error = disk_cow_open(&disk->cow, &disk->file, path, backing, disk->flags, info);
	return error;
}

int host_disk_open(struct host_disk **result, const char *path, const char *backing, int flags, struct host_disk_info *info)
{
	struct host_disk *disk = calloc(1, sizeof(*disk));
	int error;

	memset(info, 0, sizeof(*info));
	info->read_only = flags & HOST_DISK_READ_ONLY;
	if (!disk)
		return -ENOMEM;
	disk->flags = flags;
	disk->file = (struct disk_file){ .fd = -1, .direct_fd = -1 };
	error = open_either(disk, path, backing, info);
	if (error) {
		free(disk);
		return error;
	}
	if (flags & HOST_DISK_DIRECT)
		disk_file_direct(&disk->file, path, info);
	host_disk_backend_start();
	*result = disk;
	return 0;
}

int host_disk_has_file(const struct host_disk *disk, const char *path)
{
	struct stat open, named;

	return !fstat(disk->file.fd, &open) && !stat(path, &named) && open.st_ino == named.st_ino &&
	       open.st_dev == named.st_dev;
}

/* The COW file's own descriptor is closed with it. */
void host_disk_close(struct host_disk *disk)
{
	if (disk->cow) {
		disk_cow_close(disk->cow);
		disk->file.fd = -1;
	}
	disk_file_close(&disk->file);
	free(disk);
}
