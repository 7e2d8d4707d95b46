// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache of regular files: reading and writing it back, in batches of neighbouring folios,
 * one host call each. The host caches too, so that neither waits for a disk as a rule.
 *
 * Only whole folios are ever up to date: a write into one that is not cached reads it first, unless
 * it covers all that the file has there. What lies beyond the end of the file is zeroed on the way
 * out.
 */
#include <linux/pagemap.h>
#include <linux/writeback.h>

#include "internal.h"

#define BATCH 32

struct batch {
	loff_t start;
	size_t length;
	unsigned int count;
	struct folio *folio[BATCH];
	struct host_fs_segment segment[BATCH];
};

static void addr_add(struct batch *batch, struct folio *folio, loff_t from, loff_t end)
{
	if (!batch->count)
		batch->start = from;
	batch->folio[batch->count] = folio;
	batch->segment[batch->count++] = (struct host_fs_segment){
		.base = folio_address(folio) + (from - folio_pos(folio)),
		.length = end - from,
	};
	batch->length += end - from;
}

static bool addr_continues(const struct batch *batch, loff_t from)
{
	return !batch->count || (batch->count < BATCH && batch->start + batch->length == from);
}

/* ---- reading ---- */

/* Asks for nothing beyond the end of the file, which would be another host call that says so. */
static void trim(struct batch *batch, loff_t size)
{
	struct host_fs_segment *last = &batch->segment[batch->count - 1];
	loff_t beyond = batch->start + batch->length - size;

	if (beyond > 0 && beyond < last->length)
		last->length -= beyond;
}

/* Whole folios. 0 or -errno, the same for all of them. */
static int read_batch(struct inode *inode, struct batch *batch)
{
	int fd = hostfs_i(inode)->fd[FOR_READING];
	long bytes = -EBADF;

	trim(batch, i_size_read(inode));
	if (fd >= 0)
		bytes = host_fs_read(fd, batch->segment, batch->count, batch->start);
	if (bytes < 0)
		return bytes;
	for (unsigned int i = 0; i < batch->count; i++) {
		long size = folio_size(batch->folio[i]);

		if (bytes < size)
			folio_zero_segment(batch->folio[i], max(bytes, 0L), size);
		bytes -= size;
		folio_mark_uptodate(batch->folio[i]);
	}
	return 0;
}

static int read_one(struct inode *inode, struct folio *folio)
{
	struct batch batch = {};

	addr_add(&batch, folio, folio_pos(folio), folio_pos(folio) + folio_size(folio));
	return read_batch(inode, &batch);
}

static int read_folio(struct file *file, struct folio *folio)
{
	int error = read_one(folio->mapping->host, folio);

	folio_unlock(folio);
	return error;
}

/* Errors are not told here: whoever needs the folio reads it again. */
static void read_and_unlock(struct inode *inode, struct batch *batch)
{
	if (!batch->count)
		return;
	read_batch(inode, batch);
	for (unsigned int i = 0; i < batch->count; i++)
		folio_unlock(batch->folio[i]);
	batch->count = batch->length = 0;
}

static void readahead(struct readahead_control *control)
{
	struct inode *inode = control->mapping->host;
	struct batch batch;
	struct folio *folio;

	batch.count = batch.length = 0;
	while ((folio = readahead_folio(control))) {
		if (!addr_continues(&batch, folio_pos(folio)))
			read_and_unlock(inode, &batch);
		addr_add(&batch, folio, folio_pos(folio), folio_pos(folio) + folio_size(folio));
	}
	read_and_unlock(inode, &batch);
}

/* ---- writing into it ---- */

/* Makes what the write leaves of the folio true. */
static int addr_prepare(struct inode *inode, struct folio *folio, loff_t pos, unsigned int length)
{
	size_t from = offset_in_folio(folio, pos), size = folio_size(folio),
	       end = min(from + length, size);
	loff_t file_size = i_size_read(inode);

	if (end - from == size)
		return 0;
	if (folio_pos(folio) < file_size && !(from == 0 && pos + length >= file_size))
		return read_one(inode, folio);
	folio_zero_segments(folio, 0, from, end, size);
	return 0;
}

static int write_begin(struct file *file, struct address_space *mapping, loff_t pos,
		       unsigned int length, struct folio **result, void **unused)
{
	struct folio *folio = __filemap_get_folio(mapping, pos >> PAGE_SHIFT,
						  FGP_WRITEBEGIN | fgf_set_order(length),
						  mapping_gfp_mask(mapping));
	int error;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	error = folio_test_uptodate(folio) ? 0 : addr_prepare(mapping->host, folio, pos, length);
	if (error) {
		folio_unlock(folio);
		folio_put(folio);
		return error;
	}
	*result = folio;
	return 0;
}

static int write_end(struct file *file, struct address_space *mapping, loff_t pos,
		     unsigned int length, unsigned int copied, struct folio *folio, void *unused)
{
	struct inode *inode = mapping->host;

	/* Half a copy into what was not read: there is nothing true to keep. */
	if (!folio_test_uptodate(folio) && copied < length)
		copied = 0;
	if (copied) {
		folio_mark_uptodate(folio);
		if (pos + copied > i_size_read(inode))
			i_size_write(inode, pos + copied);
		folio_mark_dirty(folio);
	}
	folio_unlock(folio);
	folio_put(folio);
	return copied;
}

