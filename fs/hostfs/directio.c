// SPDX-License-Identifier: GPL-2.0-only
/*
 * O_DIRECT, and writing to files that may not be read: past the guest's page cache, between the program's pages and the host's file. The
 * host's own cache stays in between, so there are no rules of alignment. The generic code writes back and drops what the
 * guest had cached of the range.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/uio.h>

#include "internal.h"

#define PAGES 32

/* Segments of the linear map for the next pages of the iterator, which moves on. Bytes or -errno. */
static ssize_t take_pages(struct iov_iter *iter, struct page **pages, struct host_fs_segment *segment, int *count)
{
	size_t offset, left;
	ssize_t bytes = iov_iter_extract_pages(iter, &pages, PAGES * PAGE_SIZE, PAGES, 0, &offset);

	*count = 0;
	if (bytes <= 0)
		return bytes ?: -EFAULT;
	for (left = bytes; left; offset = 0) {
		size_t length = min(left, PAGE_SIZE - offset);

		segment[*count] = (struct host_fs_segment){ page_address(pages[*count]) + offset, length };
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

/* The next part. Bytes moved, less than taken only at the end of the file; the iterator is where they end. */
static ssize_t move_part(int fd, struct iov_iter *iter, loff_t at, bool *at_end)
{
	struct host_fs_segment segment[PAGES];
	struct page *pages[PAGES];
	ssize_t taken, moved;
	int count;

	taken = take_pages(iter, pages, segment, &count);
	if (taken < 0)
		return taken;
	if (iov_iter_rw(iter) == READ)
		moved = host_fs_read(fd, segment, count, at);
	else
		moved = host_fs_write(fd, segment, count, at) ?: taken;
	give_back_pages(iter, pages, count);
	iov_iter_revert(iter, taken - max_t(ssize_t, moved, 0));
	*at_end = moved < taken;
	return moved;
}

ssize_t hostfs_direct_io(struct kiocb *iocb, struct iov_iter *iter)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool reading = iov_iter_rw(iter) == READ, at_end = false;
	int fd = hostfs_i(inode)->fd[reading ? FOR_READING : FOR_WRITING];
	ssize_t done = 0, moved = 0;
	struct host_stat stat;

	while (iov_iter_count(iter) && !at_end) {
		moved = move_part(fd, iter, iocb->ki_pos + done, &at_end);
		if (moved < 0)
			break;
		done += moved;
	}
	if (!reading) {
		hostfs_is(inode)->written = true;
		if (!hostfs_stat(inode->i_sb, fd, "", &stat))
			hostfs_refresh(inode, &stat, NEWS_DATA);
	}
	return done ?: moved;
}
