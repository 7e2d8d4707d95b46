// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raw disk images and host block devices: the host half of ubd, <host/disk.h>.
 *
 * A request goes one of two ways. A read whose data the host has cached is served at once, on the virtual CPU's own thread,
 * by preadv2(RWF_NOWAIT): waking a thread would cost more than the copy. Everything else, the rest of a read that was only half cached
 * included, goes to the disk's thread, which takes requests in order, transfers, and raises HOST_IRQ_BLOCK.
 *
 * Transfers continue after short counts; a request ends with an error when nothing more moves: -EIO at the end of an image that
 * shrank, else what the host says. The lock covers both queues and nothing else; no host call is made under it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <host/disk.h>
#include <host/vcpu.h>

#include "../os.h"

_Static_assert(sizeof(struct host_disk_segment) == sizeof(struct iovec), "segments are passed as iovecs");

struct queue {
	struct host_disk_request *first, **end;
};

struct host_disk {
	int fd;
	int sync;		/* every change is made durable */
	int no_nowait;		/* the file system does not know RWF_NOWAIT */
	int closing;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct queue waiting, ended;
	int running;		/* the thread has a request in hand */
};

/* ---- queues; all under disk->lock ---- */

static void put(struct queue *queue, struct host_disk_request *request)
{
	request->next = NULL;
	*queue->end = request;
	queue->end = &request->next;
}

static struct host_disk_request *take(struct queue *queue)
{
	struct host_disk_request *request = queue->first;

	if (request) {
		queue->first = request->next;
		if (!queue->first)
			queue->end = &queue->first;
	}
	return request;
}

/* ---- transfers ---- */

/* Leaves in the request what is still to be done after bytes have moved. */
static void advance(struct host_disk_request *request, unsigned long bytes)
{
	request->offset += bytes;
	request->length -= bytes;
	while (request->segments && bytes >= request->segment->length) {
		bytes -= request->segment->length;
		request->segment++;
		request->segments--;
	}
	if (bytes) {
		request->segment->base = (char *)request->segment->base + bytes;
		request->segment->length -= bytes;
	}
}

/* One call; returns bytes moved or -errno. flags: RWF_ */
static long transfer(struct host_disk *disk, struct host_disk_request *request, int flags)
{
	const struct iovec *iov = (const struct iovec *)request->segment;
	int count = request->segments < HOST_DISK_SEGMENTS ? request->segments : HOST_DISK_SEGMENTS;
	long bytes;

	do
		bytes = request->op == HOST_DISK_READ ?
			preadv2(disk->fd, iov, count, request->offset, flags) :
			pwritev2(disk->fd, iov, count, request->offset, flags);
	while (bytes < 0 && errno == EINTR);
	return bytes < 0 ? -errno : bytes;
}

static int transfer_all(struct host_disk *disk, struct host_disk_request *request)
{
	int flags = request->op == HOST_DISK_WRITE && (request->fua || disk->sync) ? RWF_DSYNC : 0;

	while (request->length) {
		long bytes = transfer(disk, request, flags);

		if (bytes <= 0)
			return bytes ? bytes : -EIO;
		advance(request, bytes);
	}
	return 0;
}

static int deallocate(struct host_disk *disk, struct host_disk_request *request, int mode)
{
	int error;

	do
		error = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, request->offset, request->length);
	while (error < 0 && errno == EINTR);
	if (error < 0)
		return errno == ENODEV || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	if ((request->fua || disk->sync) && fdatasync(disk->fd) < 0)
		return -errno;
	return 0;
}

static int perform(struct host_disk *disk, struct host_disk_request *request)
{
	switch (request->op) {
	case HOST_DISK_READ:
	case HOST_DISK_WRITE:
		return transfer_all(disk, request);
	case HOST_DISK_FLUSH:
		return fdatasync(disk->fd) < 0 ? -errno : 0;
	case HOST_DISK_DISCARD:
		return deallocate(disk, request, FALLOC_FL_PUNCH_HOLE);
	case HOST_DISK_ZERO:
		return deallocate(disk, request, FALLOC_FL_ZERO_RANGE);
	}
	return -EOPNOTSUPP;
}

static void *disk_loop(void *argument)
{
	struct host_disk *disk = argument;
	struct host_disk_request *request;

	pthread_mutex_lock(&disk->lock);
	while (!disk->closing) {
		request = take(&disk->waiting);
		if (!request) {
			pthread_cond_wait(&disk->work, &disk->lock);
			continue;
		}
		disk->running = 1;
		pthread_mutex_unlock(&disk->lock);
		request->error = perform(disk, request);
		pthread_mutex_lock(&disk->lock);
		disk->running = 0;
		/* One interrupt for what ends before the virtual CPU has looked. */
		if (!disk->ended.first)
			host_raise(&host_vcpus[0], HOST_IRQ_BLOCK);
		put(&disk->ended, request);
	}
	disk->closing = 2;
	pthread_cond_signal(&disk->idle);
	pthread_mutex_unlock(&disk->lock);
	return NULL;
}

/* ---- the contract: requests ---- */

