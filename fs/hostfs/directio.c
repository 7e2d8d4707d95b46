// SPDX-License-Identifier: GPL-2.0-only
/*
 * Past the guest's page cache, between the program's pages and the host's file: O_DIRECT, writing
 * to files that may not be read, and the first reading of a file. The host's own cache stays in
 * between, so there are no rules of alignment. With O_DIRECT the generic code writes back and drops
 * what the guest had cached of the range.
 *
 * First readings: most files are read once or twice, or not again soon. Caching them here costs a
 * page of guest RAM (a fresh one costs the host many times what copying it does) and a copy, and
 * saves nothing, since the host has them cached. So a file of which nothing is cached is read past
 * the cache until several times its size was read; who reads it then finds it cached from then on.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/uio.h>

#include "internal.h"

#define PAGES 32

/*
 * Segments of the linear map for the next pages of the iterator, which moves on. Bytes or -errno.
 */
static ssize_t take_pages(struct iov_iter *iter, struct page **pages,
			  struct host_fs_segment *segment, int *count)
{
	size_t offset, left;
	ssize_t bytes = iov_iter_extract_pages(iter, &pages, PAGES * PAGE_SIZE, PAGES, 0, &offset);

	*count = 0;
	if (bytes <= 0)
		return bytes ?: -EFAULT;
	for (left = bytes; left; offset = 0) {
		size_t length = min(left, PAGE_SIZE - offset);

		segment[*count] =
			(struct host_fs_segment){ page_address(pages[*count]) + offset, length };
		++*count;
		left -= length;
	}
	return bytes;
}

static void give_back_pages(struct iov_iter *iter, struct page **pages, int count)
{
	if (!iov_iter_extract_will_pin(iter))
		return;
	if (iov_iter_rw(iter) == READ)
		unpin_user_pages_dirty_lock(pages, count, true);
	else
		unpin_user_pages(pages, count);
}

/*
 * The next part. Bytes moved, less than taken only at the end of the file or before an error; the
 * iterator is where they end.
 */
static ssize_t move_part(int fd, struct iov_iter *iter, loff_t at, bool *ended)
{
	struct host_fs_segment segment[PAGES];
	struct page *pages[PAGES];
	ssize_t taken, moved;
	int count, error = 0;

	taken = take_pages(iter, pages, segment, &count);
	if (taken < 0)
		return taken;
	if (iov_iter_rw(iter) == READ)
		moved = host_fs_read(fd, segment, count, at);
	else
		moved = host_fs_write(fd, segment, count, at, &error) ?: error;
	give_back_pages(iter, pages, count);
	iov_iter_revert(iter, taken - max_t(ssize_t, moved, 0));
	*ended = moved < taken;
	return moved;
}

ssize_t hostfs_direct_io(struct kiocb *iocb, struct iov_iter *iter)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool reading = iov_iter_rw(iter) == READ, ended = false;
	int fd = hostfs_i(inode)->fd[reading ? FOR_READING : FOR_WRITING];
	ssize_t done = 0, moved = 0;

	if (!reading)
		hostfs_before_change(inode, fd);
	while (iov_iter_count(iter) && !ended) {
		moved = move_part(fd, iter, iocb->ki_pos + done, &ended);
		if (moved < 0)
			break;
		done += moved;
		cond_resched();
	}
	if (!reading)
		hostfs_after_change(inode, fd,
				    max_t(loff_t, i_size_read(inode), iocb->ki_pos + done));
	return done ?: moved;
}

/* ---- first readings ---- */

/* Reads of less than a page in files beyond this size are for read-ahead to make. */
#define SMALL_FILE SZ_64K

/* So often a file is read past the cache: caching it costs about as much as two such readings. */
#define PAST_READINGS 3

/*
 * A small read counts as a whole page: so the host is not asked more often than the file has pages.
 */
static bool is_first_reading(struct inode *inode, loff_t at, size_t count, loff_t size)
{
	return !inode->i_mapping->nrpages && hostfs_i(inode)->read_past < PAST_READINGS * size &&
	       (count >= PAGE_SIZE || size <= SMALL_FILE || at + count >= size);
}

bool hostfs_read_past(struct kiocb *iocb, struct iov_iter *to, ssize_t *result)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	size_t count = iov_iter_count(to), past_end = 0;
	loff_t at = iocb->ki_pos, size = i_size_read(inode);

	if ((iocb->ki_flags & (IOCB_DIRECT | IOCB_NOWAIT)) || !user_backed_iter(to) || !count ||
	    at >= size || !is_first_reading(inode, at, count, size))
		return false;
	if (count > size - at)
		past_end = count - (size - at);
	iov_iter_truncate(to, count - past_end);
	*result = hostfs_direct_io(iocb, to);
	iov_iter_reexpand(to, iov_iter_count(to) + past_end);
	if (*result > 0) {
		iocb->ki_pos += *result;
		hostfs_i(inode)->read_past += max_t(size_t, *result, PAGE_SIZE);
	}
	return true;
}
