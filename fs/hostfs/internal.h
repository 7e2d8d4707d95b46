/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of hostfs share. docs/internals/hostfs.md has the theory of operation. */
#ifndef HOSTFS_INTERNAL_H
#define HOSTFS_INTERNAL_H

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>

#include <host/hostfs.h>

#define HOSTFS_MAGIC 0x00c0ffee
#define HOSTFS_RANGES 8

/* Ids first to first + count - 1 of the guest are those from host on. */
struct hostfs_range {
	u32 guest, host, count;
};

struct hostfs_map {
	struct hostfs_range range[HOSTFS_RANGES];
	int ranges;
	bool squash;			/* all are `to` */
	u32 to;
};

/* The options of a mount. */
struct hostfs_options {
	unsigned int timeout;		/* seconds that attributes and names are believed */
	struct hostfs_map uids, gids;
	bool recorded; /* map=xattr: owners, modes and devices are recorded beside the host's */
};

struct hostfs_super {
	struct hostfs_options options;
	char *path;			/* as given, for /proc/mounts */
	int root;			/* path descriptor */
	u64 device;			/* the root's; other devices get other inode numbers */
	unsigned long timeout;		/* in jiffies */
	bool no_chown;			/* the host let us give away no file */
	bool written;			/* since the last sync */
	/* The file made last, open, until it is opened in the guest: saves opening it again. */
	spinlock_t parked_lock;
	struct inode *parked;
	int parked_fd;
};

/* What the page cache holds, or a name means, is of this state of the host's file. */
struct hostfs_version {
	u64 size;
	struct host_time mtime, ctime;
	bool unsure;			/* it may have changed within the host's tick */
};

enum { FOR_READING, FOR_WRITING };

struct hostfs_inode {
	struct inode vfs;
	/* Which file it is; never changes. */
	u64 host_inode, host_device, host_mount;	/* the mount: of directories only */
	struct host_time born;
	/* What the host said last, and when; under i_lock. */
	struct hostfs_version seen;
	unsigned long checked;		/* jiffies */
	bool unchecked;			/* something of ours changed it: ask again */
	bool missed;			/* the data is not ours, whatever was seen since then */
	/* Regular files: descriptors that all open files of the inode share. */
	struct mutex open_lock;
	int fd[2];			/* FOR_READING, FOR_WRITING; may be the same; -1 */
	unsigned int users;
	u64 read_past;			/* bytes read past the page cache; a hint */
	/* Directories: a path descriptor; under place_lock. */
	int dir_fd;
	unsigned int pins;
	struct list_head recent;
	unsigned long placed;		/* jiffies: seen in its place, with all above it */
	u64 generation;			/* the call of hostfs_dir_get that did */
};

static inline struct hostfs_inode *hostfs_i(const struct inode *inode)
{
	return container_of(inode, struct hostfs_inode, vfs);
}

static inline struct hostfs_super *hostfs_s(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct hostfs_super *hostfs_is(const struct inode *inode)
{
	return hostfs_s(inode->i_sb);
}

/* Whether what was true at `then` is still believed. */
static inline bool hostfs_fresh(const struct hostfs_super *super, unsigned long then)
{
	return super->timeout && time_before(jiffies, then + super->timeout);
}

/* ---- dirfd.c: where names are on the host ---- */

/*
 * A descriptor of a directory that was seen in its place, below the mount's root, within the
 * time-out. It stays open until hostfs_dir_put(). -ESTALE: it is not there any more.
 */
int hostfs_dir_get(struct dentry *dir);
void hostfs_dir_put(struct dentry *dir);
void hostfs_dir_forget(struct inode *inode);	/* at its end */
/*
 * Closes descriptors that are not in use, of directories first, then of listings; whether there
 * were any.
 */
bool hostfs_make_room(void);
/* Says in the log that the host allows no more. -ENFILE. */
int hostfs_no_room(void);
void hostfs_places_init(void);

/* A file's directory and name; for the root its descriptor and "". */
struct hostfs_place {
	struct dentry *parent;
	int dir;
	struct name_snapshot snapshot;
	const char *name;
};
int hostfs_place_get(struct dentry *dentry, struct hostfs_place *place);
void hostfs_place_put(struct hostfs_place *place);

/* Some descriptor of a dentry's file for attributes. */
struct hostfs_handle {
	int fd;
	bool own;			/* to be closed */
	struct inode *lender;		/* whose open descriptor it is */
	struct dentry *removed;		/* the directory whose descriptor it is */
};
int hostfs_handle_get(struct dentry *dentry, struct hostfs_handle *handle);
void hostfs_handle_put(struct hostfs_handle *handle);

static inline bool hostfs_lacks_room(int error)
{
	return error == -EMFILE || error == -ENFILE;
}

/* A call that needs a descriptor: while there is none left, again after some were closed. */
#define hostfs_with_room(call) ({						\
	int __result;								\
	do									\
		__result = (call);						\
	while (hostfs_lacks_room(__result) && hostfs_make_room());		\
	hostfs_lacks_room(__result) ? hostfs_no_room() : __result;		\
})

