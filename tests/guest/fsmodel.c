// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files under random operations against models of them in memory:
 *
 *	fsmodel [<path>[,<path>...] [<seconds> [<seed>]]]
 *
 * Every way to change a file (write, io_uring, splice, sendfile, mappings that come and go and one
 * that stays, O_DIRECT, O_APPEND, O_TRUNC, truncation, allocation, holes, copies and clones within
 * a file and between two, one's mapping as another's buffer, threads and processes at once,
 * someone else's changes on the host) and to look at one, in random order and with random ranges,
 * with syncs, dropped caches, new names and reopening in between. A path may be a block device of
 * 512 KiB. The first difference ends it, with the last operations and the seed that repeats them.
 *
 * FSMODEL_HOST=<directory>: somebody on the host answers requests there (tests/lib/fsmodel.py).
 * FSMODEL_ASKS=<directory>: below it the host is asked about a file each time (actimeo=0).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>

#include "fsmodel.h"
#include "fsmodel_others.h"

static struct io_uring ring;
static int ring_works, ring_has_buffer, pipe_fd[2];

/* ---- writing ---- */

/* Draws what to write, and has it in the model and the buffer already. */
static long new_data(struct file *file, long *from, int on_pages)
{
	long length;

	range(file, from, &length, 1);
	if (on_pages) {
		*from &= -PAGE;
		length &= -PAGE;
	}
	fill(file->model + *from, length);
	memcpy(buffer, file->model + *from, length);
	return length;
}

/* Two of the flags may be refused, or write a part: then the rest is written without. */
static long write_with(struct file *file, long from, long length, int flags)
{
	struct iovec parts[2] = {
		{ buffer, length / 3 }, { buffer + length / 3, length - length / 3 }
	};
	int fd = flags == RWF_NOAPPEND ? file->append_fd : file->fd;
	int may = flags == RWF_NOWAIT || flags == RWF_NOAPPEND;
	long done = fd < 0 ? -1 : pwritev2(fd, parts, 2, from, flags);

	if (done < 0 && may && (fd < 0 || errno == EAGAIN || is_refused(errno)))
		done = 0;
	if (done >= 0 && done < length && may)
		done += pwrite(file->fd, buffer + done, length - done, from + done);
	return done;
}

static void do_write(struct file *file)
{
	static const int flags[] = {
		0, 0, 0, RWF_DSYNC, RWF_SYNC, RWF_HIPRI, RWF_NOWAIT, RWF_NOAPPEND
	};
	long from, length = new_data(file, &from, 0);
	int flag = flags[draw(8)];

	note("%d: write %ld+%ld, flags %#x", number_of(file), from, length, flag);
	if (length)
		wrote(file, "write", from, length, write_with(file, from, length, flag));
}

static void do_append(struct file *file)
{
	long length = draw(9000) + 1, got;
	struct iovec all = { buffer, length };

	if (file->device || file->size + length > MOST)
		return;
	note("%d: append %ld+%ld", number_of(file), file->size, length);
	fill(buffer, length);
	memcpy(file->model + file->size, buffer, length);
	got = draw(2) ? write(file->append_fd, buffer, length) :
			pwritev2(file->fd, &all, 1, 0, RWF_APPEND);
	wrote(file, "append", file->size, length, got);
}

static void do_direct_write(struct file *file)
{
	long from, length;

	if (file->direct_fd < 0)
		return;
	length = new_data(file, &from, 1);
	note("%d: direct write %ld+%ld", number_of(file), from, length);
	if (length)
		wrote(file, "direct write", from, length,
		      pwrite(file->direct_fd, buffer, length, from));
}

/* From memory that is not cached to a file, by way of a pipe, whose pages may be given to it. */
static void do_splice_write(struct file *file)
{
	long from, length = new_data(file, &from, 0);
	long at = from, done = 0;

	note("%d: splice in %ld+%ld", number_of(file), from, length);
	while (done < length) {
		struct iovec part = { buffer + done,
				      length - done > 65536 ? 65536 : length - done };
		long taken = vmsplice(pipe_fd[1], &part, 1, 0), left = taken;

		while (left > 0) {
			long moved = splice(pipe_fd[0], NULL, file->fd, &at, left, SPLICE_F_MOVE);

			if (moved <= 0)
				fail(file, "splice into it", at);
			left -= moved;
		}
		if (taken <= 0)
			fail(file, "vmsplice", at);
		done += taken;
	}
	wrote(file, "splice", from, length, done);
}

static int ring_result(void)
{
	struct io_uring_cqe *end;
	int result;

	io_uring_submit(&ring);
	if (io_uring_wait_cqe(&ring, &end))
		return -1;
	result = end->res;
	io_uring_cqe_seen(&ring, end);
	return result;
}

static int by_ring(int write, int fd, long from, long length)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
	int fixed = ring_has_buffer && draw(2);

	if (write && fixed)
		io_uring_prep_write_fixed(entry, fd, buffer, length, from, 0);
	else if (write)
		io_uring_prep_write(entry, fd, buffer, length, from);
	else if (fixed)
		io_uring_prep_read_fixed(entry, fd, buffer, length, from, 0);
	else
		io_uring_prep_read(entry, fd, buffer, length, from);
	return ring_result();
}

