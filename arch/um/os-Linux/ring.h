/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rings: host calls that are queued, sent to the host in one go, and complete later, by io_uring.
 * For all devices: a process has as many rings as it wants, each with an owner.
 *
 * When to send and how to wait is the device's matter (disk_pace.c for disks), and so is what to do
 * without a ring: ring_make() fails where the host refuses io_uring or lacks an operation.
 *
 *  thread              may call, or runs
 *  the owner's         all functions below, and completed(), from within ring_collect() only. It
 *                      is the thread that made the ring: the host accepts calls from no other
 *  the ring's own      news(), which may tell the owner, by host_raise() or the like
 *  any other           nothing
 *
 * No function takes a lock. None sleeps but ring_make(), ring_free() and ring_sleep().
 *
 * An owner that handles completions:
 *
 *	do {
 *		ring_notify(ring, 0);
 *		ring_submit(ring);
 *		ring_collect(ring);
 *		ring_notify(ring, 1);
 *	} while (ring_completed(ring));
 *
 * Without the last question, what completed before the second ring_notify() would raise no news.
 */
#ifndef OS_RING_H
#define OS_RING_H

#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct ring;

enum ring_op {
	RING_READ,		/* preadv2(2) */
	RING_WRITE,		/* pwritev2(2) */
	RING_SYNC,		/* fdatasync(2) */
	RING_FALLOCATE,		/* fallocate(2) */
	RING_RECEIVE,		/* recv(2) into the first iovec, or recvmsg(2) */
	RING_SEND,		/* send(2) of the first iovec, or sendmsg(2) */
	RING_CANCEL,		/* ends the entry with the cookie `cancelled`: -ECANCELED */
};

/*
 * One host call. Memory that it refers to stays as it is until the entry has completed, iovecs and
 * message included.
 */
struct ring_entry {
	enum ring_op op;
	/*
	 * An entry waits for what it needs, such as a packet. MSG_DONTWAIT and RWF_NOWAIT complete
	 * it with -EAGAIN instead. Of O_NONBLOCK each version of the host has its own idea.
	 */
	int fd;
	int flags;			/* RWF_, MSG_, or the mode of fallocate() */
	const struct iovec *iov;
	int iovs;
	struct msghdr *message;		/* RECEIVE, SEND: instead of iov, if it is not NULL */
	unsigned long long offset;	/* bytes; 0 for a file that has no position */
	unsigned long long length;	/* FALLOCATE: bytes */
	void *cancelled;		/* CANCEL */
	void *cookie;			/* the owner's; comes back with the result */
};

enum ring_news {
	RING_COMPLETED,		/* entries completed while ring_notify() was on, which is off now */
	RING_ALARM,		/* the time of ring_alarm() is over */
};

struct ring_setup {
	unsigned int entries;		/* that may be queued at once */
	unsigned int completions;	/* not collected; the host keeps more, but slowly */
	unsigned int operations;	/* that the host must know: 1 << enum ring_op, or'ed */
	void *owner;
	/* result: of the host call, or -errno. May queue entries. */
	void (*completed)(void *owner, void *cookie, long result);
	void (*news)(void *owner, enum ring_news news);
};

/* 0, or -errno: the host refuses it, or -EOPNOTSUPP: it does not know one of the operations. */
int ring_make(struct ring **ring, const struct ring_setup *setup);
/* 0, or -EBUSY: entries are in flight; cancel and collect them first. */
int ring_free(struct ring *ring);

/* 0, or -EAGAIN: there is no room until a ring_submit(). A full ring is sent to the host first. */
int ring_queue(struct ring *ring, const struct ring_entry *entry);
/*
 * Sends queued entries, as many as the host accepts for the moment. 0, or -errno: the host refuses
 * entries for good, or has for seconds, without one in flight that it could complete.
 */
int ring_submit(struct ring *ring);
/* Not sent. */
unsigned int ring_queued(const struct ring *ring);
/* Not collected, the queued ones included. */
unsigned int ring_in_flight(const struct ring *ring);

/*
 * Whether there is something to collect. ring_peek() makes no host call, for polling, and may say
 * so by mistake.
 */
int ring_peek(const struct ring *ring);
int ring_completed(struct ring *ring);
/* Calls completed() for each entry that has completed. */
void ring_collect(struct ring *ring);

/* Whether completions are news. They are, after ring_make(). */
void ring_notify(struct ring *ring, int on);
/* One RING_ALARM in ns nanoseconds, in place of an earlier one that has not come yet. */
void ring_alarm(struct ring *ring, unsigned long ns);
/*
 * Sleeps until there is something to collect. mask: the signals blocked meanwhile, and one that is
 * not ends the sleep; NULL: as they are. 0, or -errno: the host refuses that for good, or has for
 * seconds, so nothing will complete any more.
 */
int ring_sleep(struct ring *ring, const sigset_t *mask);

#endif
