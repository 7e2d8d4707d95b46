/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 8: disks. Requests go to a host thread per disk; their ends are collected after HOST_IRQ_BLOCK.
 * All functions run on the thread of a virtual CPU; only open and close may sleep in the host.
 */
#ifndef HOST_DISK_H
#define HOST_DISK_H

struct host_disk;

enum {
	HOST_DISK_READ,
	HOST_DISK_WRITE,
	HOST_DISK_FLUSH,		/* all writes that ended before it are durable */
	HOST_DISK_DISCARD,		/* frees the range; it reads as zeroes afterwards */
	HOST_DISK_ZERO,			/* zeroes the range and keeps its space */
};

#define HOST_DISK_SEGMENTS 128		/* at most this many in one request */

struct host_disk_segment {
	void *base;			/* in the linear map */
	unsigned long length;
};

struct host_disk_request {
	struct host_disk_request *next;	/* host side */
	int op;
	int fua;			/* durable before it ends */
	unsigned long long offset;	/* bytes; moves on as the transfer does */
	unsigned long long length;	/* bytes; for data, the sum of the segments; counts down to what is left */
	int segments;
	struct host_disk_segment *segment;	/* used up by the transfer: the host side moves it and what it points to */
	int error;			/* result: 0 or -errno */
};

struct host_disk_info {
	unsigned long long size;	/* bytes */
	unsigned int block_size;	/* bytes; what the host allocates and frees at once */
	int read_only;			/* also set when the host allows no more than reading */
	int locked_by;			/* after -EAGAIN: process id of who has it; -1: we; 0: unknown */
};

/*
 * flags of host_disk_open. SYNC: every change is durable before it ends. SHARED: no lock. PLAIN: the content is data,
 * whatever it looks like.
 */
enum { HOST_DISK_READ_ONLY = 1, HOST_DISK_SYNC = 2, HOST_DISK_SHARED = 4, HOST_DISK_PLAIN = 8 };

/*
 * Opens a raw image or block device; takes a lock unless SHARED (-EAGAIN: someone else has it). On error the disk is
 * not there and nothing happened: -ENOENT, -EISDIR, -EACCES, -ENOTBLK (neither file nor block device), -EMEDIUMTYPE (a
 * COW file, without PLAIN), or what open(2) gave.
 */
int host_disk_open(struct host_disk **disk, const char *path, int flags, struct host_disk_info *info);
void host_disk_close(struct host_disk *disk);
/*
 * Takes a request. Returns 1 if it is complete at once, with request->error set; else 0: it is queued, and begins at
 * the latest with the next host_disk_kick().
 */
int host_disk_submit(struct host_disk *disk, struct host_disk_request *request);
void host_disk_kick(struct host_disk *disk);
/* Takes one ended request, or NULL. */
struct host_disk_request *host_disk_completed(struct host_disk *disk);

#endif
