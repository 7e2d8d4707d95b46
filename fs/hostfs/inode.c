// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inodes: which host file each stands for, and how what is known of it is kept true.
 *
 * A file is known by device, inode number and time of birth, so a number that the host used again
 * is another file (on hosts that tell no birth, an inode without links is never taken for a new
 * file). Directories also by the mount through which they were reached: the host may show one in
 * several places, but a directory has one place here.
 *
 * Whatever the host says about a file passes through hostfs_refresh(). The times and sizes are the
 * host's: nothing here counts time or blocks of its own, and dirty pages are written before
 * somebody asks. When size, mtime or ctime are not those of the version that the page cache holds,
 * somebody on the host changed the file: what is dirty is written, and the cache is dropped. A
 * change within the host's clock tick cannot be seen in the times, so a version that young is
 * doubted the next time.
 */
#include <linux/backing-dev.h>
#include <linux/hash.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/writeback.h>

#include "internal.h"

static struct kmem_cache *inode_cache;

/* ---- identity ---- */

static bool same_time(const struct host_time *a, const struct host_time *b)
{
	return a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

bool hostfs_same_file(const struct inode *inode, const struct host_stat *stat)
{
	const struct hostfs_inode *hi = hostfs_i(inode);

	if (hi->host_inode != stat->inode || hi->host_device != stat->device ||
	    !same_time(&hi->born, &stat->btime) || ((inode->i_mode ^ stat->mode) & S_IFMT))
		return false;
	if (S_ISDIR(stat->mode))
		return hi->host_mount == stat->mount;
	/* Deleted and not open, so its number is free. */
	return inode->i_nlink || hi->users || !stat->links;
}

ino_t hostfs_number(const struct super_block *sb, u64 inode, u64 device)
{
	return device == hostfs_s(sb)->device ? inode : inode ^ hash_64(device, 64);
}

static int is_stat(struct inode *inode, void *stat)
{
	return hostfs_same_file(inode, stat);
}

static int set_stat(struct inode *inode, void *data)
{
	const struct host_stat *stat = data;
	struct hostfs_inode *hi = hostfs_i(inode);

	hi->host_inode = stat->inode;
	hi->host_device = stat->device;
	hi->host_mount = stat->mount;
	hi->born = stat->btime;
	inode->i_ino = hostfs_number(inode->i_sb, stat->inode, stat->device);
	inode->i_mode = stat->mode;
	return 0;
}

static void set_operations(struct inode *inode, const struct host_stat *stat)
{
	switch (stat->mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &hostfs_inode_operations;
		inode->i_fop = &hostfs_file_operations;
		inode->i_mapping->a_ops = &hostfs_pages;
		mapping_set_large_folios(inode->i_mapping);
		break;
	case S_IFDIR:
		inode->i_op = &hostfs_dir_inode_operations;
		inode->i_fop = &hostfs_dir_operations;
		break;
	case S_IFLNK:
		inode->i_op = &hostfs_symlink_inode_operations;
		break;
	default:
		inode->i_op = &hostfs_inode_operations;
		init_special_inode(inode, stat->mode, MKDEV(stat->major, stat->minor));
	}
}

/* ---- what is known ---- */

bool hostfs_is_dirty(struct inode *inode)
{
	return mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) ||
	       mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK);
}

static struct timespec64 to_timespec(struct host_time time)
{
	return (struct timespec64){ .tv_sec = time.seconds, .tv_nsec = time.nanoseconds };
}

/* All but the size, which is ours while there is dirty data. */
static void take_over(struct inode *inode, const struct host_stat *stat)
{
	inode->i_mode = stat->mode;
	inode->i_uid = make_kuid(&init_user_ns, stat->uid);
	inode->i_gid = make_kgid(&init_user_ns, stat->gid);
	set_nlink(inode, stat->links);
	inode->i_blocks = stat->blocks;
	inode->i_blkbits = PAGE_SHIFT;
	inode_set_atime_to_ts(inode, to_timespec(stat->atime));
	inode_set_mtime_to_ts(inode, to_timespec(stat->mtime));
	inode_set_ctime_to_ts(inode, to_timespec(stat->ctime));
}

static bool has_other_data(const struct hostfs_version *seen, const struct host_stat *stat)
{
	return seen->size != stat->size || !same_time(&seen->mtime, &stat->mtime);
}

