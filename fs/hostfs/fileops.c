// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files. All of an inode's share two descriptors on the host, one to read and one to write
 * (often the same one), which are closed with the last of them. Written data reaches the host at
 * the latest when a descriptor that could write is closed in the guest: so whoever opens the file
 * afterwards, in the guest or on the host, finds it, errors come up at close() and fsync(), and no
 * dirty page needs a descriptor when the file is closed.
 *
 * Opening asks the host by name, and finds out in passing whether the name still means this file
 * and whether its content is still the one that is cached. -ESTALE makes the VFS look the name up
 * again.
 */
#include <linux/backing-dev.h>
#include <linux/falloc.h>
#include <linux/pagemap.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include <linux/writeback.h>

#include "internal.h"

/* ---- the descriptors of an inode; under its open_lock ---- */

static void close_descriptors(struct hostfs_inode *hi)
{
	int reading = hi->fd[FOR_READING], writing = hi->fd[FOR_WRITING];

	if (reading >= 0)
		host_fs_close(reading);
	if (writing >= 0 && writing != reading)
		host_fs_close(writing);
	hi->fd[FOR_READING] = hi->fd[FOR_WRITING] = -1;
}

static void add_descriptor(struct hostfs_inode *hi, int fd, int access)
{
	if (access & HOST_FS_WRITE)
		hi->fd[FOR_WRITING] = fd;
	if ((access & HOST_FS_READ) && hi->fd[FOR_READING] < 0)
		hi->fd[FOR_READING] = fd;
}

/*
 * Opens what the place names, for writing if so asked and, if the host allows no more, without
 * reading.
 */
static int file_open_place(struct hostfs_place *place, int *access, struct host_stat *stat)
{
	int fd = hostfs_with_room(host_fs_open(place->dir, place->name, *access, stat));

	if (fd == -EACCES && *access == (HOST_FS_READ | HOST_FS_WRITE)) {
		*access = HOST_FS_WRITE;
		fd = hostfs_with_room(host_fs_open(place->dir, place->name, *access, stat));
	}
	/* A link, nothing, or something that is not opened like this: the name is another's now. */
	return fd == -ELOOP || fd == -ENOENT || fd == -ENXIO || fd == -EISDIR ? -ESTALE : fd;
}

static int open_by_name(struct inode *inode, struct hostfs_place *place, bool write,
			struct host_stat *stat)
{
	int access = HOST_FS_READ | (write ? HOST_FS_WRITE : 0);
	int fd = file_open_place(place, &access, stat);

	if (fd < 0)
		return fd;
	hostfs_show(inode->i_sb, fd, stat);
	if (!hostfs_same_file(inode, stat)) {
		host_fs_close(fd);
		return -ESTALE;
	}
	add_descriptor(hostfs_i(inode), fd, access);
	return 0;
}

static int ensure_by_name(struct inode *inode, struct dentry *dentry, bool write,
			  struct host_stat *stat)
{
	struct hostfs_inode *hi = hostfs_i(inode);
	struct hostfs_place place;
	int error;

	error = hostfs_place_get(dentry, &place);
	if (error)
		return error;
	if (hi->fd[write ? FOR_WRITING : FOR_READING] < 0) {
		error = open_by_name(inode, &place, write, stat);
	} else {
		error = hostfs_stat(inode->i_sb, place.dir, place.name, stat);
		if (error == -ENOENT || (!error && !hostfs_same_file(inode, stat)))
			error = -ESTALE;
	}
	hostfs_place_put(&place);
	return error;
}

/* What is open already, where its name is gone. */
static int open_again(struct inode *inode, bool write, struct host_stat *stat)
{
	struct hostfs_inode *hi = hostfs_i(inode);
	int open = max(hi->fd[FOR_READING], hi->fd[FOR_WRITING]);
	struct hostfs_place itself = { .dir = open, .name = "" };
	int error;

	if (hi->fd[write ? FOR_WRITING : FOR_READING] < 0)
		return open_by_name(inode, &itself, write, stat);
	error = host_fs_stat(open, "", stat);
	if (!error)
		hostfs_show(inode->i_sb, open, stat);
	return error;
}

/*
 * Sees that there is a descriptor for reading or writing. stat: what the name means now. A file
 * that is open needs no name; then the dentry has none, or loses it, so that a path is looked up
 * again and a reference by /proc/self/fd finds what it stands for.
 */
static int ensure_descriptor(struct inode *inode, struct dentry *dentry, bool write,
			     struct host_stat *stat)
{
	struct hostfs_inode *hi = hostfs_i(inode);
	int error;

