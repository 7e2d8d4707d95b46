/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 8: disks. Requests go to a host thread per disk; their ends are collected after HOST_IRQ_BLOCK.
 */
#ifndef HOST_DISK_H
#define HOST_DISK_H

struct host_disk;

enum { HOST_DISK_READ, HOST_DISK_WRITE, HOST_DISK_FLUSH, HOST_DISK_DISCARD, HOST_DISK_ZERO };

struct host_disk_segment {
	void *base;			/* in the linear map */
	unsigned long length;
};

struct host_disk_request {
	struct host_disk_request *next;	/* host side */
	int op;
	int fua;			/* durable before it ends */
	unsigned long long offset;	/* bytes */
	unsigned long long length;	/* bytes; for data, the sum of the segments */
	int segments;
	struct host_disk_segment *segment;
	int error;			/* result: 0 or -errno */
};

struct host_disk_info {
	unsigned long long size;	/* bytes */
	int read_only;
};

/* flags of host_disk_open */
enum { HOST_DISK_READ_ONLY = 1, HOST_DISK_SYNC = 2, HOST_DISK_SHARED = 4 };

/*
 * Opens a raw image or block device; takes a lock unless SHARED (-EAGAIN: someone else has it). On error the disk is
 * not there and nothing happened.
 */
int host_disk_open(struct host_disk **disk, const char *path, int flags, struct host_disk_info *info);
void host_disk_close(struct host_disk *disk);
/* Queues a request; does not sleep. May complete it at once: returns 1 then, with request->error set. */
int host_disk_submit(struct host_disk *disk, struct host_disk_request *request);
/* Takes one ended request, or NULL. */
struct host_disk_request *host_disk_completed(struct host_disk *disk);

#endif
