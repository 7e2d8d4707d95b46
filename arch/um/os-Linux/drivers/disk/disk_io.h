/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One transfer of a disk, and who carries it out.
 *
 * disk.c and disk_cow.c take requests apart into transfers (struct disk_io) and never touch a file
 * themselves while the guest runs. A backend (struct disk_backend) carries them out: disk_uring.c,
 * disk_threads.c, and in tests one that records. It collects them, sends them off in one go, and
 * gives each back through disk_io_ended(). Backends know nothing of disks; disks know nothing of
 * threads, rings and interrupts.
 *
 * Transfers and their ends stay on the virtual CPU that queued them, so lists and pools below are
 * one for each, without locks.
 */
#ifndef DISK_IO_H
#define DISK_IO_H

#include <signal.h>
#include <sys/uio.h>

#include <host/vcpu.h>

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_WRITE_DURABLE,	/* RWF_DSYNC */
	DISK_SYNC,		/* fdatasync */
	DISK_PUNCH,		/* fallocate; keeps the file's size */
	DISK_ZERO,		/* fallocate; keeps the file's size */
};

#define DISK_IO_INLINE 4

struct disk_io {
	struct disk_io *next;		/* whoever has it */
	enum disk_op op;
	int fd;
	unsigned long long offset;	/* bytes; moves on as data do */
	unsigned long long length;	/* bytes that are left */
	struct iovec *iov;		/* for data; used up as they move */
	int iovs;
	int vcpu;			/* whose it is */
	int direct;			/* fd is open with O_DIRECT */
	long result;			/* the backend's own */
	void (*done)(struct disk_io *io, int error);	/* frees it in the end */
	void *owner;
	struct iovec inline_iov[DISK_IO_INLINE], *allocated_iov;
	void *bounce;
};

struct disk_backend {
	const char *name;
	/* 0, or -errno: the host refuses it. */
	int (*start)(void);
	/* Takes a transfer. Does not sleep. */
	void (*queue)(struct disk_io *io);
	/*
	 * Sends this virtual CPU's transfers on their way and calls disk_io_ended() for those that
	 * ended, until there is neither. Does not sleep. more: as for host_disk_commit().
	 */
	void (*turn)(int more);
	/*
	 * Before that sleep, where there are several CPUs: may look for some microseconds whether
	 * one ends, but no longer than *stop is 0, and makes HOST_IRQ_BLOCK pending then. Returns 0
	 * if none is under way. May be NULL.
	 */
	int (*look)(const unsigned long *stop);
	/*
	 * Sleeps until one of this virtual CPU's has ended; the next turn then finds it. mask: the
	 * signals blocked meanwhile, and one that is not ends the sleep; NULL: as they are. Returns
	 * 0 at once where none is under way or, with a mask, where this is no better than to wait
	 * for the signal that HOST_IRQ_BLOCK comes with.
	 */
	int (*wait)(const sigset_t *mask);
};

/* Which one it is: disk_backend.c, or a test. */
extern const struct disk_backend *disk_backend;
extern const struct disk_backend disk_uring, disk_threads;

/* disk_io.c: a transfer with room for so many iovecs, or NULL; and giving it back. */
struct disk_io *disk_io_new(enum disk_op op, int fd, unsigned long long offset, unsigned long long length, int iovs);
void disk_io_free(struct disk_io *io);
/* disk_io.c: page-aligned memory that goes with it, or NULL. */
void *disk_io_bounce(struct disk_io *io, unsigned long length);
/*
 * disk_io.c: for backends. result: bytes moved (0 for what moves none) or -errno, as one host call
 * gives it.
 */
void disk_io_ended(struct disk_io *io, long result);
/* disk_io.c: the same call made by this thread, for backends that have threads. flags: RWF_ */
long disk_io_perform(const struct disk_io *io, int flags);
/* disk_io.c: the fallocate mode of DISK_PUNCH and DISK_ZERO. */
int disk_io_mode(const struct disk_io *io);

static inline int this_vcpu_number(void)
{
	return this_vcpu() - host_vcpus;
}

#endif
