// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listing directories. Each open directory has a descriptor of its own on the host, and positions are the host's: what telldir() says holds
 * as it does there, also while names come and go. The buffer is only what the host gave last.
 */
#include <linux/slab.h>

#include "internal.h"

#define BUFFER_SIZE 32768

struct listing {
	int fd;
	loff_t position;		/* of the entry at `at` */
	unsigned int at, used;
	char *buffer;
};

static int open_dir(struct inode *inode, struct file *file)
{
	struct listing *listing = kzalloc(sizeof(*listing), GFP_KERNEL);
	struct dentry *dentry = file->f_path.dentry;
	struct host_stat stat;
	int dir_fd;

	if (!listing)
		return -ENOMEM;
	dir_fd = listing->fd = hostfs_dir_get(dentry);
	if (dir_fd >= 0) {
		listing->fd = hostfs_with_room(host_fs_open(dir_fd, "", HOST_FS_DIRECTORY, &stat));
		hostfs_dir_put(dentry);
	}
	if (listing->fd < 0) {
		int error = listing->fd;

		kfree(listing);
		return error;
	}
	file->private_data = listing;
	return 0;
}

static int release_dir(struct inode *inode, struct file *file)
{
	struct listing *listing = file->private_data;

	host_fs_close(listing->fd);
	kfree(listing->buffer);
	kfree(listing);
	return 0;
}

static long fill(struct listing *listing, loff_t position)
{
	long used;

	if (!listing->buffer)
		listing->buffer = kmalloc(BUFFER_SIZE, GFP_KERNEL);
	if (!listing->buffer)
		return -ENOMEM;
	used = host_fs_entries(listing->fd, position, listing->buffer, BUFFER_SIZE);
	listing->at = 0;
	listing->used = max(used, 0L);
	listing->position = position;
	return used;
}

static bool emit(struct file *file, struct dir_context *context, const struct host_fs_entry *entry)
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
			long used = fill(listing, context->pos);

			if (used <= 0)
				return used;
		}
		entry = (const void *)(listing->buffer + listing->at);
		if (!emit(file, context, entry))
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
	struct listing *listing = file->private_data;

	return host_fs_sync(listing->fd, data_only);
}

const struct file_operations hostfs_dir_operations = {
	.open = open_dir,
	.release = release_dir,
	.iterate_shared = iterate,
	.llseek = seek_dir,
	.read = generic_read_dir,
	.fsync = sync_dir,
};
