// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving bytes between files. Large ranges go by copy_file_range, which copies inside the host's
 * kernel and shares blocks where the file system can (and otherwise by reading and writing); holes
 * are found with SEEK_DATA and not copied.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "copy.h"
#include "cow_files.h"
#include "cow_tool.h"

#define AT_ONCE (16UL << 20) /* by copy_file_range; small enough for progress to be seen */
#define BLOCK	4096UL			/* of zeroes that are left out */

/* ---- progress ---- */

static struct {
	const char *what;
	uint64_t total, done;
	double shown;		/* when; seconds */
	int on;
} progress;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

void progress_begin(const char *what, uint64_t total)
{
	progress.what = what;
	progress.total = total;
	progress.done = 0;
	progress.shown = now();
	progress.on = isatty(STDERR_FILENO);
}

void progress_add(uint64_t bytes)
{
	progress.done += bytes;
	if (!progress.on || now() - progress.shown < 0.2)
		return;
	progress.shown = now();
	fprintf(stderr, "\r%s: %s, %3.0f%% of %.1f MiB ", tool_name, progress.what,
		progress.done < progress.total ? 100.0 * progress.done / progress.total : 100.0,
		progress.total / 1048576.0);
}

/* Takes the line away. */
void progress_end(void)
{
	if (progress.on)
		fputs("\r\033[K", stderr);
	progress.on = 0;
}

/* ---- copying ---- */

unsigned char *buffer(int number)
{
	static unsigned char *memory[2];

	if (!memory[number])
		memory[number] = allocate(BUFFER);
	return memory[number];
}

static void write_all(const struct target *target, const unsigned char *bytes, uint64_t length,
		      uint64_t offset)
{
	int error = cow_write(target->fd, bytes, length, offset);

	if (error) {
		progress_end();
		die("%s: %s", target->path, strerror(-error));
	}
}

void get(int fd, const char *source, unsigned char *bytes, uint64_t length, uint64_t offset)
{
	unsigned long got;
	int error = cow_read(fd, bytes, length, offset, &got);

	if (error || got < length)
		progress_end();
	if (error)
		die("%s: %s", source, strerror(-error));
	if (got < length)
		die("%s is cut off: there should be data at byte %llu", source,
		    (unsigned long long)offset + got);
}

static int is_zero(const unsigned char *bytes, uint64_t length)
{
	return !*bytes && !memcmp(bytes, bytes + 1, length - 1);
}

void put(const struct target *target, const unsigned char *bytes, uint64_t length, uint64_t offset)
{
	uint64_t from = 0, to;

	if (!target->fresh) {
		write_all(target, bytes, length, offset);
		return;
	}
	for (; from < length; from = to) {
		uint64_t here = length - from < BLOCK ? length - from : BLOCK;
		int zero = is_zero(bytes + from, here);

		/* As long as it goes on like this. */
		for (to = from + here; to < length; to += here) {
			here = length - to < BLOCK ? length - to : BLOCK;
			if (is_zero(bytes + to, here) != zero)
				break;
		}
		if (!zero)
			write_all(target, bytes + from, to - from, offset + from);
	}
}

static void put_zeroes(const struct target *target, uint64_t offset, uint64_t length)
{
	if (target->fresh || fallocate(target->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       offset, length) == 0) {
		progress_add(length);
		return;
	}
	memset(buffer(0), 0, BUFFER);
	while (length) {
		uint64_t here = length < BUFFER ? length : BUFFER;

		write_all(target, buffer(0), here, offset);
		progress_add(here);
		offset += here;
		length -= here;
	}
}

/*
 * Returns how many bytes the host copied; where it is not all of them, another way may do or will
 * say what is wrong.
 */
static uint64_t copy_in_kernel(int from, uint64_t from_offset, const struct target *target,
			       uint64_t offset, uint64_t length)
{
	static int refused;
	off_t in = from_offset, out = offset;
	uint64_t left = length;

	while (left && !refused) {
		ssize_t bytes = copy_file_range(from, &in, target->fd, &out,
						left < AT_ONCE ? left : AT_ONCE, 0);

		if (bytes < 0 && errno == EINTR)
			continue;
		refused = bytes <= 0;
		if (refused)
			break;
		left -= bytes;
		progress_add(bytes);
	}
	return length - left;
}

static void copy_data(int from, const char *source, uint64_t from_offset,
		      const struct target *target, uint64_t offset, uint64_t length)
{
	uint64_t done = copy_in_kernel(from, from_offset, target, offset, length);

	while (done < length) {
		uint64_t here = length - done < BUFFER ? length - done : BUFFER;

		get(from, source, buffer(0), here, from_offset + done);
		put(target, buffer(0), here, offset + done);
		progress_add(here);
		done += here;
	}
}

uint64_t file_extent(int fd, uint64_t offset, uint64_t limit, int *hole)
{
	off_t data = lseek(fd, offset, SEEK_DATA), end;

	*hole = data > (off_t)offset || (data < 0 && errno == ENXIO);
	end = *hole ? data : lseek(fd, offset, SEEK_HOLE);
	return end < 0 || (uint64_t)end - offset > limit ? limit : (uint64_t)end - offset;
}

/* A hole that is behind the end of a file is no hole. */
static void check_end(int fd, const char *source, uint64_t end)
{
	off_t length = lseek(fd, 0, SEEK_END);

	if (length >= 0 && (uint64_t)length < end) {
		progress_end();
		die("%s is cut off: it has %llu bytes and should have %llu", source,
		    (unsigned long long)length, (unsigned long long)end);
	}
}

void copy_range(int from, const char *source, uint64_t from_offset, const struct target *target,
		uint64_t offset, uint64_t length)
{
	check_end(from, source, from_offset + length);
	while (length) {
		int hole;
		uint64_t here = file_extent(from, from_offset, length, &hole);

		if (hole)
			put_zeroes(target, offset, here);
		else
			copy_data(from, source, from_offset, target, offset, here);
		from_offset += here;
		offset += here;
		length -= here;
	}
}
