// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listing directories. Each open directory has a descriptor of its own on the host, and positions
 * are the host's: what telldir() says holds as it does there, also while names come and go. The
 * buffer is only what the host gave last. When the host has no descriptors left, those that nobody
 * uses at the moment are closed, and the directory is opened again in its place when more of it is
 * wanted.
 *
 * listings_lock covers fd, users and `open` of all of them. No host call is made under it.
 */
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "internal.h"

#define BUFFER_SIZE 32768

static DEFINE_SPINLOCK(listings_lock);
static LIST_HEAD(open_listings); /* those with a descriptor, the least recently used one first */

struct listing {
	int fd;				/* -1: closed meanwhile */
	unsigned int users;
	struct list_head open;
	loff_t position;		/* of the entry at `at` */
	unsigned int at, used;
	char *buffer;
};

/* ---- the descriptors ---- */

static int readdir_pin(struct listing *listing)
{
	int fd;

	spin_lock(&listings_lock);
	fd = listing->fd;
	if (fd >= 0) {
		listing->users++;
		list_move_tail(&listing->open, &open_listings);
	}
	spin_unlock(&listings_lock);
	return fd;
}

static void give_back(struct listing *listing)
{
	spin_lock(&listings_lock);
	listing->users--;
	spin_unlock(&listings_lock);
}

/* If someone else was faster, theirs is as good. */
static void readdir_keep(struct listing *listing, int fd)
{
	spin_lock(&listings_lock);
	if (listing->fd < 0) {
		swap(listing->fd, fd);
		list_add_tail(&listing->open, &open_listings);
	}
	spin_unlock(&listings_lock);
	if (fd >= 0)
		host_fs_close(fd);
}

static int readdir_open_place(struct dentry *dentry)
{
	int dir_fd = hostfs_dir_get(dentry), fd;
	struct host_stat stat;

	if (dir_fd < 0)
		return dir_fd;
	fd = hostfs_with_room(host_fs_open(dir_fd, "", HOST_FS_DIRECTORY, &stat));
	hostfs_dir_put(dentry);
	return fd;
}

/* The descriptor, until give_back(). */
static int readdir_take(struct file *file)
{
	struct listing *listing = file->private_data;
	int fd;

	while ((fd = readdir_pin(listing)) < 0) {
		fd = readdir_open_place(file->f_path.dentry);
		if (fd < 0)
			return fd;
		readdir_keep(listing, fd);
	}
	return fd;
}

/* Closes descriptors that are not in use; whether there were any. */
bool hostfs_listings_release(void)
{
	struct listing *listing;
	int fd = -1;

	spin_lock(&listings_lock);
	list_for_each_entry(listing, &open_listings, open)
		if (!listing->users) {
			swap(listing->fd, fd);
			list_del_init(&listing->open);
			break;
		}
	spin_unlock(&listings_lock);
	if (fd >= 0)
		host_fs_close(fd);
	return fd >= 0;
}

/* ---- the calls ---- */

static int open_dir(struct inode *inode, struct file *file)
{
	struct listing *listing = kzalloc(sizeof(*listing), GFP_KERNEL);
	int error;

	if (!listing)
		return -ENOMEM;
	listing->fd = -1;
	INIT_LIST_HEAD(&listing->open);
	file->private_data = listing;
	error = readdir_take(file);
	if (error < 0) {
		kfree(listing);
		return error;
	}
	give_back(listing);
	return 0;
}

static int release_dir(struct inode *inode, struct file *file)
{
	struct listing *listing = file->private_data;

	spin_lock(&listings_lock);
	list_del(&listing->open);
	spin_unlock(&listings_lock);
	if (listing->fd >= 0)
		host_fs_close(listing->fd);
	kfree(listing->buffer);
	kfree(listing);
	return 0;
}

static long fill(struct file *file, loff_t position)
{
	struct listing *listing = file->private_data;
	long used;
	int fd;

	if (!listing->buffer)
		listing->buffer = kmalloc(BUFFER_SIZE, GFP_KERNEL);
	if (!listing->buffer)
		return -ENOMEM;
	fd = readdir_take(file);
	if (fd < 0)
		return fd;
	used = host_fs_entries(fd, position, listing->buffer, BUFFER_SIZE);
	give_back(listing);
	listing->at = 0;
	listing->used = max(used, 0L);
	listing->position = position;
	return used;
}

static bool readdir_emit(struct file *file, struct dir_context *context,
			 const struct host_fs_entry *entry)
{
	struct inode *dir = file_inode(file);
	unsigned int type = entry->type;

	if (!strcmp(entry->name, "."))
		return dir_emit(context, ".", 1, dir->i_ino, DT_DIR);
	/* Not the host's: the root's parent is none of the guest's business. */
	if (!strcmp(entry->name, ".."))
		return dir_emit(context, "..", 2, d_parent_ino(file->f_path.dentry), DT_DIR);
	if (hostfs_is(dir)->options.recorded && type == DT_REG)
		type = DT_UNKNOWN;
	return dir_emit(context, entry->name, strlen(entry->name),
			hostfs_number(dir->i_sb, entry->inode, hostfs_i(dir)->host_device), type);
}

static int iterate(struct file *file, struct dir_context *context)
{
	struct listing *listing = file->private_data;

	for (;;) {
		const struct host_fs_entry *entry;

		if (listing->at >= listing->used || listing->position != context->pos) {
			long used = fill(file, context->pos);

			if (used <= 0)
				return used;
		}
		entry = (const void *)(listing->buffer + listing->at);
		if (!readdir_emit(file, context, entry))
			return 0;
		listing->at += entry->length;
		listing->position = context->pos = entry->next;
	}
}

static loff_t seek_dir(struct file *file, loff_t offset, int whence)
{
	struct listing *listing = file->private_data;
	struct inode *inode = file_inode(file);

	inode_lock(inode);
	if (whence == SEEK_CUR)
		offset += file->f_pos;
	else if (whence != SEEK_SET)
		offset = -EINVAL;
	if (offset >= 0) {
		if (whence == SEEK_SET)
			listing->used = 0;	/* see what is there now */
		file->f_pos = offset;
	}
	inode_unlock(inode);
	return offset < 0 ? -EINVAL : offset;
}

static int sync_dir(struct file *file, loff_t start, loff_t end, int data_only)
{
	int fd = readdir_take(file), error;

	if (fd < 0)
		return fd;
	error = host_fs_sync(fd, data_only);
	give_back(file->private_data);
	return error;
}

const struct file_operations hostfs_dir_operations = {
	.open = open_dir,
	.release = release_dir,
	.iterate_shared = iterate,
	.llseek = seek_dir,
	.read = generic_read_dir,
	.fsync = sync_dir,
};