static void do_ring_write(struct file *file)
{
	int direct = file->direct_fd >= 0 && draw(2);
	long from, length;

	if (!ring_works)
		return;
	length = new_data(file, &from, direct);
	note("%d: io_uring write %ld+%ld%s", number_of(file), from, length,
	     direct ? " direct" : "");
	if (length)
		wrote(file, "io_uring write", from, length,
		      by_ring(1, direct ? file->direct_fd : file->fd, from, length));
}

/* ---- sizes and extents ---- */

static void do_truncate(struct file *file)
{
	long to = draw(3) ? draw(MOST) : draw(file->size + 1);

	if (file->device)
		return;
	note("%d: truncate from %ld to %ld", number_of(file), file->size, to);
	if (draw(2) ? ftruncate(file->fd, to) : truncate(file->path, to))
		fail(file, "truncate", to);
	resized(file, to);
}

static void do_open_truncating(struct file *file)
{
	int fd;

	if (file->device || draw(8))
		return;
	note("%d: opened with O_TRUNC", number_of(file));
	fd = open(file->path, O_WRONLY | O_TRUNC);
	if (fd < 0 || close(fd))
		fail(file, "O_TRUNC", 0);
	resized(file, 0);
}

static int allocate(struct file *file, int mode, long from, long length)
{
	int error;

	if (ring_works && draw(4) == 0) {
		io_uring_prep_fallocate(io_uring_get_sqe(&ring), file->fd, mode, from, length);
		error = ring_result();
		errno = -error;
	} else {
		error = fallocate(file->fd, mode, from, length);
	}
	if (!error)
		return 1;
	if (!is_refused(errno))
		fail(file, "fallocate", from);
	return 0;
}

static void do_allocate(struct file *file)
{
	long from, length;
	int keep = draw(2) ? FALLOC_FL_KEEP_SIZE : 0;

	range(file, &from, &length, 1);
	if (file->device || !length)
		return;
	note("%d: allocate %ld+%ld", number_of(file), from, length);
	if (allocate(file, keep, from, length) && !keep)
		grown_to(file, from + length);
}

static void do_empty(struct file *file)
{
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
	};
	unsigned int which = draw(3);
	long from, length;

	range(file, &from, &length, 1);
	if (file->device) {
		from &= -SECTOR;
		length &= -SECTOR;
	}
	note("%d: %s %ld+%ld", number_of(file), which ? "zero" : "punch", from, length);
	if (!length)
		return;
	if (!allocate(file, modes[which], from, length)) {
		/* A device may have lost the range: Linux first drops what is cached of it. */
		if (file->device)
			wrote(file, "write", from, length,
			      pwrite(file->fd, file->model + from, length, from));
		return;
	}
	memset(file->model + from, 0, length);
	if (which == 2)
		grown_to(file, from + length);
}

/* Moves what follows. */
static void do_shift(struct file *file)
{
	int insert = draw(2);
	long from, length;

	range(file, &from, &length, 0);
	from &= -PAGE;
	length &= -PAGE;
	if (file->device || !length || from + length >= file->size ||
	    (insert && file->size + length > MOST))
		return;
	note("%d: %s %ld+%ld", number_of(file), insert ? "insert" : "collapse", from, length);
	if (!allocate(file, insert ? FALLOC_FL_INSERT_RANGE : FALLOC_FL_COLLAPSE_RANGE, from,
		      length))
		return;
	if (insert) {
		memmove(file->model + from + length, file->model + from, file->size - from);
		memset(file->model + from, 0, length);
		file->size += length;
	} else {
		memmove(file->model + from, file->model + from + length,
			file->size - from - length);
		resized(file, file->size - length);
	}
}