	if (hi->users && d_unlinked(dentry))
		return open_again(inode, write, stat);
	error = ensure_by_name(inode, dentry, write, stat);
	if (error == -ESTALE && hi->users)
		d_drop(dentry);
	return error;
}

/* ---- the file made last ---- */

/* Takes what is parked, if it is this inode's (NULL: anybody's). */
static int unpark(struct hostfs_super *super, struct inode *inode)
{
	int fd = -1;

	spin_lock(&super->parked_lock);
	if (super->parked && (!inode || super->parked == inode)) {
		fd = super->parked_fd;
		super->parked = NULL;
	}
	spin_unlock(&super->parked_lock);
	return fd;
}

void hostfs_park(struct inode *inode, int fd)
{
	struct hostfs_super *super = hostfs_is(inode);
	int old = unpark(super, NULL);

	spin_lock(&super->parked_lock);
	swap(super->parked_fd, fd);
	if (!super->parked)
		fd = -1;
	super->parked = inode;
	spin_unlock(&super->parked_lock);
	if (old >= 0)
		host_fs_close(old);
	if (fd >= 0)
		host_fs_close(fd);
}

void hostfs_unpark_all(struct super_block *sb)
{
	int fd = unpark(hostfs_s(sb), NULL);

	if (fd >= 0)
		host_fs_close(fd);
}

void hostfs_file_forget(struct inode *inode)
{
	int fd = unpark(hostfs_is(inode), inode);

	if (fd >= 0)
		host_fs_close(fd);
	close_descriptors(hostfs_i(inode));
}

/* ---- borrowing ---- */

static int borrow(struct inode *inode, bool write)
{
	struct hostfs_inode *hi = hostfs_i(inode);
	int fd = -1;

	mutex_lock(&hi->open_lock);
	if (hi->users) {
		fd = hi->fd[FOR_WRITING];
		if (fd < 0 && !write)
			fd = hi->fd[FOR_READING];
	}
	if (fd >= 0)
		hi->users++;
	mutex_unlock(&hi->open_lock);
	return fd;
}

int hostfs_borrow(struct inode *inode)
{
	return borrow(inode, false);
}

int hostfs_borrow_writable(struct inode *inode)
{
	return borrow(inode, true);
}

void hostfs_give_back(struct inode *inode)
{
	struct hostfs_inode *hi = hostfs_i(inode);

	mutex_lock(&hi->open_lock);
	if (!--hi->users)
		close_descriptors(hi);
	mutex_unlock(&hi->open_lock);
}

static int use(struct inode *inode, struct dentry *dentry, bool write, struct host_stat *stat)
{
	struct hostfs_inode *hi = hostfs_i(inode);
	int error = 0, parked;

	mutex_lock(&hi->open_lock);
	parked = unpark(hostfs_is(inode), inode);
	if (parked >= 0 && !hi->users) {
		/* Made by us a moment ago: nothing to ask. */
		add_descriptor(hi, parked, HOST_FS_READ | HOST_FS_WRITE);
		stat->links = -1U;
	} else {
		if (parked >= 0)
			host_fs_close(parked);
		error = ensure_descriptor(inode, dentry, write, stat);
	}
	if (!error)
		hi->users++;
	mutex_unlock(&hi->open_lock);
	return error;
}

bool hostfs_hold(struct inode *inode, struct dentry *dentry)
{
	struct host_stat stat;

	return hostfs_borrow(inode) >= 0 || !use(inode, dentry, true, &stat) ||
	       !use(inode, dentry, false, &stat);
}

int hostfs_borrow_for_writing(struct inode *inode, struct dentry *dentry)
{
	int fd = hostfs_borrow_writable(inode), error;
	struct host_stat stat;

	if (fd >= 0)
		return fd;
	error = use(inode, dentry, true, &stat);
	return error ?: hostfs_i(inode)->fd[FOR_WRITING];
}

/* ---- opening and closing ---- */

static int open_file(struct inode *inode, struct file *file)
{
	struct host_stat stat = {};
	bool write = file->f_mode & FMODE_WRITE;
	int error = use(inode, file_dentry(file), write, &stat);

	if (error)
		return error;
	if (write && (file->f_mode & FMODE_READ) && hostfs_i(inode)->fd[FOR_READING] < 0) {
		hostfs_give_back(inode);
		return -EACCES;
	}
	if (stat.links != -1U)
		hostfs_refresh(inode, &stat, NEWS);
	return 0;
}

static int write_back(struct inode *inode)
{
	return hostfs_is_dirty(inode) ? filemap_write_and_wait(inode->i_mapping) : 0;
}

