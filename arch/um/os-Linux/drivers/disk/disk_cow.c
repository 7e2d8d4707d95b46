// SPDX-License-Identifier: GPL-2.0-only
/*
 * COW files under a disk. The format, and the rules that make it safe at any moment, are in cow.h;
 * here its steps are done without sleeping, as transfers of the backend.
 *
 * Reading: a range is read in as many parts as it has pieces in the COW file and the files below
 * it, all at once. Writing: to the COW file in one piece, and when that has ended the bits are set
 * in memory.
 *
 * Flushing goes in runs. A run stages the bitmap's changes, syncs (the data are durable), writes
 * what it staged, syncs again (so are the bits), and answers every flush that was waiting when it
 * began. Flushes that come in meanwhile wait for the next run, since it is not known which writes
 * the syncs of this one saw.
 *
 * On the way out of ./linux, other than by SIGKILL, what no flush has asked for yet is written as
 * well (save_all), by whatever thread ends it and possibly in the middle of anything: hence no
 * memory and no locks there.
 *
 * The lock is for several virtual CPUs: the bitmap, the runs. It is held for no host call but a
 * transfer's start.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os.h"
#include "drivers/cow/cow.h"
#include "drivers/cow/image_lock.h"
#include "disk_cow.h"

enum step { IDLE, SYNC_DATA, WRITE_BITS, SYNC_BITS };

struct disk_cow {
	struct cow_image *image;
	pthread_mutex_t lock;
	struct host_disk_request *waiting, *running;	/* flushes: for the next run, of this one */
	enum step step;			/* the run is in */
	int under_way;			/* transfers of this step */
	int error;			/* of this run */
	struct cow_stage stage;
	int stage_valid;
	struct disk_cow *next;
};

static struct disk_cow *all;	/* changes on one virtual CPU at a time; see ubd.c */

/* ---- reading and writing ---- */

int disk_cow_read(struct disk_cow *cow, struct host_disk_request *request)
{
	unsigned long long done = 0;
	int error = 0;

	pthread_mutex_lock(&cow->lock);
	while (!error && done < request->length) {
		struct cow_extent extent;

		cow_find(cow->image, request->offset + done, request->length - done, &extent);
		error = disk_add_part(request, DISK_READ, extent.depth ? extent.fd : -1, extent.offset, done, extent.length);
		done += extent.length;
	}
	pthread_mutex_unlock(&cow->lock);
	return error;
}

unsigned long long disk_cow_data(const struct disk_cow *cow, unsigned long long offset)
{
	return cow_data(cow->image, offset);
}

int disk_cow_written(struct disk_cow *cow, const struct host_disk_request *request)
{
	int error;

	pthread_mutex_lock(&cow->lock);
	error = cow_set(cow->image, request->offset, request->length);
	pthread_mutex_unlock(&cow->lock);
	return error;
}

/* ---- flushing; under the lock, but for the last two ---- */

static void step_ended(struct disk_io *io, int error);

static void disk_cow_start(struct disk_cow *cow, enum disk_op op,
			   const struct cow_stage_write *write)
{
	struct disk_io *io = disk_io_new(op, cow->image->fd, write ? write->offset : 0, write ? write->length : 0, write ? 1 : 0);

	if (!io) {
		cow->error = -ENOMEM;
		return;
	}
	if (write)
		io->iov[0] = (struct iovec){ write->bytes, write->length };
	io->done = step_ended;
	io->owner = cow;
	cow->under_way++;
	disk_backend->queue(io);
}

static void begin_step(struct disk_cow *cow)
{
	switch (++cow->step) {
	case SYNC_DATA:
		cow->running = cow->waiting;
		cow->waiting = NULL;
		cow->error = cow_stage(cow->image, &cow->stage);
		cow->stage_valid = !cow->error;
		if (!cow->error)
			disk_cow_start(cow, DISK_SYNC, NULL);
		break;
	case WRITE_BITS:
		for (unsigned int i = 0; i < cow->stage.count; i++)
			disk_cow_start(cow, DISK_WRITE, &cow->stage.writes[i]);
		break;
	default:
		disk_cow_start(cow, DISK_SYNC, NULL);
	}
}

static int run_is_over(const struct disk_cow *cow)
{
	return cow->step != IDLE && (cow->error || cow->step == SYNC_BITS || (cow->step == SYNC_DATA && !cow->stage.count));
}

static struct host_disk_request *end_run(struct disk_cow *cow)
{
	struct host_disk_request *answered = cow->running;

	if (cow->stage_valid) {
		cow->stage_valid = 0;
		cow_stage_done(cow->image, &cow->stage, cow->error);
	}
	cow->running = NULL;
	cow->step = IDLE;
	return answered;
}

/*
 * Goes as far as it can without waiting. Returns the flushes of a run that is over, which are to be
 * answered with *error; then again.
 */
static struct host_disk_request *go_on(struct disk_cow *cow, int *error)
{
	while (!cow->under_way) {
		if (run_is_over(cow)) {
			*error = cow->error;
			return end_run(cow);
		}
		if (cow->step == IDLE && !cow->waiting)
			return NULL;
		begin_step(cow);
	}
	return NULL;
}

/* Takes the lock itself, and answers without it. */
static void go_on_and_answer(struct disk_cow *cow)
{
	struct host_disk_request *answered, *next;
	int error;

	do {
		pthread_mutex_lock(&cow->lock);
		answered = go_on(cow, &error);
		pthread_mutex_unlock(&cow->lock);
		for (struct host_disk_request *request = answered; request; request = next) {
			next = request->next;
			disk_part_ended(request, error);
		}
	} while (answered);
}