/* ---- writing back ---- */

/* A pass over a mapping. */
struct pass {
	struct inode *inode;
	int fd;
	int error;			/* the first one */
	bool wrote;			/* or tried to */
	loff_t there;			/* with hostfs=...,append: what the host has already */
	struct batch batch;
};

static void send(struct pass *pass)
{
	struct batch *batch = &pass->batch;
	int error;

	pass->wrote = true;
	host_fs_write(pass->fd, batch->segment, batch->count, batch->start, &error);
	if (error) {
		mapping_set_error(pass->inode->i_mapping, error);
		pass->error = pass->error ?: error;
	}
}

static void write_batch(struct pass *pass)
{
	struct batch *batch = &pass->batch;

	if (!batch->count)
		return;
	send(pass);
	for (unsigned int i = 0; i < batch->count; i++)
		folio_end_writeback(batch->folio[i]);
	pass->there = max_t(loff_t, pass->there, batch->start + batch->length);
	batch->count = batch->length = 0;
}

/* The folio is locked and no longer dirty. */
static void write_folio(struct pass *pass, struct folio *folio)
{
	loff_t from = folio_pos(folio), size = i_size_read(pass->inode),
	       end = min_t(loff_t, from + folio_size(folio), size);

	if (end > from && end < from + folio_size(folio))
		folio_zero_segment(folio, end - from, folio_size(folio));
	if (host_fs_append) {
		if (!addr_continues(&pass->batch, from) || pass->there > from)
			write_batch(pass);
		from = max(from, pass->there);
	}
	/* Truncated meanwhile, or all there. */
	if (end <= from) {
		folio_unlock(folio);
		return;
	}
	if (!addr_continues(&pass->batch, from))
		write_batch(pass);
	folio_start_writeback(folio);
	folio_unlock(folio);
	addr_add(&pass->batch, folio, from, end);
}

static int descriptor_for_writing(struct inode *inode)
{
	int fd = hostfs_borrow_writable(inode);
	struct dentry *dentry;

	if (fd >= 0)
		return fd;
	/* Somebody's direct reading into a mapping of the file outlived it. */
	dentry = d_find_any_alias(inode);
	if (!dentry)
		return -EIO;
	fd = hostfs_borrow_for_writing(inode, dentry);
	dput(dentry);
	return fd;
}

/*
 * The descriptor goes back. What the host did not take is no longer dirty, since it would fail
 * again: it counts as a change of someone else's, so the host's content and size come instead.
 */
static void end_pass(struct pass *pass)
{
	if (pass->wrote)
		hostfs_after_change(pass->inode, pass->fd, i_size_read(pass->inode));
	if (pass->error)
		hostfs_distrust(pass->inode);
	hostfs_give_back(pass->inode);
}

static int write_pages(struct address_space *mapping, struct writeback_control *control)
{
	struct pass pass = { .inode = mapping->host };
	struct folio *folio = NULL;
	int error = 0;

	/*
	 * The inode may be called dirty when its pages are written: perhaps its name is gone by
	 * now.
	 */
	if (!mapping_tagged(mapping, PAGECACHE_TAG_DIRTY))
		return 0;
	pass.fd = descriptor_for_writing(pass.inode);
	if (pass.fd < 0) {
		mapping_set_error(mapping, pass.fd);
		return pass.fd;
	}
	hostfs_before_change(pass.inode, pass.fd);
	pass.there = hostfs_i(pass.inode)->seen.size;
	while ((folio = writeback_iter(mapping, control, folio, &error)))
		write_folio(&pass, folio);
	write_batch(&pass);
	end_pass(&pass);
	return error ?: pass.error;
}

/* A folio is to be forgotten, but was written to: it is locked, and stays so. */
static int launder(struct folio *folio)
{
	struct pass pass = { .inode = folio->mapping->host };
	loff_t from = folio_pos(folio);
	loff_t end = min_t(loff_t, from + folio_size(folio), i_size_read(pass.inode));

	if (!folio_clear_dirty_for_io(folio) || end <= from)
		return 0;
	pass.fd = descriptor_for_writing(pass.inode);
	if (pass.fd < 0) {
		folio_mark_dirty(folio);	/* not tried yet */
		return pass.fd;
	}
	hostfs_before_change(pass.inode, pass.fd);
	addr_add(&pass.batch, folio, from, end);
	send(&pass);
	end_pass(&pass);
	return pass.error;
}

const struct address_space_operations hostfs_pages = {
	.read_folio = read_folio,
	.readahead = readahead,
	.write_begin = write_begin,
	.write_end = write_end,
	.writepages = write_pages,
	.launder_folio = launder,
	.dirty_folio = filemap_dirty_folio,
	.migrate_folio = filemap_migrate_folio,
	.error_remove_folio = generic_error_remove_folio,
	.direct_IO = hostfs_direct_io,
};