static bool is_other_version(const struct hostfs_inode *hi, const struct host_stat *stat)
{
	return hi->missed || hi->seen.unsure || has_other_data(&hi->seen, stat) ||
	       !same_time(&hi->seen.ctime, &stat->ctime);
}

/* The content is not what we have seen: forget it, but nothing of our own. The inode is locked. */
static void take_over_content(struct inode *inode)
{
	loff_t size;

	if (hostfs_is_dirty(inode))
		filemap_write_and_wait(inode->i_mapping); /* an error stays with the mapping */
	spin_lock(&inode->i_lock);
	size = hostfs_i(inode)->seen.size;
	spin_unlock(&inode->i_lock);
	hostfs_i(inode)->read_past = 0;
	if (size < i_size_read(inode))
		truncate_setsize(inode, size);
	else
		i_size_write(inode, size);
	if (inode->i_mapping->nrpages)
		invalidate_inode_pages2(inode->i_mapping);
}

void hostfs_refresh(struct inode *inode, const struct host_stat *stat, enum hostfs_news news)
{
	struct hostfs_inode *hi = hostfs_i(inode);
	bool other;

	spin_lock(&inode->i_lock);
	take_over(inode, stat);
	other = is_other_version(hi, stat);
	if (news != NEWS_DATA)
		hi->missed = false;
	hi->seen = (struct hostfs_version){ stat->size, stat->mtime, stat->ctime,
					    stat->recent && news != NEWS_DATA };
	hi->checked = jiffies;
	hi->unchecked = false;
	/* The host's users may have given it rights that a write takes away. */
	if (other && news != NEWS_DATA)
		inode->i_flags &= ~S_NOSEC;
	spin_unlock(&inode->i_lock);
	if (!S_ISREG(inode->i_mode)) {
		i_size_write(inode, stat->size);
		return;
	}
	if (!other || news == NEWS_DATA)
		return;
	if (news == NEWS)
		inode_lock(inode);
	take_over_content(inode);
	if (news == NEWS)
		inode_unlock(inode);
}

void hostfs_before_change(struct inode *inode, int fd)
{
	struct hostfs_inode *hi = hostfs_i(inode);
	struct host_stat stat;

	if (!S_ISREG(inode->i_mode) || hi->missed || hostfs_stat(inode->i_sb, fd, "", &stat))
		return;
	spin_lock(&inode->i_lock);
	/* A new name, or owner, of ours changes ctime, too. */
	hi->missed = has_other_data(&hi->seen, &stat) ||
		     (!hi->unchecked && !same_time(&hi->seen.ctime, &stat.ctime));
	spin_unlock(&inode->i_lock);
}

void hostfs_after_change(struct inode *inode, int fd, loff_t largest)
{
	struct hostfs_inode *hi = hostfs_i(inode);
	struct host_stat stat;

	hostfs_is(inode)->written = true;
	if (hostfs_stat(inode->i_sb, fd, "", &stat))
		return;
	spin_lock(&inode->i_lock);
	hi->missed |= stat.size > largest;
	spin_unlock(&inode->i_lock);
	hostfs_refresh(inode, &stat, NEWS_DATA);
}

void hostfs_distrust(struct inode *inode)
{
	struct hostfs_inode *hi = hostfs_i(inode);

	spin_lock(&inode->i_lock);
	hi->missed = true;
	hi->checked = jiffies - hostfs_is(inode)->timeout;
	spin_unlock(&inode->i_lock);
}

struct inode *hostfs_iget(struct super_block *sb, const struct host_stat *stat)
{
	struct inode *inode = iget5_locked(sb, hostfs_number(sb, stat->inode, stat->device),
					   is_stat, set_stat, (void *)stat);

	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (inode->i_state & I_NEW) {
		set_operations(inode, stat);
		/* Times are the host's to set. */
		inode->i_flags |= S_NOATIME | S_NOCMTIME;
		i_size_write(inode, stat->size);
		hostfs_i(inode)->seen =
			(struct hostfs_version){ stat->size, stat->mtime, stat->ctime };
		hostfs_refresh(inode, stat, NEWS_LOCKED);
		unlock_new_inode(inode);
	} else {
		hostfs_refresh(inode, stat, NEWS);
	}
	return inode;
}