/* An error of writing back is about to be reported: from now on the file is what the host has. */
static int told(struct file *file, int error)
{
	if (error)
		hostfs_recheck(file_dentry(file), NEWS);
	return error;
}

static int flush(struct file *file, fl_owner_t id)
{
	if (!(file->f_mode & FMODE_WRITE))
		return 0;
	write_back(file_inode(file));
	return told(file, filemap_check_wb_err(file->f_mapping, READ_ONCE(file->f_wb_err)));
}

static int file_release(struct inode *inode, struct file *file)
{
	/* What a mapping made dirty after the last close(). */
	if (file->f_mode & FMODE_WRITE)
		write_back(inode);
	hostfs_give_back(inode);
	return 0;
}

static int file_sync(struct file *file, loff_t start, loff_t end, int data_only)
{
	struct inode *inode = file_inode(file);
	int error = told(file, file_write_and_wait_range(file, start, end)), fd;

	fd = hostfs_borrow(inode);
	if (fd < 0)
		return error ?: -EBADF;
	error = error ?: host_fs_sync(fd, data_only);
	hostfs_give_back(inode);
	return error;
}

/* ---- reading and writing ---- */

/* Asks the host again, when it is time to, about a file that stays open. */
static int recheck_old(struct file *file, enum hostfs_news news)
{
	struct inode *inode = file_inode(file);

	if (hostfs_fresh(hostfs_is(inode), hostfs_i(inode)->checked))
		return 0;
	return hostfs_recheck(file_dentry(file), news);
}

static ssize_t read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	ssize_t result = recheck_old(iocb->ki_filp, NEWS);

	if (result || hostfs_read_past(iocb, to, &result))
		return result;
	return generic_file_read_iter(iocb, to);
}

static ssize_t splice_read(struct file *file, loff_t *at, struct pipe_inode_info *pipe,
			   size_t length, unsigned int flags)
{
	int error = recheck_old(file, NEWS);

	return error ?: filemap_splice_read(file, at, pipe, length, flags);
}

void hostfs_zero_tail(struct inode *inode, loff_t to)
{
	loff_t size = i_size_read(inode), end = min_t(loff_t, to, round_up(size, PAGE_SIZE));
	struct folio *folio;

	if (end <= size)
		return;
	folio = filemap_lock_folio(inode->i_mapping, size >> PAGE_SHIFT);
	if (IS_ERR(folio))
		return;
	folio_zero_range(folio, offset_in_folio(folio, size), end - size);
	folio_unlock(folio);
	folio_put(folio);
}

static ssize_t write_locked(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t count;

	if (iocb->ki_flags & IOCB_APPEND) {
		int error = recheck_old(iocb->ki_filp, NEWS_LOCKED);

		if (error)
			return error;
	}
	count = generic_write_checks(iocb, from);
	if (count <= 0)
		return count;
	if (host_fs_append && iocb->ki_pos < i_size_read(inode))
		return -EPERM;
	hostfs_zero_tail(inode, iocb->ki_pos);
	/* What cannot be read cannot be cached. */
	if (hostfs_i(inode)->fd[FOR_READING] < 0)
		iocb->ki_flags |= IOCB_DIRECT;
	return __generic_file_write_iter(iocb, from);
}

static ssize_t write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t count;

	inode_lock(inode);
	count = write_locked(iocb, from);
	inode_unlock(inode);
	if (count > 0)
		count = generic_write_sync(iocb, count);
	return count;
}