/* ---- inode.c ---- */

enum hostfs_news {
	NEWS, /* what the host says; may be of someone else's change */
	NEWS_LOCKED, /* the same, by who holds the inode's lock */
	NEWS_DATA, /* after we wrote data: the new version is ours; hostfs_before_change() came first */
};

extern const struct super_operations hostfs_super_operations;
int hostfs_inodes_init(void);
struct inode *hostfs_iget(struct super_block *sb, const struct host_stat *stat);
bool hostfs_same_file(const struct inode *inode, const struct host_stat *stat);
/*
 * We are about to change a file's data or times: what someone else changed until now must not pass
 * for ours.
 */
void hostfs_before_change(struct inode *inode, int fd);
/*
 * We changed data, and the file must not be larger than this: if it is, someone else changed it,
 * too.
 */
void hostfs_after_change(struct inode *inode, int fd, loff_t largest);
/* What is cached is not what the host has: its content and size are taken when it is next asked. */
void hostfs_distrust(struct inode *inode);
/*
 * Takes over what the host said; where the content changed there, drops what is cached. May sleep.
 */
void hostfs_refresh(struct inode *inode, const struct host_stat *stat, enum hostfs_news news);
/* Asks the host; -ESTALE if the name is another file's now. */
int hostfs_recheck(struct dentry *dentry, enum hostfs_news news);
bool hostfs_is_dirty(struct inode *inode);
ino_t hostfs_number(const struct super_block *sb, u64 inode, u64 device);

/* ---- namei.c, readdir.c ---- */

extern const struct dentry_operations hostfs_dentry_operations;
extern const struct inode_operations hostfs_dir_inode_operations, hostfs_symlink_inode_operations;
extern const struct file_operations hostfs_dir_operations;
bool hostfs_listings_release(void);

/* ---- fileops.c, addr.c, directio.c ---- */

extern const struct file_operations hostfs_file_operations;
extern const struct address_space_operations hostfs_pages;
/* Keeps the descriptor of a file just made for who opens it next. */
void hostfs_park(struct inode *inode, int fd);
void hostfs_unpark_all(struct super_block *sb);
void hostfs_file_forget(struct inode *inode);	/* at its end */
/* A descriptor that open files of the inode use, to be given back; -1: it is not open. */
int hostfs_borrow(struct inode *inode);
int hostfs_borrow_writable(struct inode *inode);
void hostfs_give_back(struct inode *inode);
/* Borrows one that is about to lose its last name, opened if need be. Whether it could. */
bool hostfs_hold(struct inode *inode, struct dentry *dentry);
/* The same, opened for the purpose where it must be; -errno. */
int hostfs_borrow_for_writing(struct inode *inode, struct dentry *dentry);
/* Zeroes what is cached between the end of the file and `to`; the inode is locked. */
void hostfs_zero_tail(struct inode *inode, loff_t to);
ssize_t hostfs_direct_io(struct kiocb *iocb, struct iov_iter *iter);
/* Reads past the cache where that is better: whether it did, and with what result. */
bool hostfs_read_past(struct kiocb *iocb, struct iov_iter *to, ssize_t *result);

/* ---- attributes.c ---- */

extern const struct inode_operations hostfs_inode_operations;
extern const struct xattr_handler *const hostfs_xattr_handlers[];
int hostfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *change);
int hostfs_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat, u32 wanted,
		   unsigned int flags);
ssize_t hostfs_listxattr(struct dentry *dentry, char *names, size_t size);

/* ---- owner.c: whose files are ---- */

#define HOSTFS_RECORD "user.containers.override_stat"

/* host_fs_stat() and what follows an open, with ids, modes and devices as the guest sees them. */
int hostfs_stat(struct super_block *sb, int dir, const char *name, struct host_stat *stat);
void hostfs_show(struct super_block *sb, int fd, struct host_stat *stat);
/* The mode that a file is made with on the host. */
unsigned int hostfs_host_mode(struct super_block *sb, umode_t mode);
/*
 * Gives a file just made the owner and mode that it should have; fd of any kind. Brings stat up to
 * date.
 */
int hostfs_settle(struct inode *dir, int fd, umode_t mode, dev_t device, struct host_stat *stat);
/* Changes mode and owner as ATTR_MODE, ATTR_UID and ATTR_GID in the change say. */
int hostfs_change_owner(struct inode *inode, int fd, const struct iattr *change);
/* uidmap= or gidmap=: <guest>:<host>:<count> */
int hostfs_parse_range(struct hostfs_map *map, const char *text);

#endif