static void do_discard(struct file *file)
{
	unsigned long from_and_length[2];
	long from, length;
	int sector;

	range(file, &from, &length, 0);
	if (!file->device || ioctl(file->fd, BLKSSZGET, &sector))
		return;
	from &= -sector;
	length &= -sector;
	if (!length)
		return;
	from_and_length[0] = from;
	from_and_length[1] = length;
	note("%d: zero the device %ld+%ld", number_of(file), from, length);
	if (ioctl(file->fd, BLKZEROOUT, from_and_length))
		fail(file, "BLKZEROOUT", from);
	memset(file->model + from, 0, length);
	/* What a discarded range reads as is nobody's promise: it is written at once. */
	note("%d: discard %ld+%ld", number_of(file), from, length);
	if (ioctl(file->fd, BLKDISCARD, from_and_length) && !is_refused(errno))
		fail(file, "BLKDISCARD", from);
	fill(file->model + from, length);
	wrote(file, "write", from, length, pwrite(file->fd, file->model + from, length, from));
}

/* ---- copies, within a file or between two ---- */

static void do_copy(struct file *file)
{
	struct copy copy;
	off_t from, to;
	long bytes;

	if (!draw_copy(&copy, 1))
		return;
	note_copy(&copy, "copy");
	while (copy.length) {
		from = copy.from;
		to = copy.to;
		bytes = copy_file_range(copy.in->fd, &from, copy.out->fd, &to, copy.length, 0);
		if (bytes < 0 && is_refused(errno))
			return;
		copied(&copy, "copy_file_range", bytes);
		copy.from += bytes;
		copy.to += bytes;
		copy.length -= bytes;
	}
}

static void do_sendfile(struct file *file)
{
	struct copy copy;
	off_t from;
	long bytes;

	if (!draw_copy(&copy, 1) || copy.in == copy.out)
		return;
	note_copy(&copy, "sendfile");
	from = copy.from;
	if (lseek(copy.out->fd, copy.to, SEEK_SET) != copy.to)
		fail(copy.out, "seek", copy.to);
	bytes = sendfile(copy.out->fd, copy.in->fd, &from, copy.length);
	copied(&copy, "sendfile", bytes);
}

static void do_splice_copy(struct file *file)
{
	struct copy copy;
	off_t from, to;
	long bytes, left;

	if (!draw_copy(&copy, 1))
		return;
	note_copy(&copy, "splice");
	from = copy.from;
	to = copy.to;
	bytes = left = splice(copy.in->fd, &from, pipe_fd[1], NULL, copy.length, 0);
	while (left > 0) {
		long moved = splice(pipe_fd[0], NULL, copy.out->fd, &to, left,
				    draw(2) ? SPLICE_F_MOVE : 0);

		if (moved <= 0)
			fail(copy.out, "splice", to);
		left -= moved;
	}
	copied(&copy, "splice", bytes);
}

static void do_clone(struct file *file)
{
	struct copy copy;
	struct file_clone_range clone;

	if (!draw_copy(&copy, PAGE))
		return;
	clone = (struct file_clone_range){ copy.in->fd, copy.from, copy.length, copy.to };
	note_copy(&copy, "clone");
	if (!ioctl(copy.out->fd, FICLONERANGE, &clone))
		copied(&copy, "clone", copy.length);
	else if (!is_refused(errno) && errno != EISDIR)
		fail(copy.out, "FICLONERANGE", copy.to);
}

/* Whatever it answers, no byte changes. */
static void do_dedupe(struct file *file)
{
	char space[sizeof(struct file_dedupe_range) + sizeof(struct file_dedupe_range_info)]
		__attribute__((aligned(8))) = {};
	struct file_dedupe_range *request = (void *)space;
	struct copy copy;

	if (!draw_copy(&copy, PAGE) || copy.to + copy.length > copy.out->size)
		return;
	if (draw(2)) {
		note_copy(&copy, "what is the same, for dedupe,");
		if (pwrite(copy.out->fd, copy.in->model + copy.from, copy.length, copy.to) !=
		    copy.length)
			fail(copy.out, "write", copy.to);
		copied(&copy, "write", copy.length);
	}
	note_copy(&copy, "dedupe");
	request->src_offset = copy.from;
	request->src_length = copy.length;
	request->dest_count = 1;
	request->info[0].dest_fd = copy.out->fd;
	request->info[0].dest_offset = copy.to;
	if (ioctl(copy.in->fd, FIDEDUPERANGE, request) && !is_refused(errno))
		fail(copy.out, "FIDEDUPERANGE", copy.to);
}

