// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names: looking up, making, removing, renaming. The host decides, by one call each; what it
 * answers is taken over.
 *
 * A name, also one that is not there, is believed for the attribute time-out (d_time) and then
 * looked at again. Opening a name that was not there always asks; opening one that was there finds
 * out by itself (fileops.c).
 */
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "internal.h"

/* ---- looking up ---- */

/* Whether an error says that a name is not what it was, and not that the host could not say. */
static bool is_about_name(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ESTALE;
}

static int look_again(struct dentry *dentry, struct host_stat *stat)
{
	struct hostfs_place place;
	int error = hostfs_place_get(dentry, &place);

	if (error)
		return error;
	error = hostfs_stat(dentry->d_sb, place.dir, place.name, stat);
	hostfs_place_put(&place);
	return error;
}

/*
 * 0, that the name is not valid, unmounts all that is mounted on it or below; so another error
 * than of the name is the caller's.
 */
static int revalidate(struct dentry *dentry, unsigned int flags)
{
	struct inode *inode = d_inode_rcu(dentry);
	struct host_stat stat;
	int error;

	if (hostfs_fresh(hostfs_s(dentry->d_sb), READ_ONCE(dentry->d_time)) &&
	    !(flags & LOOKUP_REVAL) && (inode || !(flags & LOOKUP_OPEN)))
		return 1;
	if (flags & LOOKUP_RCU)
		return -ECHILD;
	error = look_again(dentry, &stat);
	if (error && !is_about_name(error))
		return error;
	if (inode ? error || !hostfs_same_file(inode, &stat) : error != -ENOENT)
		return 0;
	if (inode)
		hostfs_refresh(inode, &stat, NEWS);
	dentry->d_time = jiffies;
	return 1;
}

const struct dentry_operations hostfs_dentry_operations = {
	.d_revalidate = revalidate,
};

static struct dentry *lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct dentry *elsewhere;
	struct inode *inode = NULL;
	struct host_stat stat;
	int fd, error;

	fd = hostfs_dir_get(dentry->d_parent);
	if (fd < 0)
		return ERR_PTR(fd);
	error = hostfs_stat(dir->i_sb, fd, dentry->d_name.name, &stat);
	hostfs_dir_put(dentry->d_parent);
	if (!error)
		inode = hostfs_iget(dir->i_sb, &stat);
	else if (error != -ENOENT)
		inode = ERR_PTR(error);
	dentry->d_time = jiffies;
	/* A directory that was known under another name moves here. */
	elsewhere = d_splice_alias(inode, dentry);
	if (!IS_ERR_OR_NULL(elsewhere))
		elsewhere->d_time = jiffies;
	return elsewhere;
}

static const char *get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done)
{
	struct hostfs_place place;
	char *target;
	int length;

	if (!dentry)
		return ERR_PTR(-ECHILD);
	length = hostfs_place_get(dentry, &place);
	if (length)
		return ERR_PTR(length);
	target = kmalloc(PATH_MAX, GFP_KERNEL);
	length = target ? host_fs_readlink(place.dir, place.name, target, PATH_MAX) : -ENOMEM;
	hostfs_place_put(&place);
	if (length == PATH_MAX)
		length = -ENAMETOOLONG;
	if (length == -EINVAL)
		length = -ESTALE;	/* no link any more */
	if (length < 0) {
		kfree(target);
		return ERR_PTR(length);
	}
	target[length] = 0;
	set_delayed_call(done, kfree_link, target);
	return target;
}

/* ---- making ---- */

/* The directory changed by our doing. */
static void changed(struct inode *dir)
{
	hostfs_i(dir)->unchecked = true;
	hostfs_is(dir)->written = true;
}

