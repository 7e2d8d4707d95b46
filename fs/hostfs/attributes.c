// SPDX-License-Identifier: GPL-2.0-only
/* Attributes: sizes, times and extended attributes. Whose files are is in owner.c. */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#include "internal.h"

/* ---- reading them ---- */

int hostfs_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat, u32 wanted,
		   unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct hostfs_inode *hi = hostfs_i(inode);
	bool may_ask = !(flags & AT_STATX_DONT_SYNC);

	/* Times and blocks are the host's to say, so it must know all. */
	if (may_ask && S_ISREG(inode->i_mode) &&
	    (wanted & (STATX_MTIME | STATX_CTIME | STATX_BLOCKS)) && hostfs_is_dirty(inode))
		filemap_write_and_wait(inode->i_mapping);
	if (may_ask && (hi->unchecked || (flags & AT_STATX_FORCE_SYNC) ||
			!hostfs_fresh(hostfs_is(inode), hi->checked))) {
		int error = hostfs_recheck(path->dentry, NEWS);

		if (error)
			return error == -ENOENT ? -ESTALE : error;
	}
	generic_fillattr(idmap, wanted, inode, stat);
	if (hi->born.seconds || hi->born.nanoseconds) {
		stat->btime = (struct timespec64){ hi->born.seconds, hi->born.nanoseconds };
		stat->result_mask |= STATX_BTIME;
	}
	return 0;
}

/* ---- changing them ---- */

static int resize(struct dentry *dentry, loff_t size)
{
	struct inode *inode = d_inode(dentry);
	int fd, error;

	if (host_fs_append && size < i_size_read(inode))
		return -EPERM;
	fd = hostfs_borrow_for_writing(inode, dentry);
	if (fd < 0)
		return fd;
	hostfs_before_change(inode, fd);
	error = host_fs_truncate(fd, size);
	if (!error) {
		hostfs_zero_tail(inode, size);
		truncate_setsize(inode, size);
		hostfs_after_change(inode, fd, size);
	}
	hostfs_give_back(inode);
	return error;
}

static struct host_time new_time(const struct timespec64 *time, bool given)
{
	return given ? (struct host_time){ time->tv_sec, time->tv_nsec } :
		       (struct host_time){ 0, HOST_TIME_NOW };
}

static int set_times(struct inode *inode, int fd, const struct iattr *change)
{
	struct host_time atime = new_time(&change->ia_atime, change->ia_valid & ATTR_ATIME_SET);
	struct host_time mtime = new_time(&change->ia_mtime, change->ia_valid & ATTR_MTIME_SET);

	return host_fs_utimes(fd, change->ia_valid & ATTR_ATIME ? &atime : NULL,
			      change->ia_valid & ATTR_MTIME ? &mtime : NULL);
}

static int change_others(struct dentry *dentry, const struct iattr *change)
{
	struct inode *inode = d_inode(dentry);
	struct hostfs_handle handle;
	int error;

	/* Data written later would set the time again. */
	if ((change->ia_valid & ATTR_MTIME) && S_ISREG(inode->i_mode) && hostfs_is_dirty(inode))
		filemap_write_and_wait(inode->i_mapping);
	error = hostfs_handle_get(dentry, &handle);
	if (error)
		return error;
	if (change->ia_valid & ATTR_MTIME)
		hostfs_before_change(inode, handle.fd);
	if (change->ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		error = hostfs_change_owner(inode, handle.fd, change);
	if (!error && (change->ia_valid & (ATTR_ATIME | ATTR_MTIME)))
		error = set_times(inode, handle.fd, change);
	hostfs_is(inode)->written = true;
	hostfs_i(inode)->unchecked = true;
	hostfs_handle_put(&handle);
	return error;
}

int hostfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *change)
{
	struct iattr rest = *change;
	enum hostfs_news news = change->ia_valid & ATTR_MTIME ? NEWS_DATA : NEWS_LOCKED;
	int error = setattr_prepare(idmap, dentry, change);

	if (!error && (change->ia_valid & ATTR_SIZE)) {
		error = resize(dentry, change->ia_size);
		/* The host sets the times of that. */
		if (!(rest.ia_valid & ATTR_MTIME_SET))
			rest.ia_valid &= ~(ATTR_MTIME | ATTR_ATIME);
	}
	if (error || !(rest.ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME)))
		return error;
	error = change_others(dentry, &rest);
	return error ?: hostfs_recheck(dentry, news);
}

