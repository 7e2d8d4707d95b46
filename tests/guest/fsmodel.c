// SPDX-License-Identifier: GPL-2.0-only
/*
 * One file under random operations against a model of it in memory: fsmodel [<file> [<seconds> [<seed>]]]
 *
 * Every way to change a file (write, mapped and private mappings, O_DIRECT, O_APPEND, truncation, allocation, holes, copies) and to
 * look at it (read, mapping, O_DIRECT, status, extents), in random order and with random ranges, with syncs, dropped caches and
 * reopening in between. The first difference ends it, with the last operations and the seed that repeats them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "check.h"

#define MOST (512 * 1024)
#define PAGE 4096UL
#define HISTORY 24

static unsigned char model[MOST], buffer[MOST + PAGE] __attribute__((aligned(4096)));
static long size;			/* of the file, as the model has it */
static int fd = -1, direct_fd = -1, append_fd = -1;
static const char *path;
static unsigned long state, count;
static char history[HISTORY][120];

static unsigned int draw(unsigned int below)
{
	state = state * 6364136223846793005UL + 1442695040888963407UL;
	return (state >> 33) % below;
}

static void note(const char *format, long a, long b)
{
	char *line = history[count++ % HISTORY];
	int length = snprintf(line, sizeof(history[0]), "%lu: ", count);

	snprintf(line + length, sizeof(history[0]) - length, format, a, b);
}

static void fail(const char *what, long at)
{
	say("# %s at %ld (%#lx), size %ld, errno %d; the last operations:\n", what, at, at, size, errno);
	for (unsigned long i = count > HISTORY ? count - HISTORY : 0; i < count; i++)
		say("# %s\n", history[i % HISTORY]);
	check(0, "a file under random operations is what its model is");
	exit(check_done());
}