/* ---- mappings ---- */

static void do_mapped_write(struct file *file)
{
	static const int sync_flags[] = { MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE };
	long from, length, start;
	unsigned char *at;

	range(file, &from, &length, 0);
	if (!length)
		return;
	note("%d: mapped write %ld+%ld", number_of(file), from, length);
	start = from & -PAGE;
	at = map(file, MAP_SHARED, from, length);
	fill(file->model + from, length);
	memcpy(at + (from - start), file->model + from, length);
	/* Past the end of the file but in its page: must be seen by nobody. */
	if (file->zeroes_past_end && from + length == file->size && (file->size & (PAGE - 1)) &&
	    draw(2))
		at[file->size - start] = 0xee;
	if (draw(3) == 0 && msync(at, from - start + length, sync_flags[draw(3)]))
		fail(file, "msync", from);
	munmap(at, from - start + length);
}

/*
 * A mapping writes past the end, in its page; then the file grows over that, and zeroes are there.
 */
static void do_past_end(struct file *file)
{
	unsigned int way = draw(4);
	long page = file->size & -PAGE, to = file->size + 1 + draw(2 * PAGE);
	unsigned char *at;

	if (!file->zeroes_past_end || page == file->size || to + PAGE > MOST)
		return;
	note("%d: past the end, %ld, then grown to %ld, %u", number_of(file), file->size, to, way);
	at = map(file, MAP_SHARED, page, PAGE);
	memset(at + (file->size - page), 0xee, PAGE - (file->size - page));
	switch (way) {
	case 0:
		if (ftruncate(file->fd, to))
			fail(file, "truncate", to);
		break;
	case 1:
		if (!allocate(file, 0, page, to - page))
			to = file->size;
		break;
	default:
		wrote(file, "write", to - 1, 1, pwrite(file->fd, "", 1, to - 1));
	}
	grown_to(file, to);
	munmap(at, PAGE);
	compare_all(file);
}

static void do_private_write(struct file *file)
{
	long from, length, start;
	unsigned char *at;

	range(file, &from, &length, 0);
	if (!length)
		return;
	note("%d: private write %ld+%ld", number_of(file), from, length);
	start = from & -PAGE;
	at = map(file, MAP_PRIVATE, from, length);
	compare(file, at + (from - start), from, length, "private mapping");
	memset(at + (from - start), 0xdd, length);
	if (madvise(at, from - start + length, MADV_DONTNEED))
		fail(file, "madvise", from);
	compare(file, at + (from - start), from, length, "private mapping, dropped");
	munmap(at, from - start + length);
}

