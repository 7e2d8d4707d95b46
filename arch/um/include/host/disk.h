/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 8: disks. Requests are carried out by the host while the virtual CPU goes on; HOST_IRQ_BLOCK says that some ended,
 * and host_disk_completed() hands them over. All functions run on the thread of a virtual CPU, and only open and close sleep in
 * the host. What a virtual CPU submitted comes back to it.
 */
#ifndef HOST_DISK_H
#define HOST_DISK_H

struct host_disk;

enum {
	HOST_DISK_READ,
	HOST_DISK_WRITE,
	HOST_DISK_FLUSH,		/* all writes that ended before it was submitted are durable */
	HOST_DISK_DISCARD,		/* nobody needs what is in the range; its space may be freed */
	HOST_DISK_ZERO,			/* the range reads as zeroes and keeps its space */
	HOST_DISK_ZERO_FREE,		/* the range reads as zeroes; its space may be freed */
};

#define HOST_DISK_SEGMENTS 128		/* at most this many in one request */

struct host_disk_segment {
	void *base;			/* in the linear map */
	unsigned long length;
};

struct host_disk_request {
	int op;
	int fua;			/* durable before it ends */
	unsigned long long offset;	/* bytes */
	unsigned long long length;	/* bytes; for data, the sum of the segments */
	int segments;
	struct host_disk_segment *segment;	/* the host side's while the request runs: it changes them */
	int error;			/* result: 0 or -errno */
	/* The host side's own: */
	struct host_disk_request *next;
	struct host_disk *disk;
	int parts;			/* transfers that have not ended */
	int settled;			/* what a change still needs to be durable has begun */
};

/*
 * Flags of host_disk_open. SYNC: every change is durable before it ends. SHARED: no lock. RAW: the content is data,
 * whatever it looks like. DIRECT: past the host's page cache. MOVED: the backing file given takes the place of the one
 * that the COW file names.
 */
enum {
	HOST_DISK_READ_ONLY = 1,
	HOST_DISK_SYNC = 2,
	HOST_DISK_SHARED = 4,
	HOST_DISK_RAW = 8,
	HOST_DISK_DIRECT = 16,
	HOST_DISK_MOVED = 32,
};

#define HOST_DISK_WHY 1024

struct host_disk_info {
	unsigned long long size;	/* bytes */
	unsigned int sector_size;	/* bytes; requests are whole ones of these */
	unsigned int block_size;	/* bytes; what the host allocates and frees at once */
	int read_only;			/* also set when the host allows no more than reading */
	int fua;			/* a durable write costs less than a write and a flush */
	int cow;			/* changes go to a COW file */
	int created;			/* which was made just now */
	int not_direct;			/* DIRECT was asked for, and the host's file system has no such thing */
	int locked_by;			/* after -EAGAIN: process id of who has it; -1: we; 0: unknown */
	char why[HOST_DISK_WHY];	/* after an error: what is wrong, or "" where the error says it all */
};

/*
 * host_disk_open - opens an image, block device or COW file
 * @backing: the backing file of a COW file, which is made if it is not there; "" for none, or for the one that the COW file names
 * @flags: HOST_DISK_
 *
 * Takes a lock unless SHARED. On error the disk is not there and nothing happened: -EAGAIN (someone else has it), -ENOENT,
 * -EISDIR, -EACCES, -ENOTBLK (neither file nor block device), others with info->why.
 */
int host_disk_open(struct host_disk **disk, const char *path, const char *backing, int flags, struct host_disk_info *info);
/* Whether this path leads to the disk's file (a COW disk's COW file). */
int host_disk_has_file(const struct host_disk *disk, const char *path);
/* Makes everything durable and closes it. No request may be under way. */
void host_disk_close(struct host_disk *disk);
/*
 * The size of the disk may change on the host. host_disk_size: what it is now, bytes; 0: it cannot, or is not known. host_disk_notify makes the
 * disk one of those that host_disk_watch_sizes is about, which lets the next change of the size of any, or of its content, raise
 * HOST_IRQ_DISK_SIZE, once. Sizes that are read after it are not older than what it will tell. Do not sleep.
 */
unsigned long long host_disk_size(const struct host_disk *disk);
void host_disk_notify(const struct host_disk *disk);
void host_disk_watch_sizes(void);
/* Takes a request. It begins at the latest with the next host_disk_commit(), and may end at any time. */
void host_disk_submit(struct host_disk *disk, struct host_disk_request *request);
/*
 * Sends this virtual CPU's requests, of all disks, on their way. Collect what ended after it: reads of what the host has cached do at once.
 * more: more may follow soon. Then a few are held back while many are under way, at the longest until a few of those have ended, or until
 * the virtual CPU is idle and few are under way: the host takes several at once for little more than one.
 */
void host_disk_commit(int more);
/* Takes one ended request of this virtual CPU, or NULL. */
struct host_disk_request *host_disk_completed(void);
/* What carries requests out, for the log: "io_uring", or "threads (...)" with the reason. */
const char *host_disk_backend(void);

#endif