/* A range within the file (or, growing, past its end), now and then on the borders of pages. */
static void range(long *from, long *length, int growing)
{
	long limit = growing ? MOST : size;

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

static void fill(unsigned char *at, long length)
{
	unsigned char mark = draw(255) + 1;

	for (long i = 0; i < length; i++)
		at[i] = mark + i / 7;
}

static void compare(const unsigned char *got, long from, long length, const char *how)
{
	for (long i = 0; i < length; i++)
		if (got[i] != model[from + i]) {
			say("# got %#x, wanted %#x\n", got[i], model[from + i]);
			fail(how, from + i);
		}
}

static void grown_to(long end)
{
	if (end > size)
		size = end;
}

/* ---- changing it ---- */

static void do_write(void)
{
	long from, length;

	range(&from, &length, 1);
	if (length <= 0)
		return;
	note("write %ld+%ld", from, length);
	fill(model + from, length);
	if (pwrite(fd, model + from, length, from) != length)
		fail("write", from);
	if (length)
		grown_to(from + length);
}

static void do_append(void)
{
	long length = draw(9000) + 1;

	if (size + length > MOST)
		return;
	note("append %ld+%ld", size, length);
	fill(model + size, length);
	if (write(append_fd, model + size, length) != length)
		fail("append", size);
	size += length;
}

static void do_direct_write(void)
{
	long from, length;

	range(&from, &length, 1);
	from &= -PAGE;
	length &= -PAGE;
	if (direct_fd < 0 || !length)
		return;
	note("direct write %ld+%ld", from, length);
	fill(model + from, length);
	memcpy(buffer, model + from, length);
	if (pwrite(direct_fd, buffer, length, from) != length)
		fail("direct write", from);
	grown_to(from + length);
}

static void do_truncate(void)
{
	long to = draw(3) ? draw(MOST) : draw(size + 1);

	note("truncate from %ld to %ld", size, to);
	if (ftruncate(fd, to))
		fail("truncate", to);
	if (to > size)
		memset(model + size, 0, to - size);
	else
		memset(model + to, 0, MOST - to);
	size = to;
}

static void do_mapped_write(void)
{
	long from, length, start;
	unsigned char *at;

	range(&from, &length, 0);
	if (!length)
		return;
	note("mapped write %ld+%ld", from, length);
	start = from & -PAGE;
	at = mmap(NULL, from - start + length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start);
	if (at == MAP_FAILED)
		fail("mmap", from);
	fill(model + from, length);
	memcpy(at + (from - start), model + from, length);
	/* Past the end of the file but in its page: must be seen by nobody. */
	if (from + length == size && (size & (PAGE - 1)) && draw(2))
		at[size - start] = 0xee;
	if (draw(3) == 0 && msync(at, from - start + length, MS_SYNC))
		fail("msync", from);
	munmap(at, from - start + length);
}

static void do_private_write(void)
{
	long from, length, start;
	unsigned char *at;

	range(&from, &length, 0);
	if (!length)
		return;
	note("private write %ld+%ld", from, length);
	start = from & -PAGE;
	at = mmap(NULL, from - start + length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, start);
	if (at == MAP_FAILED)
		fail("private mmap", from);
	compare(at + (from - start), from, length, "private mapping");
	memset(at + (from - start), 0xdd, length);
	munmap(at, from - start + length);
}

static int allocate(int mode, long from, long length)
{
	if (fallocate(fd, mode, from, length) == 0)
		return 1;
	if (errno != EOPNOTSUPP)
		fail("fallocate", from);
	return 0;
}

static void do_allocate(void)
{
	long from, length;
	int keep = draw(2) ? FALLOC_FL_KEEP_SIZE : 0;

	range(&from, &length, 1);
	note("allocate %ld+%ld", from, length);
	if (length && allocate(keep, from, length) && !keep)
		grown_to(from + length);
}

static void do_empty(void)
{
	static const int modes[] = { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE };
	unsigned int which = draw(3);
	long from, length;

	range(&from, &length, 1);
	note(which ? "zero %ld+%ld" : "punch %ld+%ld", from, length);
	if (!length || !allocate(modes[which], from, length))
		return;
	memset(model + from, 0, length);
	if (which == 2)
		grown_to(from + length);
}

static void do_collapse(void)
{
	long from, length;

	range(&from, &length, 0);
	from &= -PAGE;
	length &= -PAGE;
	if (!length || from + length >= size)
		return;
	note("collapse %ld+%ld", from, length);
	if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, from, length)) {
		if (errno != EOPNOTSUPP && errno != EINVAL)
			fail("collapse", from);
		return;
	}
	memmove(model + from, model + from + length, size - from - length);
	memset(model + size - length, 0, length);
	size -= length;
}

static void do_copy(void)
{
	long from, length, to = draw(MOST);
	off_t source, target = to;

	range(&from, &length, 0);
	if (to + length > MOST)
		length = MOST - to;
	if (length <= 0 || (from < to + length && to < from + length))
		return;
	note("copy from %ld+%ld", from, length);
	note("     to %ld", to, 0);
	source = from;
	while (length) {
		ssize_t bytes = copy_file_range(fd, &source, fd, &target, length, 0);

		if (bytes <= 0)
			fail("copy", target);
		memmove(model + target - bytes, model + source - bytes, bytes);
		length -= bytes;
		grown_to(target);
	}
}

/* ---- looking at it ---- */

static void do_read(void)
{
	long from, length, got;

	range(&from, &length, 0);
	note("read %ld+%ld", from, length);
	got = pread(fd, buffer, length, from);
	if (got != length)
		fail("short read", from);
	compare(buffer, from, length, "read");
}

static void do_direct_read(void)
{
	long from, length, wanted;

	range(&from, &length, 0);
	from &= -PAGE;
	length = (length + PAGE - 1) & -PAGE;
	if (direct_fd < 0 || !length)
		return;
	wanted = from + length > size ? size - from : length;
	note("direct read %ld+%ld", from, length);
	if (pread(direct_fd, buffer, length, from) != wanted)
		fail("short direct read", from);
	compare(buffer, from, wanted, "direct read");
}