/* With dirsync or sync, a change of a directory is durable before it ends. */
static int settle_dir(struct inode *dir, int dir_fd)
{
	struct host_stat stat;
	int fd, error;

	changed(dir);
	if (!IS_DIRSYNC(dir))
		return 0;
	fd = hostfs_with_room(host_fs_open(dir_fd, "", HOST_FS_DIRECTORY, &stat));
	if (fd < 0)
		return fd;
	error = host_fs_sync(fd, 0);
	host_fs_close(fd);
	return error;
}

/* The dentry gets the file just made. */
static int namei_finish(struct inode *dir, struct dentry *dentry, const struct host_stat *stat,
			int open_fd)
{
	struct inode *inode = hostfs_iget(dir->i_sb, stat);

	if (IS_ERR(inode)) {
		if (open_fd >= 0)
			host_fs_close(open_fd);
		return PTR_ERR(inode);
	}
	if (open_fd >= 0)
		hostfs_park(inode, open_fd);
	dentry->d_time = jiffies;
	d_instantiate(dentry, inode);
	return 0;
}

/* A name that should have been free is not: what is known of it is wrong. */
static int refused(struct dentry *dentry, int error)
{
	if (error == -EEXIST)
		d_drop(dentry);
	return error;
}

/* Ordinary files, and with map=xattr those that stand for special ones. */
static int namei_make_file(struct inode *dir, struct dentry *dentry, umode_t mode, dev_t device)
{
	struct host_stat stat;
	int dir_fd = hostfs_dir_get(dentry->d_parent), fd, error;

	if (dir_fd < 0)
		return dir_fd;
	fd = error = hostfs_with_room(host_fs_create(dir_fd, dentry->d_name.name,
						     hostfs_host_mode(dir->i_sb, mode), &stat));
	if (fd >= 0) {
		error = hostfs_settle(dir, fd, mode, device, &stat);
		if (!error)
			error = settle_dir(dir, dir_fd);
		if (error) {
			host_fs_close(fd);
			host_fs_unlink(dir_fd, dentry->d_name.name, 0);
		}
	}
	hostfs_dir_put(dentry->d_parent);
	if (error < 0)
		return refused(dentry, error);
	if (!S_ISREG(mode)) {
		host_fs_close(fd);
		fd = -1;
	}
	return namei_finish(dir, dentry, &stat, fd);
}

static int namei_create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			umode_t mode, bool exclusive)
{
	return namei_make_file(dir, dentry, (mode & S_IALLUGO) | S_IFREG, 0);
}

static int make_on_host(int dir_fd, const char *name, umode_t mode, dev_t device,
			const char *target)
{
	if (S_ISLNK(mode))
		return host_fs_symlink(dir_fd, name, target);
	if (S_ISDIR(mode))
		return host_fs_mkdir(dir_fd, name, mode & S_IALLUGO);
	return host_fs_mknod(dir_fd, name, mode, MAJOR(device), MINOR(device));
}

/*
 * Everything else. The name is on the host when this fails half-way only if it cannot be removed.
 */
static int make_other(struct inode *dir, struct dentry *dentry, umode_t mode, dev_t device,
		      const char *target)
{
	const char *name = dentry->d_name.name;
	struct host_stat stat;
	int dir_fd = hostfs_dir_get(dentry->d_parent), fd, error;

	if (dir_fd < 0)
		return dir_fd;
	error = make_on_host(dir_fd, name, S_ISLNK(mode) ? mode : hostfs_host_mode(dir->i_sb, mode),
			     device, target);
	if (!error) {
		error = fd = hostfs_with_room(host_fs_look(dir_fd, name, &stat));
		if (fd >= 0) {
			error = hostfs_settle(dir, fd, mode, device, &stat);
			host_fs_close(fd);
		}
		if (!error)
			error = settle_dir(dir, dir_fd);
		if (error)
			host_fs_unlink(dir_fd, name, S_ISDIR(mode));
	}
	hostfs_dir_put(dentry->d_parent);
	if (error)
		return refused(dentry, error);
	return namei_finish(dir, dentry, &stat, -1);
}