int hostfs_recheck(struct dentry *dentry, enum hostfs_news news)
{
	struct inode *inode = d_inode(dentry);
	struct hostfs_place place;
	struct host_stat stat;
	int error, fd = S_ISREG(inode->i_mode) ? hostfs_borrow(inode) : -1;

	if (fd >= 0) {
		error = hostfs_stat(inode->i_sb, fd, "", &stat);
		hostfs_give_back(inode);
	} else if (IS_DEADDIR(inode)) {
		fd = hostfs_dir_get(dentry);
		if (fd < 0)
			return 0;
		error = hostfs_stat(inode->i_sb, fd, "", &stat);
		hostfs_dir_put(dentry);
	} else if (d_unlinked(dentry)) {
		return 0;	/* what was known last is all there is */
	} else {
		error = hostfs_place_get(dentry, &place);
		if (error)
			return error;
		error = hostfs_stat(inode->i_sb, place.dir, place.name, &stat);
		hostfs_place_put(&place);
	}
	if (!error && !hostfs_same_file(inode, &stat))
		error = -ESTALE;
	if (!error)
		hostfs_refresh(inode, &stat, news);
	return error;
}

/* ---- the life of an inode and of the super block ---- */

static struct inode *alloc_inode(struct super_block *sb)
{
	struct hostfs_inode *hi = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	if (!hi)
		return NULL;
	hi->fd[FOR_READING] = hi->fd[FOR_WRITING] = hi->dir_fd = -1;
	hi->users = hi->pins = 0;
	hi->read_past = 0;
	hi->generation = 0;
	hi->unchecked = hi->missed = false;
	return &hi->vfs;
}

static void free_inode(struct inode *inode)
{
	kmem_cache_free(inode_cache, hostfs_i(inode));
}

static void evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	hostfs_file_forget(inode);
	hostfs_dir_forget(inode);
}

static void init_once(void *object)
{
	struct hostfs_inode *hi = object;

	inode_init_once(&hi->vfs);
	mutex_init(&hi->open_lock);
	INIT_LIST_HEAD(&hi->recent);
}

int hostfs_inodes_init(void)
{
	inode_cache = kmem_cache_create("hostfs_inode", sizeof(struct hostfs_inode), 0,
					SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, init_once);
	return inode_cache ? 0 : -ENOMEM;
}

static int show_statfs(struct dentry *dentry, struct kstatfs *to)
{
	struct host_statfs from;
	int error = host_fs_statfs(hostfs_s(dentry->d_sb)->root, &from);

	if (error)
		return error;
	to->f_type = HOSTFS_MAGIC;
	to->f_bsize = to->f_frsize = from.block_size;
	to->f_blocks = from.blocks;
	to->f_bfree = from.blocks_free;
	to->f_bavail = from.blocks_available;
	to->f_files = from.files;
	to->f_ffree = from.files_free;
	to->f_namelen = from.name_length;
	to->f_fsid = u64_to_fsid(hostfs_s(dentry->d_sb)->device);
	return 0;
}

/* Dirty pages have been written by now. The host is asked only if there was something. */
static int sync_fs(struct super_block *sb, int wait)
{
	struct hostfs_super *super = hostfs_s(sb);
	struct host_stat stat;
	int fd, error;

	if (!wait || !super->written)
		return 0;
	super->written = false;
	fd = hostfs_with_room(host_fs_open(super->root, "", HOST_FS_DIRECTORY, &stat));
	if (fd < 0)
		return fd;
	error = host_fs_sync_all(fd);
	host_fs_close(fd);
	return error;
}

static void show_map(struct seq_file *out, const char *what, const struct hostfs_map *map)
{
	if (map->squash)
		seq_printf(out, ",%s=%u", what, map->to);
	for (int i = 0; i < map->ranges; i++)
		seq_printf(out, ",%smap=%u:%u:%u", what, map->range[i].guest, map->range[i].host,
			   map->range[i].count);
}

static int show_options(struct seq_file *out, struct dentry *root)
{
	struct hostfs_super *super = hostfs_s(root->d_sb);

	seq_show_option(out, "dir", super->path);
	show_map(out, "uid", &super->options.uids);
	show_map(out, "gid", &super->options.gids);
	if (super->options.recorded)
		seq_puts(out, ",map=xattr");
	seq_printf(out, ",actimeo=%u", super->options.timeout);
	return 0;
}

const struct super_operations hostfs_super_operations = {
	.alloc_inode = alloc_inode,
	.free_inode = free_inode,
	.evict_inode = evict_inode,
	.statfs = show_statfs,
	.sync_fs = sync_fs,
	.show_options = show_options,
};