static int read_cached(struct host_disk *disk, struct host_disk_request *request)
{
	long bytes = transfer(disk, request, RWF_NOWAIT);

	if (bytes == -EOPNOTSUPP)
		disk->no_nowait = 1;
	if (bytes > 0)
		advance(request, bytes);
	request->error = 0;
	return request->length == 0;
}

int host_disk_submit(struct host_disk *disk, struct host_disk_request *request)
{
	if (request->op == HOST_DISK_READ && !disk->no_nowait && read_cached(disk, request))
		return 1;
	pthread_mutex_lock(&disk->lock);
	put(&disk->waiting, request);
	pthread_mutex_unlock(&disk->lock);
	return 0;
}

void host_disk_kick(struct host_disk *disk)
{
	/* A running thread looks at the queue before it sleeps. */
	pthread_mutex_lock(&disk->lock);
	if (!disk->running && disk->waiting.first)
		pthread_cond_signal(&disk->work);
	pthread_mutex_unlock(&disk->lock);
}

struct host_disk_request *host_disk_completed(struct host_disk *disk)
{
	struct host_disk_request *request;

	pthread_mutex_lock(&disk->lock);
	request = take(&disk->ended);
	pthread_mutex_unlock(&disk->lock);
	return request;
}

/* ---- the contract: opening ---- */

/* What can be a disk at all; looked at before open(), which would wait for a pipe's other end. */
static int check_kind(const char *path, struct stat *file)
{
	if (stat(path, file) < 0)
		return -errno;
	if (S_ISDIR(file->st_mode))
		return -EISDIR;
	return S_ISREG(file->st_mode) || S_ISBLK(file->st_mode) ? 0 : -ENOTBLK;
}

static int open_image(const char *path, struct host_disk_info *info)
{
	int fd = -1;

	if (!info->read_only) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS || errno == ETXTBSY))
			info->read_only = 1;
	}
	if (info->read_only)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * A lock of the open file: the same image twice in one ./linux is refused like in two, and it ends with the process,
 * whatever ends it.
 */
static int lock_image(int fd, const struct stat *file, struct host_disk_info *info)
{
	struct flock lock = { .l_type = info->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return errno == ENOLCK || errno == EINVAL || errno == ENOSYS ? 0 : -errno;	/* no locks there */
	if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
		info->locked_by = lock.l_pid;
	else
		info->locked_by = host_lock_owner(file);
	if (info->locked_by == getpid())
		info->locked_by = -1;
	return -EAGAIN;
}

static int measure(int fd, const struct stat *file, struct host_disk_info *info)
{
	unsigned long long size;

	info->size = file->st_size;
	info->block_size = file->st_blksize;
	if (!S_ISBLK(file->st_mode))
		return 0;
	if (ioctl(fd, BLKGETSIZE64, &size) < 0)
		return -errno;
	info->size = size;
	return 0;
}

static int looks_like_cow(int fd)
{
	static const unsigned char magic[2][4] = { { 'O', 'O', 'O', 'M' }, { 'M', 'O', 'O', 'O' } };
	unsigned char start[4];

	if (pread(fd, start, sizeof(start), 0) != sizeof(start))
		return 0;
	return !memcmp(start, magic[0], 4) || !memcmp(start, magic[1], 4);
}

static struct host_disk *new_disk(int fd, int sync)
{
	struct host_disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		return NULL;
	disk->fd = fd;
	disk->sync = sync;
	disk->waiting.end = &disk->waiting.first;
	disk->ended.end = &disk->ended.first;
	pthread_mutex_init(&disk->lock, NULL);
	pthread_cond_init(&disk->work, NULL);
	pthread_cond_init(&disk->idle, NULL);
	return disk;
}

int host_disk_open(struct host_disk **result, const char *path, int flags, struct host_disk_info *info)
{
	struct host_disk *disk;
	struct stat file;
	int fd, error;

	memset(info, 0, sizeof(*info));
	info->read_only = flags & HOST_DISK_READ_ONLY;
	error = check_kind(path, &file);
	if (error)
		return error;
	fd = open_image(path, info);
	if (fd < 0)
		return fd;
	error = fstat(fd, &file) < 0 ? -errno : measure(fd, &file, info);
	if (!error && !(flags & HOST_DISK_SHARED))
		error = lock_image(fd, &file, info);
	if (!error && !(flags & HOST_DISK_PLAIN) && looks_like_cow(fd))
		error = -EMEDIUMTYPE;
	if (error)
		goto close;
	error = -ENOMEM;
	disk = new_disk(fd, flags & HOST_DISK_SYNC);
	if (!disk)
		goto close;
	error = host_thread(disk_loop, disk);
	if (error)
		goto free;
	*result = disk;
	return 0;
free:
	free(disk);
close:
	close(fd);
	return error;
}

void host_disk_close(struct host_disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	disk->closing = 1;
	pthread_cond_signal(&disk->work);
	while (disk->closing != 2)
		pthread_cond_wait(&disk->idle, &disk->lock);
	pthread_mutex_unlock(&disk->lock);
	close(disk->fd);
	free(disk);
}