static int make_dir(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	return make_other(dir, dentry, (mode & S_IALLUGO) | S_IFDIR, 0, NULL);
}

static int make_node(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		     umode_t mode, dev_t device)
{
	if (hostfs_is(dir)->options.recorded)
		return namei_make_file(dir, dentry, mode, device);
	return make_other(dir, dentry, mode, device, NULL);
}

static int make_symlink(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
			const char *target)
{
	return make_other(dir, dentry, S_IFLNK | 0777, 0, target);
}

static int make_unnamed(struct mnt_idmap *idmap, struct inode *dir, struct file *file, umode_t mode)
{
	struct dentry *parent = file->f_path.dentry->d_parent;
	struct inode *inode;
	struct host_stat stat;
	int dir_fd = hostfs_dir_get(parent), fd, error;

	if (dir_fd < 0)
		return dir_fd;
	fd = hostfs_with_room(host_fs_create(dir_fd, "", hostfs_host_mode(dir->i_sb, mode), &stat));
	hostfs_dir_put(parent);
	if (fd < 0)
		return fd == -EISDIR || fd == -EINVAL ? -EOPNOTSUPP : fd;
	error = hostfs_settle(dir, fd, mode | S_IFREG, 0, &stat);
	inode = error ? ERR_PTR(error) : hostfs_iget(dir->i_sb, &stat);
	if (IS_ERR(inode)) {
		host_fs_close(fd);
		return PTR_ERR(inode);
	}
	/* d_tmpfile takes the last link away. */
	set_nlink(inode, 1);
	d_tmpfile(file, inode);
	hostfs_park(inode, fd);
	return finish_open_simple(file, 0);
}

/* ---- linking, removing, renaming ---- */

static int link_on_host(struct dentry *old, int to_dir, const char *to_name)
{
	struct inode *inode = d_inode(old);
	struct hostfs_place place;
	int error, fd = d_unlinked(old) ? hostfs_borrow(inode) : -1;

	if (fd >= 0) {
		error = host_fs_link_open(fd, to_dir, to_name);
		hostfs_give_back(inode);
		return error;
	}
	error = hostfs_place_get(old, &place);
	if (error)
		return error;
	error = host_fs_link(place.dir, place.name, to_dir, to_name);
	hostfs_place_put(&place);
	return error;
}

static int make_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	struct host_stat stat;
	int dir_fd = hostfs_dir_get(dentry->d_parent), error;

	if (dir_fd < 0)
		return dir_fd;
	error = link_on_host(old, dir_fd, dentry->d_name.name);
	if (!error)
		error = settle_dir(dir, dir_fd);
	if (!error)
		error = hostfs_stat(dir->i_sb, dir_fd, dentry->d_name.name, &stat);
	hostfs_dir_put(dentry->d_parent);
	if (error) {
		d_drop(dentry);		/* made, maybe, and then something failed */
		return error;
	}
	if (!hostfs_same_file(inode, &stat)) {
		d_drop(dentry);		/* the old name was another file's meanwhile */
		return -ESTALE;
	}
	hostfs_refresh(inode, &stat, NEWS_LOCKED);
	ihold(inode);
	dentry->d_time = jiffies;
	d_instantiate(dentry, inode);
	return 0;
}

/* One name less of what the dentry stands for. */
static void lost_name(struct inode *inode)
{
	if (!inode)
		return;
	if (S_ISDIR(inode->i_mode))
		clear_nlink(inode);
	else if (inode->i_nlink)
		drop_nlink(inode);
	hostfs_i(inode)->unchecked = true;
}

/*
 * Before a name goes: what it stands for goes on without it where somebody uses it, that is, has
 * more references than the VFS itself has here. Whether it is kept, until its end.
 */
