/* SPDX-License-Identifier: GPL-2.0-only */
/* fsmodel's files with their models in memory, and what a failure shows. */
#ifndef TESTS_FSMODEL_H
#define TESTS_FSMODEL_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "check.h"

#define MOST (512 * 1024)		/* bytes of a file; a device has exactly as many */
#define PAGE 4096UL
#define SECTOR 512
#define FILES 8
#define HISTORY 32

struct file {
	char path[4096];
	int fd, direct_fd, append_fd;	/* -1: not here */
	int device;
	int of_host;			/* on hostfs */
	int asks;			/* the host about each file each time: actimeo=0 */
	int zeroes_past_end; /* shows nobody what a mapping wrote there (tmpfs does, ext4 may) */
	long size;			/* as the model has it; beyond it the model is zero */
	unsigned char model[MOST];
	unsigned char *held; /* a shared mapping of all of it that outlives operations */
};

static struct file files[FILES];
static int file_count;
static unsigned char buffer[MOST + PAGE] __attribute__((aligned(4096)));
static unsigned long state, count;
static char history[HISTORY][160];

static unsigned int draw(unsigned int below)
{
	state = state * 6364136223846793005UL + 1442695040888963407UL;
	return (state >> 33) % below;
}

static struct file *any_file(void)
{
	return &files[draw(file_count)];
}

static int number_of(const struct file *file)
{
	return file - files;
}

static const char *name_of(const struct file *file)
{
	return strrchr(file->path, '/') + 1;
}

static __attribute__((format(printf, 1, 2))) void note(const char *format, ...)
{
	char *line = history[count++ % HISTORY];
	int length = snprintf(line, sizeof(history[0]), "%lu: ", count);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line + length, sizeof(history[0]) - length, format, arguments);
	va_end(arguments);
}

static void fail(const struct file *file, const char *what, long at)
{
	say("# file %d: %s at %ld (%#lx), size %ld, errno %d; the last operations:\n",
	    number_of(file), what, at, at, file->size, errno);
	for (unsigned long i = count > HISTORY ? count - HISTORY : 0; i < count; i++)
		say("# %s\n", history[i % HISTORY]);
	check(0, "files under random operations are what their models are");
	exit(check_done());
}

/* A range within the file, or growing past its end, now and then on the borders of pages. */
static void range(const struct file *file, long *from, long *length, int growing)
{
	long limit = growing ? MOST : file->size;

	*from = draw(limit ? limit : 1);
	*length = draw(draw(4) ? 8192 : 100000) + 1;
	if (draw(4) == 0)
		*from &= -PAGE;
	if (draw(4) == 0)
		*length = (*length + PAGE - 1) & -PAGE;
	if (*from + *length > limit)
		*length = limit - *from;
	if (*length < 0)
		*length = 0;
}

/* The host does the same: tests/lib/fsmodel.py. */
static void fill_with(unsigned char *at, long length, unsigned char mark)
{
	for (long i = 0; i < length; i++)
		at[i] = mark + i / 7;
}

static void fill(unsigned char *at, long length)
{
	fill_with(at, length, draw(255) + 1);
}

static void compare(const struct file *file, const unsigned char *got, long from, long length,
		    const char *how)
{
	for (long i = 0; i < length; i++)
		if (got[i] != file->model[from + i]) {
			say("# got %#x, wanted %#x\n", got[i], file->model[from + i]);
			fail(file, how, from + i);
		}
}

static void grown_to(struct file *file, long end)
{
	if (end > file->size)
		file->size = end;
}

static void resized(struct file *file, long to)
{
	if (to < file->size)
		memset(file->model + to, 0, MOST - to);
	file->size = to;
}

/* ---- what operations are made of ---- */

static int is_refused(int error)
{
	return error == EOPNOTSUPP || error == EXDEV || error == EINVAL || error == ENOTTY;
}

static void wrote(struct file *file, const char *how, long from, long length, long got)
{
	if (got != length)
		fail(file, how, from);
	if (length)
		grown_to(file, from + length);
}

struct copy {
	struct file *in, *out;
	long from, to, length;
};

/* 0: there is nothing to copy. */
static long draw_copy(struct copy *copy, long unit)
{
	copy->in = any_file();
	copy->out = any_file();
	range(copy->in, &copy->from, &copy->length, 0);
	copy->from &= -unit;
	copy->to = draw(MOST) & -unit;
	copy->length &= -unit;
	if (copy->to + copy->length > MOST)
		copy->length = (MOST - copy->to) & -unit;
	if (copy->length <= 0 || (copy->in == copy->out && copy->from < copy->to + copy->length &&
				  copy->to < copy->from + copy->length))
		return 0;
	return copy->length;
}

static void copied(const struct copy *copy, const char *how, long length)
{
	if (length <= 0 || length > copy->length)
		fail(copy->out, how, copy->to);
	memmove(copy->out->model + copy->to, copy->in->model + copy->from, length);
	grown_to(copy->out, copy->to + length);
}

static void note_copy(const struct copy *copy, const char *how)
{
	note("%s %d at %ld+%ld to %d at %ld", how, number_of(copy->in), copy->from, copy->length,
	     number_of(copy->out), copy->to);
}

static unsigned char *map(struct file *file, int flags, long from, long length)
{
	long start = from & -PAGE;
	unsigned char *at = mmap(NULL, from - start + length, PROT_READ | PROT_WRITE, flags,
				 file->fd, start);

	if (at == MAP_FAILED)
		fail(file, "mmap", from);
	return at;
}

static void compare_all(struct file *file)
{
	long got = pread(file->fd, buffer, MOST, 0);

	if (got != file->size)
		fail(file, "length of all", got);
	compare(file, buffer, 0, file->size, "all of it");
}

static void open_all(struct file *file)
{
	file->fd = open(file->path, O_RDWR | (file->device ? 0 : O_CREAT), 0600);
	file->append_fd = file->device ? -1 : open(file->path, O_WRONLY | O_APPEND);
	file->direct_fd = open(file->path, O_RDWR | O_DIRECT); /* where the file system has that */
	need(file->fd >= 0 && (file->device || file->append_fd >= 0));
}

static void close_all(struct file *file)
{
	if (close(file->fd) || (file->append_fd >= 0 && close(file->append_fd)) ||
	    (file->direct_fd >= 0 && close(file->direct_fd)))
		fail(file, "close", 0);
	if (file->held && draw(2)) {
		munmap(file->held, MOST);
		file->held = NULL;
	}
}

static void drop_held(struct file *file)
{
	if (file->held)
		munmap(file->held, MOST);
	file->held = NULL;
}

/* FNV-1a, which the host computes as well. */
static unsigned long checksum(const struct file *file)
{
	unsigned long sum = 0xcbf29ce484222325UL;

	for (long i = 0; i < file->size; i++)
		sum = (sum ^ file->model[i]) * 0x100000001b3UL;
	return sum;
}

#endif