static int mmap_file(struct file *file, struct vm_area_struct *vma)
{
	/* A page that can be written can be overwritten. */
	if (host_fs_append && (vma->vm_flags & VM_SHARED)) {
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	return generic_file_mmap(file, vma);
}

/* ---- sizes and extents ---- */

static loff_t seek_extent(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	int fd;

	write_back(inode);
	fd = hostfs_borrow(inode);
	if (fd < 0)
		return -EBADF;
	offset = host_fs_seek(fd, offset, whence);
	hostfs_give_back(inode);
	return offset < 0 ? offset : vfs_setpos(file, offset, inode->i_sb->s_maxbytes);
}

static loff_t seek_file(struct file *file, loff_t offset, int whence)
{
	int error;

	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		return seek_extent(file, offset, whence);
	error = whence == SEEK_END ? recheck_old(file, NEWS) : 0;
	return error ?: generic_file_llseek(file, offset, whence);
}

/*
 * Before the host changes [from, end) by itself: it gets all that is cached of the file, and
 * whole pages of the range are forgotten. With the inode and its mapping locked nobody brings them
 * back before the change is made, neither a reading nor a fault; so nothing of the old content
 * is written over the new one, and what shares a page with the range is kept.
 */
static int hand_over(struct inode *inode, loff_t from, loff_t end)
{
	int error = filemap_write_and_wait(inode->i_mapping);

	if (error || end <= from)
		return error;
	return invalidate_inode_pages2_range(inode->i_mapping, from >> PAGE_SHIFT,
					     (end - 1) >> PAGE_SHIFT);
}

/* After it did. Size and version are taken from it. */
static int changed_on_host(struct inode *inode, int fd)
{
	struct host_stat stat;
	int error = hostfs_stat(inode->i_sb, fd, "", &stat);

	if (error)
		return error;
	hostfs_refresh(inode, &stat, NEWS_DATA);
	if (stat.size > i_size_read(inode))
		hostfs_zero_tail(inode, stat.size);
	if (stat.size != i_size_read(inode))
		truncate_setsize(inode, stat.size);
	return 0;
}

/* The end of what an allocation changes: nothing, its range, or all that follows. */
static loff_t end_of_change(int mode, loff_t offset, loff_t length)
{
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return LLONG_MAX;
	return mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) ? offset + length : offset;
}

static long allocate_locked(struct file *file, int fd, int mode, loff_t offset, loff_t length)
{
	struct inode *inode = file_inode(file);
	int error;

	if (!(mode & FALLOC_FL_KEEP_SIZE)) {
		error = inode_newsize_ok(inode, offset + length);
		if (error)
			return error;
	}
	error = file_modified(file);
	if (error)
		return error;
	error = hand_over(inode, offset, end_of_change(mode, offset, length));
	if (error)
		return error;
	hostfs_before_change(inode, fd);
	error = host_fs_allocate(fd, mode, offset, length);
	return error ?: changed_on_host(inode, fd);
}

static long file_allocate(struct file *file, int mode, loff_t offset, loff_t length)
{
	struct inode *inode = file_inode(file);
	long error;
	int fd;

	if (!S_ISREG(inode->i_mode))
		return -EOPNOTSUPP;
	inode_lock(inode);
	fd = hostfs_borrow_writable(inode);
	error = -EBADF;
	if (fd >= 0) {
		filemap_invalidate_lock(inode->i_mapping);
		error = allocate_locked(file, fd, mode, offset, length);
		filemap_invalidate_unlock(inode->i_mapping);
		hostfs_give_back(inode);
	}
	inode_unlock(inode);
	return error;
}

static ssize_t copy_locked(struct inode *in, loff_t pos_in, struct inode *out, loff_t pos_out,
			   size_t length)
{
	int from = hostfs_borrow(in), to = hostfs_borrow_writable(out);
	ssize_t count = -EBADF;

	if (from >= 0 && to >= 0) {
		count = filemap_write_and_wait(in->i_mapping) ?:
				hand_over(out, pos_out, pos_out + length);
		hostfs_before_change(out, to);
		count = count ?:
				host_fs_copy(hostfs_i(in)->fd[FOR_READING], pos_in, to, pos_out,
					     length);
		if (count > 0)
			changed_on_host(out, to);
	}
	if (from >= 0)
		hostfs_give_back(in);
	if (to >= 0)
		hostfs_give_back(out);
	return count;
}

/* The host copies; on many file systems it only shares the blocks. */
static ssize_t file_copy_range(struct file *file_in, loff_t pos_in, struct file *file_out,
			       loff_t pos_out, size_t length, unsigned int flags)
{
	struct inode *in = file_inode(file_in), *out = file_inode(file_out);
	ssize_t count = -EOPNOTSUPP;

	if (in != out) {
		inode_lock(out);
		filemap_invalidate_lock(out->i_mapping);
		count = file_modified(file_out);
		count = count ?: copy_locked(in, pos_in, out, pos_out, length);
		filemap_invalidate_unlock(out->i_mapping);
		inode_unlock(out);
	}
	if (count == -EOPNOTSUPP || count == -EBADF)
		count = splice_copy_file_range(file_in, pos_in, file_out, pos_out, length);
	return count;
}

const struct file_operations hostfs_file_operations = {
	.open = open_file,
	.flush = flush,
	.release = file_release,
	.fsync = file_sync,
	.llseek = seek_file,
	.read_iter = read_iter,
	.write_iter = write_iter,
	.splice_read = splice_read,
	.splice_write = iter_file_splice_write,
	.mmap = mmap_file,
	.fallocate = file_allocate,
	.copy_file_range = file_copy_range,
};
