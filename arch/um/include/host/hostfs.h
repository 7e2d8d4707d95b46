/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 9: files and directories of the host, for hostfs.
 *
 * A file is named by a descriptor of its directory and one component of a path, never by a path: the host side refuses names with
 * a slash, "." and "..", and follows no symbolic link. So whatever the host's users rename or replace meanwhile, what is reached
 * lies in a directory that was opened before. An empty name means the descriptor's own object, where that is said.
 *
 * Descriptors are of two kinds: path descriptors (O_PATH: cheap, good for names, status and ownership, not for data) and
 * open ones. All functions run on the thread of a virtual CPU, may sleep in the host, restart after EINTR and return -errno on
 * failure. Buffers lie in the linear map.
 */
#ifndef HOST_HOSTFS_H
#define HOST_HOSTFS_H

struct host_time {
	long long seconds;
	unsigned int nanoseconds;
};

struct host_stat {
	unsigned long long inode;
	unsigned long long device;	/* of the file system that the file is on */
	unsigned long long mount;	/* mount that it was reached through; 0: the host does not tell */
	unsigned long long size;	/* bytes */
	unsigned long long blocks;	/* of 512 bytes */
	unsigned int mode;		/* type and permissions, as in Linux */
	unsigned int links;
	unsigned int uid, gid;
	unsigned int major, minor;	/* of a device */
	unsigned int block_size;	/* bytes; a good size for transfers */
	struct host_time atime, mtime, ctime;
	struct host_time btime;		/* when it was made; all 0: the host does not tell */
	int recent;			/* changed so lately that another change may leave the times as they are */
};

struct host_statfs {
	unsigned long long blocks, blocks_free, blocks_available;	/* of block_size bytes */
	unsigned long long files, files_free;
	unsigned int block_size;
	unsigned int name_length;
};

struct host_fs_segment {
	void *base;
	unsigned long length;
};

/* What getdents64() gives; `length` leads to the next. */
struct host_fs_entry {
	unsigned long long inode;
	long long next;			/* position of the entry after it */
	unsigned short length;
	unsigned char type;		/* DT_ */
	char name[];
} __attribute__((packed));

/* hostfs=<root>[,append] was given: every mount is below it; with append nothing is removed or overwritten. */
extern int host_fs_confined, host_fs_append;
/*
 * Takes the option; ends ./linux with one line when the directory cannot be opened.
 */
void host_fs_confine(const char *root, int append);
/* Whose files ./linux makes. */
void host_fs_identity(unsigned int *uid, unsigned int *gid);
/*
 * Raises the limit of open files as far as the host allows. Returns how many descriptors the functions below give out at most: all but some
 * that are left to disks, terminals and stub processes. Beyond that they fail with -EMFILE.
 */
int host_fs_limit(void);
/*
 * Opens a directory to be mounted: below the root if there is one ("" is the root itself), else anywhere. A path descriptor.
 * -EXDEV: the path leads out of the root. -ELOOP: a symbolic link that this host cannot follow safely.
 */
int host_fs_root(const char *path);
void host_fs_close(int fd);

/* Status of dir/name, of a link itself; name "": of the descriptor's object. */
int host_fs_stat(int dir, const char *name, struct host_stat *stat);
/* A path descriptor of dir/name, with its status. */
int host_fs_look(int dir, const char *name, struct host_stat *stat);

enum { HOST_FS_READ = 1, HOST_FS_WRITE = 2, HOST_FS_DIRECTORY = 4 };
/*
 * An open descriptor of a file. Name "": of what dir stands for, with HOST_FS_DIRECTORY a directory,
 * else a file. -ELOOP: it is a link now.
 */
int host_fs_open(int dir, const char *name, int access, struct host_stat *stat);
/* Makes a file, which must not be there yet, and opens it for reading and writing; name "": a file without a name. */
int host_fs_create(int dir, const char *name, unsigned int mode, struct host_stat *stat);

int host_fs_mkdir(int dir, const char *name, unsigned int mode);
int host_fs_mknod(int dir, const char *name, unsigned int mode, unsigned int major, unsigned int minor);
int host_fs_symlink(int dir, const char *name, const char *target);
/* Length of the target, not terminated; as much as fits in size. */
int host_fs_readlink(int dir, const char *name, char *buffer, int size);
int host_fs_link(int dir, const char *name, int to_dir, const char *to_name);
/* Gives an open file a name. */
int host_fs_link_open(int fd, int to_dir, const char *to_name);
int host_fs_unlink(int dir, const char *name, int directory);
/* flags: RENAME_ of Linux. */
int host_fs_rename(int dir, const char *name, int to_dir, const char *to_name, unsigned int flags);

/* These take both kinds of descriptors. */
int host_fs_chmod(int fd, unsigned int mode);
int host_fs_chown(int fd, unsigned int uid, unsigned int gid);	/* -1U: leave it */
enum { HOST_TIME_NOW = 0x3fffffff };	/* as nanoseconds: the host's time */
/* NULL: leave it. */
int host_fs_utimes(int fd, const struct host_time *atime, const struct host_time *mtime);
int host_fs_statfs(int fd, struct host_statfs *statfs);
/* Sizes as in the calls of these names: 0 asks how much there is. The value NULL removes the attribute. */
long host_fs_getxattr(int fd, const char *name, void *value, unsigned long size);
long host_fs_listxattr(int fd, char *names, unsigned long size);
int host_fs_setxattr(int fd, const char *name, const void *value, unsigned long size, int flags);

/*
 * These take open ones and say how many bytes were moved; both use the segments up. Reading ends
 * early at the end of the file only. Writing ends early with an error only: *error is 0 or -errno.
 */
long host_fs_read(int fd, struct host_fs_segment *segment, int segments, unsigned long long offset);
unsigned long host_fs_write(int fd, struct host_fs_segment *segment, int segments,
			    unsigned long long offset, int *error);
int host_fs_truncate(int fd, unsigned long long size);
int host_fs_allocate(int fd, int mode, unsigned long long offset, unsigned long long length);
int host_fs_sync(int fd, int data_only);
/* The whole file system that it is on. */
int host_fs_sync_all(int fd);
/* SEEK_DATA, SEEK_HOLE */
long long host_fs_seek(int fd, long long offset, int whence);
long host_fs_copy(int from, unsigned long long from_offset, int to, unsigned long long to_offset, unsigned long length);
/* Entries from a position on, which is 0 or the `next` of an entry. Bytes used of buffer, 0 at the end. */
long host_fs_entries(int fd, long long position, void *buffer, unsigned long size);

#endif
