// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where names are on the host: descriptors of directories, and how they are kept few and true.
 *
 * 1. Each directory's inode may have one path descriptor. It is opened from its parent's by one
 *    name, and only if what is found is the file that the inode stands for.
 * 2. A directory is used only if it was seen under its parent within the attribute time-out, and so
 *    were all above it, up to the root, whose descriptor is always open: `placed` is when the one
 *    of them was seen that was seen longest ago. So one that was moved out of the mounted tree on
 *    the host is lost to the guest, also to processes that stand in it.
 * 3. Not more than a part of the descriptors that the host allows are kept, and all go when there
 *    are none left; the one not used for longest goes first. One in use is pinned.
 *
 * place_lock covers dir_fd, pins, recent and generation of all inodes. No host call is made under
 * it.
 */
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "internal.h"

static DEFINE_SPINLOCK(place_lock);
static LIST_HEAD(recent); /* directories with a descriptor, the least recently used one first */
static int kept, most_kept;
static atomic64_t generations;

void hostfs_places_init(void)
{
	most_kept = clamp(host_fs_limit() / 4, 4, 4096);
}

/* ---- the descriptors ---- */

/* Takes one descriptor out that is not pinned; -1 if there is none. Under place_lock. */
static int take_oldest(void)
{
	struct hostfs_inode *hi;

	list_for_each_entry(hi, &recent, recent)
		if (!hi->pins) {
			int fd = hi->dir_fd;

			hi->dir_fd = -1;
			list_del_init(&hi->recent);
			kept--;
			return fd;
		}
	return -1;
}

static bool drop_oldest(bool only_if_many)
{
	int fd = -1;

	spin_lock(&place_lock);
	if (!only_if_many || kept >= most_kept)
		fd = take_oldest();
	spin_unlock(&place_lock);
	if (fd >= 0)
		host_fs_close(fd);
	return fd >= 0;
}

bool hostfs_make_room(void)
{
	int released = 0;

	while (released < 64 && drop_oldest(false))
		released++;
	return released || hostfs_listings_release();
}

int hostfs_no_room(void)
{
	pr_warn_ratelimited(
		"hostfs: too many open files: the host leaves %d for hostfs; raise its hard limit ('ulimit -Hn')\n",
		host_fs_limit());
	return -ENFILE;
}

/*
 * Gives the directory its descriptor; if someone else was faster, theirs is as good. An older one
 * makes room before: where all others are pinned the new one must not be the one that goes.
 */
static void dirfd_keep(struct hostfs_inode *hi, int fd)
{
	drop_oldest(true);
	spin_lock(&place_lock);
	if (hi->dir_fd < 0) {
		hi->dir_fd = fd;
		fd = -1;
		list_add_tail(&hi->recent, &recent);
		kept++;
	}
	spin_unlock(&place_lock);
	if (fd >= 0)
		host_fs_close(fd);
}

void hostfs_dir_forget(struct inode *inode)
{
	struct hostfs_inode *hi = hostfs_i(inode);
	int fd;

	spin_lock(&place_lock);
	fd = hi->dir_fd;
	hi->dir_fd = -1;
	if (fd >= 0) {
		list_del_init(&hi->recent);
		kept--;
	}
	spin_unlock(&place_lock);
	if (fd >= 0)
		host_fs_close(fd);
}

static int dirfd_pin(struct dentry *dir)
{
	struct hostfs_inode *hi = hostfs_i(d_inode(dir));
	int fd;

	if (IS_ROOT(dir))
		return hostfs_s(dir->d_sb)->root;
	spin_lock(&place_lock);
	fd = hi->dir_fd;
	if (fd >= 0) {
		hi->pins++;
		list_move_tail(&hi->recent, &recent);
	}
	spin_unlock(&place_lock);
	return fd;
}

void hostfs_dir_put(struct dentry *dir)
{
	if (IS_ROOT(dir))
		return;
	spin_lock(&place_lock);
	hostfs_i(d_inode(dir))->pins--;
	spin_unlock(&place_lock);
}

/* ---- seeing them in their places ---- */

static bool dirfd_is_ready(struct dentry *dir, u64 generation)
{
	struct hostfs_inode *hi = hostfs_i(d_inode(dir));

	return IS_ROOT(dir) ||
	       (hi->dir_fd >= 0 && (hi->generation >= generation ||
				    hostfs_fresh(hostfs_s(dir->d_sb), hi->placed)));
}