/* Other page tables for the same mapping. */
static void move_held(struct file *file)
{
	unsigned char *old = file->held;

	switch (draw(5)) {
	case 0:
		file->held = mremap(old, MOST, MOST, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
		if (file->held == MAP_FAILED)
			file->held = map(file, MAP_SHARED, 0, MOST);	/* before 5.13 */
		munmap(old, MOST);
		break;
	case 1:
		if (mremap(old, MOST, PAGE, 0) == MAP_FAILED)
			fail(file, "mremap to a page", 0);
		file->held = mremap(old, PAGE, MOST, MREMAP_MAYMOVE);
		if (file->held == MAP_FAILED)
			fail(file, "mremap to all pages", 0);
		break;
	case 2:
		if (mprotect(old, MOST, PROT_READ) || mprotect(old, MOST, PROT_READ | PROT_WRITE))
			fail(file, "mprotect", 0);
		break;
	default:
		if (madvise(old, MOST, draw(2) ? MADV_DONTNEED : MADV_PAGEOUT))
			fail(file, "madvise", 0);
	}
}

/* The mapping that stays while all else happens. */
static void do_held(struct file *file)
{
	int write = draw(2);
	long from, length;

	if (!file->held || draw(20) == 0) {
		drop_held(file);
		file->held = map(file, MAP_SHARED, 0, MOST);
	} else if (draw(8) == 0) {
		move_held(file);
	}
	range(file, &from, &length, 0);
	note("%d: held mapping: %s %ld+%ld", number_of(file), write ? "write" : "read", from,
	     length);
	if (write) {
		fill(file->model + from, length);
		memcpy(file->held + from, file->model + from, length);
	} else {
		compare(file, file->held + from, from, length, "held mapping");
	}
}

static void do_mapped_read(struct file *file)
{
	long from, length, start;
	unsigned char *at;

	range(file, &from, &length, 0);
	if (!length)
		return;
	note("%d: mapped read %ld+%ld", number_of(file), from, length);
	start = from & -PAGE;
	at = map(file, MAP_SHARED, from, length);
	compare(file, at + (from - start), from, length, "mapping");
	munmap(at, from - start + length);
}

/* From a mapping of one file into another, or another place of it. */
static void do_write_mapped(struct file *file)
{
	int direct = draw(3) == 0;
	struct copy copy;
	unsigned char *at;
	long start, done;

	if (!draw_copy(&copy, direct ? PAGE : 1) || (direct && copy.out->direct_fd < 0))
		return;
	note_copy(&copy, direct ? "direct write from a mapping," : "write from a mapping,");
	start = copy.from & -PAGE;
	at = map(copy.in, MAP_SHARED, copy.from, copy.length);
	done = pwrite(direct ? copy.out->direct_fd : copy.out->fd, at + (copy.from - start),
		      copy.length, copy.to);
	if (done != copy.length)
		fail(copy.out, "write from a mapping", copy.to);
	copied(&copy, "write", done);
	munmap(at, copy.from - start + copy.length);
}

/* In the end somebody else than the program writes to its pages: the kernel, or another process. */
static long fill_mapped(const struct copy *copy, unsigned char *at, unsigned int way)
{
	struct iovec local = { copy->in->model + copy->from, copy->length };
	struct iovec remote = { at, copy->length };
	long done;
	int fd;

	switch (way) {
	case 0:
		return pread(copy->in->fd, at, copy->length, copy->from);
	case 1:
		return pread(copy->in->direct_fd, at, copy->length, copy->from);
	case 2:
		return process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
	}
	fd = open("/proc/self/mem", O_RDWR);
	done = pwrite(fd, copy->in->model + copy->from, copy->length, (off_t)(unsigned long)at);
	close(fd);
	return done;
}

static void do_read_into_mapping(struct file *file)
{
	static const char *const ways[] = {
		"read into a mapping,", "direct read into a mapping,", "process_vm_writev,",
		"/proc/self/mem,"
	};
	unsigned int way = draw(4);
	struct copy copy;
	unsigned char *at;
	long start;

	if (!draw_copy(&copy, way == 1 ? PAGE : 1) || copy.to + copy.length > copy.out->size ||
	    (way == 1 && copy.in->direct_fd < 0))
		return;
	note_copy(&copy, ways[way]);
	start = copy.to & -PAGE;
	at = map(copy.out, MAP_SHARED, copy.to, copy.length);
	if (fill_mapped(&copy, at + (copy.to - start), way) != copy.length)
		fail(copy.out, ways[way], copy.to);
	copied(&copy, ways[way], copy.length);
	munmap(at, copy.to - start + copy.length);
}

/* ---- looking at it ---- */

static void do_read(struct file *file)
{
	struct iovec all = { buffer, 0 };
	long from, length, got;

	range(file, &from, &length, 0);
	note("%d: read %ld+%ld", number_of(file), from, length);
	all.iov_len = length;
	got = draw(3) ? -1 : preadv2(file->fd, &all, 1, from, RWF_NOWAIT);
	if (got < 0)
		got = pread(file->fd, buffer, got = length, from);
	else
		length = got;
	if (got != length)
		fail(file, "short read", from);
	compare(file, buffer, from, length, "read");
}

static void do_direct_read(struct file *file)
{
	long from, length, wanted, got;

	range(file, &from, &length, 0);
	from &= -PAGE;
	length = (length + PAGE - 1) & -PAGE;
	if (file->direct_fd < 0 || !length)
		return;
	wanted = from + length > file->size ? file->size - from : length;
	note("%d: direct read %ld+%ld", number_of(file), from, length);
	got = ring_works && draw(2) ? by_ring(0, file->direct_fd, from, length) :
				      pread(file->direct_fd, buffer, length, from);
	if (got != wanted)
		fail(file, "short direct read", from);
	compare(file, buffer, from, wanted, "direct read");
}

static void do_ring_read(struct file *file)
{
	long from, length;

	range(file, &from, &length, 0);
	if (!ring_works || !length)
		return;
	note("%d: io_uring read %ld+%ld", number_of(file), from, length);
	if (by_ring(0, file->fd, from, length) != length)
		fail(file, "short io_uring read", from);
	compare(file, buffer, from, length, "io_uring read");
}

static void do_splice_read(struct file *file)
{
	long from, length, bytes;
	off_t at;

	range(file, &from, &length, 0);
	if (!length)
		return;
	note("%d: splice out %ld+%ld", number_of(file), from, length);
	at = from;
	bytes = splice(file->fd, &at, pipe_fd[1], NULL, length, 0);
	if (bytes <= 0 || read(pipe_fd[0], buffer, bytes) != bytes)
		fail(file, "splice out of it", from);
	compare(file, buffer, from, bytes, "splice");
}

static void do_status(struct file *file)
{
	struct stat status;

	note("%d: status", number_of(file));
	if (fstat(file->fd, &status) || (!file->device && status.st_size != file->size))
		fail(file, "size", status.st_size);
}

static void want_zeroes(const struct file *file, long from, long end)
{
	for (long at = from; at < end; at++)
		if (file->model[at])
			fail(file, "data in a hole", at);
}

/*
 * Finds where the data at or after @at begins and ends. ext4 may call a block a hole for a moment
 * while it writes it back, whatever it said before; that passes.
 */
static void find_data(struct file *file, off_t at, off_t *data, off_t *hole)
{
	for (int trial = 0; trial < 10; trial++) {
		*data = lseek(file->fd, at, SEEK_DATA);
		if (*data < 0 && errno == ENXIO)
			*data = file->size;
		*hole = *data;
		if (*data < at || *data >= file->size)
			return;
		*hole = lseek(file->fd, *data, SEEK_HOLE);
		if (*hole != *data)
			return;
		usleep(10000);
	}
}

/* Nothing but zeroes in what is said to be a hole, from anywhere to the end. */
static void do_extents(struct file *file)
{
	off_t data, hole, at = draw(file->size + 1);

	if (file->device)
		return;
	note("%d: extents from %ld", number_of(file), at);
	if (at == file->size && (lseek(file->fd, at, SEEK_HOLE) >= 0 || errno != ENXIO))
		fail(file, "hole at the end", at);
	while (at < file->size) {
		find_data(file, at, &data, &hole);
		if (data < at || data > file->size)
			fail(file, "SEEK_DATA", data);
		want_zeroes(file, at, data);
		if (hole < data || hole > file->size || (hole == data && data < file->size))
			fail(file, "SEEK_HOLE", hole);
		at = hole;
	}
}

/* ---- in between ---- */

static void do_sync(struct file *file)
{
	unsigned int which = draw(8);
	int error;

	note("%d: sync %u", number_of(file), which);
	switch (which) {
	case 0:
		error = syncfs(file->fd);
		break;
	case 1:
		error = sync_file_range(file->fd, draw(MOST), draw(MOST),
					SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER);
		break;
	default:
		error = which % 2 ? fsync(file->fd) : fdatasync(file->fd);
	}
	if (error)
		fail(file, "sync", which);
}

static void do_drop(struct file *file)
{
	int all = draw(8) ? -1 : open("/proc/sys/vm/drop_caches", O_WRONLY);

	note("%d: drop%s", number_of(file), all < 0 ? "" : " all caches");
	fsync(file->fd);
	posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (all >= 0 && write(all, "1", 1) != 1)
		fail(file, "drop_caches", 0);
	if (all >= 0)
		close(all);
}

static void do_reopen(struct file *file)
{
	note("%d: reopen", number_of(file));
	close_all(file);
	open_all(file);
	compare_all(file);
}

/* Another file with this content and name, of which nothing is cached. */
static void do_replace(struct file *file)
{
	char other[sizeof(file->path) + 8];
	int new_fd;

	if (file->device)
		return;
	note("%d: replace", number_of(file));
	snprintf(other, sizeof(other), "%s.new", file->path);
	new_fd = open(other, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (new_fd < 0 || pwrite(new_fd, file->model, file->size, 0) != file->size ||
	    fsync(new_fd) || rename(other, file->path))
		fail(file, "replace", 0);
	posix_fadvise(new_fd, 0, 0, POSIX_FADV_DONTNEED);
	close(new_fd);
	close_all(file);
	drop_held(file);
	open_all(file);
}

/*
 * The file goes on under no name, is opened by its descriptor, and its bytes come back under the
 * old one.
 */
static void do_unname(struct file *file)
{
	char itself[64];
	int again;

	if (file->device)
		return;
	note("%d: unlink, open again, make anew", number_of(file));
	snprintf(itself, sizeof(itself), "/proc/self/fd/%d", file->fd);
	if (unlink(file->path))
		fail(file, "unlink", 0);
	again = open(itself, O_RDWR);
	if (again < 0)
		fail(file, "open of what was unlinked", 0);
	close(file->fd);
	file->fd = again;
	compare_all(file);
	do_write(file);
	compare_all(file);
	close_all(file);
	drop_held(file);
	open_all(file);
	wrote(file, "write", 0, file->size, pwrite(file->fd, file->model, file->size, 0));
}

static void (*const operations[])(struct file *file) = {
	do_write, do_write, do_write, do_append, do_direct_write, do_splice_write, do_ring_write,
	do_truncate, do_allocate, do_empty, do_empty, do_shift, do_discard,
	do_copy, do_copy, do_copy, do_sendfile, do_splice_copy, do_clone, do_dedupe,
	do_mapped_write, do_mapped_write, do_private_write, do_held, do_held, do_held,
	do_read, do_read, do_read, do_direct_read, do_ring_read, do_splice_read, do_mapped_read,
	do_mapped_read, do_status, do_extents, do_sync, do_drop, do_reopen, do_replace, do_unname,
	do_write_mapped, do_write_mapped, do_read_into_mapping, do_read_into_mapping,
	do_open_truncating, do_past_end, do_past_end, do_together, do_together, do_on_host,
};

/* A device begins with what is on it. */
static void begin(struct file *file, const char *path)
{
	const char *asks = getenv("FSMODEL_ASKS");
	struct statfs system;
	struct stat status;

	snprintf(file->path, sizeof(file->path), "%s", path);
	file->device = !stat(path, &status) && S_ISBLK(status.st_mode);
	if (!file->device) {
		unlink(path);
		open_all(file);
		need(!fstatfs(file->fd, &system));
		file->of_host = system.f_type == 0x00c0ffee;
		file->asks = asks && !strncmp(path, asks, strlen(asks));
		file->zeroes_past_end = file->of_host;
		return;
	}
	open_all(file);
	file->size = MOST;
	need(pread(file->fd, file->model, MOST, 0) == MOST && lseek(file->fd, 0, SEEK_END) == MOST);
}

static void end(struct file *file)
{
	compare_all(file);
	close_all(file);
	drop_held(file);
	say("# sum of %s: %ld bytes, %016lx\n", file->path, file->size, checksum(file));
}

int main(int argc, char **argv)
{
	long seconds = argc > 2 ? atol(argv[2]) : 2;
	char names[] = "fsmodel.a,fsmodel.b", *paths = argc > 1 ? argv[1] : names;
	struct iovec all_of_buffer = { buffer, sizeof(buffer) };
	time_t until;

	state = argc > 3 ? strtoul(argv[3], NULL, 0) : (unsigned long)time(NULL);
	host_place = getenv("FSMODEL_HOST");
	ring_works = !io_uring_queue_init(8, &ring, 0);
	ring_has_buffer = ring_works && !io_uring_register_buffers(&ring, &all_of_buffer, 1);
	say("# seed %lu%s\n", state, ring_works ? "" : ", no io_uring here");
	need(pipe(pipe_fd) == 0 && fcntl(pipe_fd[1], F_SETPIPE_SZ, 1 << 20) > 0);
	for (char *path = strtok(paths, ","); path && file_count < FILES; path = strtok(NULL, ","))
		begin(&files[file_count++], path);
	until = time(NULL) + seconds;
	/* However slow the machine is, each kind of change is to have had its turn. */
	while (time(NULL) < until || count < 300 || (host_place && requests < 3)) {
		operations[draw(sizeof(operations) / sizeof(operations[0]))](any_file());
		if (draw(50) == 0)
			compare_all(any_file());
	}
	for (int i = 0; i < file_count; i++)
		end(&files[i]);
	say("# %lu operations\n", count);
	check(1, "files under random operations are what their models are");
	if (argc < 2)
		for (int i = 0; i < file_count; i++)
			unlink(files[i].path);
	return check_done();
}