static void do_mapped_read(void)
{
	long from, length, start;
	unsigned char *at;

	range(&from, &length, 0);
	if (!length)
		return;
	note("mapped read %ld+%ld", from, length);
	start = from & -PAGE;
	at = mmap(NULL, from - start + length, PROT_READ, MAP_SHARED, fd, start);
	if (at == MAP_FAILED)
		fail("mmap", from);
	compare(at + (from - start), from, length, "mapping");
	munmap(at, from - start + length);
}

static void do_status(void)
{
	struct stat status;

	note("status", 0, 0);
	if (fstat(fd, &status) || status.st_size != size)
		fail("size", status.st_size);
}

/* Nothing but zeroes in what is said to be a hole. */
static void do_extents(void)
{
	off_t hole, data, from = draw(size + 1);

	note("extents from %ld", from, 0);
	hole = lseek(fd, from, SEEK_HOLE);
	if (from >= size ? hole >= 0 || errno != ENXIO : hole < from || hole > size)
		fail("hole", hole);
	if (from >= size || hole == size)
		return;
	data = lseek(fd, hole, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		data = size;
	for (off_t at = hole; at < data; at++)
		if (model[at])
			fail("data in a hole", at);
}

static void compare_all(void)
{
	long got = pread(fd, buffer, MOST, 0);

	if (got != size)
		fail("length of all", got);
	compare(buffer, 0, size, "all of it");
}

/* ---- in between ---- */

static void do_sync(void)
{
	note("sync", 0, 0);
	if (draw(2) ? fsync(fd) : fdatasync(fd))
		fail("fsync", 0);
}

static void do_drop(void)
{
	note("drop", 0, 0);
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void open_all(void)
{
	fd = open(path, O_RDWR | O_CREAT, 0600);
	append_fd = open(path, O_WRONLY | O_APPEND);
	direct_fd = open(path, O_RDWR | O_DIRECT);	/* where the file system has that */
	need(fd >= 0 && append_fd >= 0);
}

static void close_all(void)
{
	if (close(fd) || close(append_fd) || (direct_fd >= 0 && close(direct_fd)))
		fail("close", 0);
}

static void do_reopen(void)
{
	note("reopen", 0, 0);
	close_all();
	open_all();
	compare_all();
}

/* Another file with this content and name, of which nothing is cached. */
static void do_replace(void)
{
	char other[4096];
	int new_fd;

	note("replace", 0, 0);
	snprintf(other, sizeof(other), "%s.new", path);
	new_fd = open(other, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (new_fd < 0 || pwrite(new_fd, model, size, 0) != size || fsync(new_fd) || rename(other, path))
		fail("replace", 0);
	posix_fadvise(new_fd, 0, 0, POSIX_FADV_DONTNEED);
	close(new_fd);
	close_all();
	open_all();
}

static void (*const operations[])(void) = {
	do_write, do_write, do_write, do_append, do_direct_write, do_truncate, do_mapped_write, do_mapped_write, do_private_write,
	do_allocate, do_empty, do_empty, do_collapse, do_copy, do_read, do_read, do_read, do_direct_read, do_mapped_read,
	do_mapped_read, do_status, do_extents, do_sync, do_drop, do_reopen, do_replace,
};

int main(int argc, char **argv)
{
	long seconds = argc > 2 ? atol(argv[2]) : 2;
	time_t end;

	path = argc > 1 ? argv[1] : "fsmodel.file";
	state = argc > 3 ? strtoul(argv[3], NULL, 0) : (unsigned long)time(NULL);
	say("# seed %lu\n", state);
	unlink(path);
	open_all();
	end = time(NULL) + seconds;
	while (time(NULL) < end) {
		operations[draw(sizeof(operations) / sizeof(operations[0]))]();
		if (draw(50) == 0)
			compare_all();
	}
	compare_all();
	close_all();
	unlink(path);
	say("# %lu operations\n", count);
	check(1, "a file under random operations is what its model is");
	return check_done();
}