/* Sees a directory under its parent, which is pinned as parent_fd. */
static int see(struct dentry *dir, struct dentry *parent, int parent_fd, u64 generation)
{
	unsigned long placed = IS_ROOT(parent) ? jiffies :
						 READ_ONCE(hostfs_i(d_inode(parent))->placed);
	struct hostfs_inode *hi = hostfs_i(d_inode(dir));
	struct name_snapshot name;
	struct host_stat stat;
	int fd = -1, error;

	take_dentry_name_snapshot(&name, dir);
	if (hi->dir_fd >= 0)
		error = host_fs_stat(parent_fd, name.name.name, &stat);
	else
		error = fd = hostfs_with_room(host_fs_look(parent_fd, name.name.name, &stat));
	release_dentry_name_snapshot(&name);
	if (error >= 0 && !hostfs_same_file(d_inode(dir), &stat))
		error = -ESTALE;
	if (error == -ENOENT || error == -ENOTDIR)
		error = -ESTALE;
	if (error < 0) {
		if (fd >= 0)
			host_fs_close(fd);
		return error;
	}
	WRITE_ONCE(hi->placed, placed);		/* before others can use the descriptor */
	if (fd >= 0)
		dirfd_keep(hi, fd);
	dir->d_time = jiffies;
	hi->generation = max(hi->generation, generation);
	return 0;
}

/*
 * The highest of dir and those above it that is not ready; its parent is. NULL: dir is ready. With
 * a reference, also on *parent.
 */
static struct dentry *highest_unready(struct dentry *dir, u64 generation, struct dentry **parent)
{
	struct dentry *at = dget(dir);

	if (dirfd_is_ready(at, generation)) {
		dput(at);
		return NULL;
	}
	for (;;) {
		*parent = dget_parent(at);
		if (dirfd_is_ready(*parent, generation))
			return at;
		dput(at);
		at = *parent;
	}
}

static int make_one_ready(struct dentry *at, struct dentry *parent, u64 generation)
{
	int fd = dirfd_pin(parent), error;

	if (fd < 0)
		return 0;	/* closed meanwhile: the next round begins with it */
	error = see(at, parent, fd, generation);
	hostfs_dir_put(parent);
	return error;
}

int hostfs_dir_get(struct dentry *dir)
{
	u64 generation = atomic64_inc_return(&generations);
	struct dentry *at, *parent;
	int error, fd;

	/* Removed by the guest while in use: it has no place, nothing in it, and leads nowhere. */
	if (IS_DEADDIR(d_inode(dir))) {
		fd = dirfd_pin(dir);
		return fd < 0 ? -ESTALE : fd;
	}
	for (;;) {
		at = highest_unready(dir, generation, &parent);
		if (!at) {
			fd = dirfd_pin(dir);
			if (fd >= 0)
				return fd;
			continue;
		}
		error = make_one_ready(at, parent, generation);
		dput(at);
		dput(parent);
		if (error)
			return error;
	}
}

/* ---- files in them ---- */

int hostfs_place_get(struct dentry *dentry, struct hostfs_place *place)
{
	if (IS_ROOT(dentry)) {
		place->parent = NULL;
		place->dir = hostfs_s(dentry->d_sb)->root;
		place->name = "";
		return 0;
	}
	place->parent = dget_parent(dentry);
	place->dir = hostfs_dir_get(place->parent);
	if (place->dir < 0) {
		dput(place->parent);
		return place->dir;
	}
	take_dentry_name_snapshot(&place->snapshot, dentry);
	place->name = place->snapshot.name.name;
	return 0;
}

void hostfs_place_put(struct hostfs_place *place)
{
	if (!place->parent)
		return;
	release_dentry_name_snapshot(&place->snapshot);
	hostfs_dir_put(place->parent);
	dput(place->parent);
}

static int dirfd_look(struct dentry *dentry)
{
	struct hostfs_place place;
	struct host_stat stat;
	int fd = hostfs_place_get(dentry, &place);

	if (fd)
		return fd;
	fd = hostfs_with_room(host_fs_look(place.dir, place.name, &stat));
	hostfs_place_put(&place);
	if (fd < 0)
		return fd;
	hostfs_show(dentry->d_sb, fd, &stat);
	if (!hostfs_same_file(d_inode(dentry), &stat)) {
		host_fs_close(fd);
		return -ESTALE;
	}
	return fd;
}

int hostfs_handle_get(struct dentry *dentry, struct hostfs_handle *handle)
{
	struct inode *inode = d_inode(dentry);

	*handle = (struct hostfs_handle){ .fd = hostfs_is(inode)->root };
	if (IS_ROOT(dentry))
		return 0;
	/* An open file's descriptor holds also when the name is gone. */
	handle->fd = S_ISREG(inode->i_mode) ? hostfs_borrow(inode) : -1;
	if (handle->fd >= 0) {
		handle->lender = inode;
		return 0;
	}
	if (IS_DEADDIR(inode)) {
		handle->fd = hostfs_dir_get(dentry);
		handle->removed = dentry;
	} else {
		handle->fd = d_unlinked(dentry) ? -ENOENT : dirfd_look(dentry);
		handle->own = true;
	}
	return handle->fd < 0 ? handle->fd : 0;
}

void hostfs_handle_put(struct hostfs_handle *handle)
{
	if (handle->lender)
		hostfs_give_back(handle->lender);
	if (handle->removed)
		hostfs_dir_put(handle->removed);
	if (handle->own)
		host_fs_close(handle->fd);
}