static void step_ended(struct disk_io *io, int error)
{
	struct disk_cow *cow = io->owner;

	pthread_mutex_lock(&cow->lock);
	if (error && !cow->error)
		cow->error = error;
	if (error && io->op == DISK_SYNC)
		cow_sync_failed(cow->image, error);
	cow->under_way--;
	pthread_mutex_unlock(&cow->lock);
	disk_io_free(io);
	go_on_and_answer(cow);
}

void disk_cow_flush(struct disk_cow *cow, struct host_disk_request *request)
{
	request->parts++;
	pthread_mutex_lock(&cow->lock);
	request->next = cow->waiting;
	cow->waiting = request;
	pthread_mutex_unlock(&cow->lock);
	go_on_and_answer(cow);
}

/* ---- the end of ./linux ---- */

static void put_down(int fd, const unsigned char *bytes, unsigned long length, unsigned long long offset)
{
	if (pwrite(fd, bytes, length, offset) < 0)
		return;		/* as lost as without us */
}

static void save(const struct disk_cow *cow)
{
	const struct cow_image *image = cow->image;
	const struct cow_bitmap *bitmap = &image->present;

	if (image->error || (bitmap->dirty_from >= bitmap->dirty_to && !cow->stage_valid) || fdatasync(image->fd) < 0)
		return;
	/* What is staged is older. */
	for (unsigned int i = 0; cow->stage_valid && i < cow->stage.count; i++)
		put_down(image->fd, cow->stage.writes[i].bytes, cow->stage.writes[i].length, cow->stage.writes[i].offset);
	for (unsigned long long n = bitmap->dirty_from; n < bitmap->dirty_to; n++) {
		unsigned long long offset = image->header.bitmap_offset + n * COW_CHUNK, left = image->header.data_offset - offset;

		if (bitmap->dirty[n])
			put_down(image->fd, bitmap->chunk[n], left < COW_CHUNK ? left : COW_CHUNK, offset);
	}
	fdatasync(image->fd);
}

static void save_all(void)
{
	for (struct disk_cow *cow = all; cow; cow = cow->next)
		save(cow);
}

static void register_cow(struct disk_cow *cow)
{
	static int registered;

	if (!registered)
		host_at_exit(save_all);
	registered = 1;
	cow->next = all;
	all = cow;
}

static void unregister_cow(struct disk_cow *cow)
{
	struct disk_cow **link = &all;

	while (*link != cow)
		link = &(*link)->next;
	*link = cow->next;
}

/* ---- opening ---- */

/* Functions of the library write their texts there. */
_Static_assert(sizeof(((struct host_disk_info *)0)->why) == COW_WHY, "texts of two sizes");

static int lock_for_disk(void *argument, int fd, const char *path, int write, char why[COW_WHY])
{
	struct host_disk_info *info = argument;
	int error = image_lock(fd, path, write, &info->locked_by, info->why);

	if (error == -EAGAIN && why != info->why)
		snprintf(why, COW_WHY, "%s", info->why);
	return error;
}

static int open_or_create(struct cow_image **image, struct cow_options *options, struct host_disk_info *info)
{
	int error = cow_open(image, options, info->why);

	if (error == -ENOENT && options->backing && !info->read_only) {
		error = cow_create(options, info->why);
		if (error)
			return error;
		info->created = 1;
		return cow_open(image, options, info->why);
	}
	if ((error == -EACCES || error == -EPERM || error == -EROFS) && !info->read_only && access(options->path, R_OK) == 0 &&
	    access(options->path, W_OK) < 0) {
		info->read_only = 1;
		options->flags |= COW_READ_ONLY;
		error = cow_open(image, options, info->why);
	}
	return error;
}

static void describe(const struct cow_image *image, struct host_disk_info *info)
{
	info->why[0] = '\0';
	info->size = image->header.size;
	info->sector_size = image->header.sector_size;
	info->block_size = COW_CHUNK;
}

int disk_cow_open(struct disk_cow **result, struct disk_file *file, const char *path, const char *backing, int flags,
		  struct host_disk_info *info)
{
	struct cow_options options = {
		.path = path,
		.backing = *backing ? backing : NULL,
		.flags = (info->read_only ? COW_READ_ONLY : 0) | (flags & HOST_DISK_MOVED ? COW_SWITCH : 0),
		.lock = flags & HOST_DISK_SHARED ? NULL : lock_for_disk,
		.argument = info,
	};
	struct disk_cow *cow;
	int error;

	info->cow = 1;
	if (flags & HOST_DISK_SHARED && !info->read_only) {
		snprintf(info->why, sizeof(info->why), "%s is a COW file, which only one can write at a time; leave the flag c out, "
			 "or give each its own COW file", path);
		return -EINVAL;
	}
	cow = calloc(1, sizeof(*cow));
	if (!cow)
		return -ENOMEM;
	error = open_or_create(&cow->image, &options, info);
	if (error) {
		free(cow);
		return error;
	}
	describe(cow->image, info);
	file->fd = cow->image->fd;
	pthread_mutex_init(&cow->lock, NULL);
	register_cow(cow);
	*result = cow;
	return 0;
}

/* A flush's error has nobody to go to; what it concerns was never answered for. */
void disk_cow_close(struct disk_cow *cow)
{
	if (cow->image->present.dirty_from < cow->image->present.dirty_to)
		cow_flush(cow->image);
	unregister_cow(cow);
	for (const struct cow_image *image = cow->image; image; image = image->under) {
		image_unlock(image->fd);
		image_unlock(image->backing_fd);
	}
	cow_close(cow->image);
	free(cow);
}