static bool keep_if_used(struct dentry *dentry, int references)
{
	struct inode *inode = d_inode(dentry);

	if (!inode || d_count(dentry) <= references)
		return false;
	if (S_ISDIR(inode->i_mode))
		return hostfs_dir_get(dentry) >= 0;
	return S_ISREG(inode->i_mode) && inode->i_nlink == 1 && hostfs_hold(inode, dentry);
}

/* The name stays after all. */
static void let_go(struct dentry *dentry)
{
	if (d_is_dir(dentry))
		hostfs_dir_put(dentry);
	else
		hostfs_give_back(d_inode(dentry));
}

static int namei_remove(struct inode *dir, struct dentry *dentry, int directory)
{
	int dir_fd = hostfs_dir_get(dentry->d_parent), error;
	bool kept;

	if (dir_fd < 0)
		return dir_fd;
	kept = keep_if_used(dentry, directory ? 2 : 1);
	error = host_fs_unlink(dir_fd, dentry->d_name.name, directory);
	if (!error) {
		lost_name(d_inode(dentry));
		error = settle_dir(dir, dir_fd);
		if (error)
			d_drop(dentry);		/* gone, but not for good */
	} else if (kept) {
		let_go(dentry);
	}
	hostfs_dir_put(dentry->d_parent);
	/* It is gone, or not what we thought: either way not to be believed. */
	if (error == -ENOENT || error == -EISDIR || error == -ENOTDIR)
		d_drop(dentry);
	return error;
}

static int remove_file(struct inode *dir, struct dentry *dentry)
{
	return namei_remove(dir, dentry, 0);
}

static int remove_dir(struct inode *dir, struct dentry *dentry)
{
	return namei_remove(dir, dentry, 1);
}

static int rename_in(struct dentry *old, int old_fd, struct inode *old_dir, struct dentry *new,
		     int new_fd, struct inode *new_dir, unsigned int flags)
{
	bool kept = !(flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)) && keep_if_used(new, 2);
	int error = host_fs_rename(old_fd, old->d_name.name, new_fd, new->d_name.name, flags);

	if (error && kept)
		let_go(new);
	if (error)
		return error;
	if (!(flags & RENAME_EXCHANGE))
		lost_name(d_inode(new));
	hostfs_i(d_inode(old))->unchecked = true;
	/* The VFS exchanges or moves the names after this: both were true just now. */
	old->d_time = new->d_time = jiffies;
	error = settle_dir(old_dir, old_fd) ?: settle_dir(new_dir, new_fd);
	if (error) {
		/* Done, but not for good, and the VFS believes that it was not. */
		d_drop(old);
		d_drop(new);
	}
	return error;
}

static int rename(struct mnt_idmap *idmap, struct inode *old_dir, struct dentry *old,
		  struct inode *new_dir, struct dentry *new, unsigned int flags)
{
	int old_fd, new_fd, error;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	old_fd = hostfs_dir_get(old->d_parent);
	if (old_fd < 0)
		return old_fd;
	new_fd = error = hostfs_dir_get(new->d_parent);
	if (new_fd >= 0) {
		error = rename_in(old, old_fd, old_dir, new, new_fd, new_dir, flags);
		hostfs_dir_put(new->d_parent);
	}
	hostfs_dir_put(old->d_parent);
	if (error == -ENOENT)
		d_drop(old);
	return refused(new, error);
}

const struct inode_operations hostfs_dir_inode_operations = {
	.lookup = lookup,
	.create = namei_create,
	.link = make_link,
	.unlink = remove_file,
	.symlink = make_symlink,
	.mkdir = make_dir,
	.rmdir = remove_dir,
	.mknod = make_node,
	.rename = rename,
	.tmpfile = make_unnamed,
	.setattr = hostfs_setattr,
	.getattr = hostfs_getattr,
	.listxattr = hostfs_listxattr,
};

const struct inode_operations hostfs_symlink_inode_operations = {
	.get_link = get_link,
	.setattr = hostfs_setattr,
	.getattr = hostfs_getattr,
	.listxattr = hostfs_listxattr,
};