const struct inode_operations hostfs_inode_operations = {
	.setattr = hostfs_setattr,
	.getattr = hostfs_getattr,
	.listxattr = hostfs_listxattr,
};

/* ---- extended attributes ---- */

static bool is_hidden(struct inode *inode, const char *name)
{
	return hostfs_is(inode)->options.recorded && !strcmp(name, HOSTFS_RECORD);
}

/*
 * A buffer that the host side can use: the caller's, or one instead of it where that is not in the
 * linear map.
 */
static void *usable(void *buffer, size_t size)
{
	return buffer && is_vmalloc_addr(buffer) ? kmalloc(size, GFP_KERNEL) : buffer;
}

static ssize_t read_attribute(struct dentry *dentry, const char *name, void *buffer, size_t size)
{
	void *to = usable(buffer, size);
	struct hostfs_handle handle;
	ssize_t length;

	if (buffer && !to)
		return -ENOMEM;
	length = hostfs_handle_get(dentry, &handle);
	if (!length) {
		length = name ? host_fs_getxattr(handle.fd, name, to, size) :
				host_fs_listxattr(handle.fd, to, size);
		hostfs_handle_put(&handle);
	}
	if (to != buffer) {
		if (length > 0)
			memcpy(buffer, to, length);
		kfree(to);
	}
	return length;
}

static int get_attribute(const struct xattr_handler *handler, struct dentry *dentry,
			 struct inode *inode, const char *name, void *buffer, size_t size)
{
	if (!dentry)
		return -EOPNOTSUPP;
	return is_hidden(inode, name) ? -ENODATA : read_attribute(dentry, name, buffer, size);
}

static int write_attribute(struct dentry *dentry, const char *name, const void *value, size_t size,
			   int flags)
{
	struct hostfs_handle handle;
	int error = hostfs_handle_get(dentry, &handle);

	if (error)
		return error;
	error = host_fs_setxattr(handle.fd, name, value, size, flags);
	hostfs_handle_put(&handle);
	hostfs_i(d_inode(dentry))->unchecked = true;
	return error;
}

static int set_attribute(const struct xattr_handler *handler, struct mnt_idmap *idmap,
			 struct dentry *dentry, struct inode *inode, const char *name,
			 const void *value, size_t size, int flags)
{
	void *from;
	int error;

	if (is_hidden(inode, name))
		return -EPERM;
	if (!value || !is_vmalloc_addr(value))
		return write_attribute(dentry, name, value, size, flags);
	from = kmalloc(size, GFP_KERNEL);
	if (!from)
		return -ENOMEM;
	memcpy(from, value, size);
	error = write_attribute(dentry, name, from, size, flags);
	kfree(from);
	return error;
}

/* Takes the hidden name out of a list; its new length. */
static ssize_t without_record(char *names, ssize_t length)
{
	ssize_t at = 0;

	while (at < length) {
		size_t name = strlen(names + at) + 1;

		if (!strcmp(names + at, HOSTFS_RECORD)) {
			memmove(names + at, names + at + name, length - at - name);
			return length - name;
		}
		at += name;
	}
	return length;
}

ssize_t hostfs_listxattr(struct dentry *dentry, char *names, size_t size)
{
	ssize_t length = read_attribute(dentry, NULL, names, size);

	if (length == -EOPNOTSUPP)
		return 0;
	if (length > 0 && size && hostfs_s(dentry->d_sb)->options.recorded)
		length = without_record(names, length);
	return length;
}

/* All names, as they are: the host decides which it knows. */
static const struct xattr_handler any_handler = {
	.prefix = "",
	.get = get_attribute,
	.set = set_attribute,
};

const struct xattr_handler *const hostfs_xattr_handlers[] = { &any_handler, NULL };
