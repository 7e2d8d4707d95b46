// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers of disks through io_uring: a ring (ring.h) for each virtual CPU, whose thread owns it.
 *
 * A virtual CPU learns that a transfer completed in one of these ways, the cheapest first:
 *  1. It submits: the same host call finds what has completed meanwhile, and reads of what the host
 *     has cached complete within it.
 *  2. It is idle: host_idle() polls the ring for a while (uring_look), then sleeps in the ring
 *     itself (uring_wait), so the host wakes it directly.
 *  3. It runs guest or kernel code: the ring's own thread has news and raises HOST_IRQ_BLOCK.
 * The ring's news are off in 1, in 2, and from the interrupt until the virtual CPU has taken it.
 *
 * disk_pace.c decides when transfers are sent, how long 2 polls, and when 1 is enough instead of 3.
 * In that case an alarm wakes the thread of 3.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>

#include <host/irq.h>
#include <host/process.h>
#include <host/time.h>

#include "os.h"
#include "ring.h"
#include "disk_io.h"
#include "disk_pace.h"

#define OPERATIONS (1 << RING_READ | 1 << RING_WRITE | 1 << RING_SYNC | 1 << RING_FALLOCATE)

static struct vcpu_ring {
	struct ring *ring;		/* NULL: not made yet */
	struct disk_pace pace;
	struct disk_io *late;		/* no room in the ring yet */
} vcpu_rings[HOST_MAX_VCPUS];

static void raise_block(struct vcpu_ring *own)
{
	host_raise(&host_vcpus[own - vcpu_rings], HOST_IRQ_BLOCK);
}

/* The ring's own thread. */
static void uring_news(void *owner, enum ring_news news)
{
	struct vcpu_ring *own = owner;

	if (news == RING_COMPLETED || disk_pace_is_quiet(&own->pace))
		raise_block(own);
}

static void uring_completed(void *owner, void *cookie, long result)
{
	disk_io_ended(cookie, result);
}

static int uring_make(struct vcpu_ring *own)
{
	const struct ring_setup setup = {
		.entries = 256,
		.completions = 2048,
		.operations = OPERATIONS,
		.owner = own,
		.completed = uring_completed,
		.news = uring_news,
	};

	return ring_make(&own->ring, &setup);
}

/* The first use makes the ring, since it belongs to the thread that does. */
static struct vcpu_ring *own_ring(void)
{
	struct vcpu_ring *own = &vcpu_rings[this_vcpu_number()];

	if (!own->ring) {
		int error = uring_make(own);

		if (error)
			host_fatal("no io_uring for another virtual CPU: %s", strerror(-error));
	}
	return own;
}

static int uring_start(void)
{
	return uring_make(&vcpu_rings[this_vcpu_number()]);
}

/* The ring of this virtual CPU if it has transfers in flight, else NULL. */
static struct vcpu_ring *busy_ring(void)
{
	struct vcpu_ring *own = &vcpu_rings[this_vcpu_number()];

	return own->ring && ring_in_flight(own->ring) ? own : NULL;
}

/* ---- transfers ---- */

static struct ring_entry entry_of(struct disk_io *io)
{
	struct ring_entry entry = {
		.fd = io->fd,
		.iov = io->iov,
		.iovs = io->iovs,
		.offset = io->offset,
		.length = io->length,
		.cookie = io,
	};

	switch (io->op) {
	case DISK_READ:
		entry.op = RING_READ;
		break;
	case DISK_WRITE_DURABLE:
		entry.flags = RWF_DSYNC;
		/* fall through */
	case DISK_WRITE:
		entry.op = RING_WRITE;
		break;
	case DISK_SYNC:
		entry.op = RING_SYNC;
		break;
	case DISK_PUNCH:
	case DISK_ZERO:
		entry.op = RING_FALLOCATE;
		entry.flags = disk_io_mode(io);
		break;
	}
	return entry;
}

static int put_in_ring(struct vcpu_ring *own, struct disk_io *io)
{
	struct ring_entry entry = entry_of(io);

	if (ring_queue(own->ring, &entry))
		return 0;
	disk_pace_queued(&own->pace, io->fd, io->offset, io->length);
	return 1;
}

static void uring_queue(struct disk_io *io)
{
	struct vcpu_ring *own = own_ring();

	if (!own->late && put_in_ring(own, io))
		return;
	io->next = own->late;
	own->late = io;
}

static void end_if_refused(int error)
{
	if (error)
		host_fatal("the host takes no more disk transfers (io_uring_enter: %s); "
			   "where it refuses io_uring_setup, threads are used", strerror(-error));
}

static void send_off(struct vcpu_ring *own)
{
	while (own->late) {
		struct disk_io *io = own->late;

		own->late = io->next;
		if (!put_in_ring(own, io)) {
			io->next = own->late;
			own->late = io;
			break;
		}
	}
	disk_pace_sent(&own->pace);
	end_if_refused(ring_submit(own->ring));
}

static void collect(struct vcpu_ring *own)
{
	if (own->pace.rested && ring_completed(own->ring))
		disk_pace_completed(&own->pace, host_monotonic_ns());
	ring_collect(own->ring);
}

/* ---- pace ---- */

static struct disk_load load_of(const struct vcpu_ring *own)
{
	unsigned int queued = ring_queued(own->ring);

	return (struct disk_load){
		.queued = queued,
		.sent = ring_in_flight(own->ring) - queued,
		.overflows = own->late != NULL,
	};
}

static int holds_back(struct vcpu_ring *own)
{
	struct disk_load load = load_of(own);

	return disk_pace_submits(&own->pace, host_monotonic_ns(), &load);
}

static int waits_for_more(const struct vcpu_ring *own)
{
	struct disk_load load = load_of(own);

	return disk_pace_waits(&own->pace, &load);
}

static void end_turn(struct vcpu_ring *own, int quiet)
{
	if (disk_pace_turned(&own->pace, host_monotonic_ns(), quiet))
		ring_alarm(own->ring, 2 * disk_pace_rules.timer_ns);
}

/* ---- polling ---- */

static void note_completed(void)
{
	__atomic_or_fetch(&this_vcpu()->irq_pending, 1UL << HOST_IRQ_BLOCK, __ATOMIC_SEQ_CST);
}

static void poll_ring(struct vcpu_ring *own, const unsigned long *stop)
{
	unsigned long long last = host_monotonic_ns(), now;
	int completed;

	for (;; last = now) {
		completed = ring_peek(own->ring);
		now = host_monotonic_ns();
		if (!disk_pace_polled(&own->pace, last, now, completed) ||
		    __atomic_load_n(stop, __ATOMIC_ACQUIRE))
			return;
		__builtin_ia32_pause();
	}
}

/* Signals are not blocked. */
static int uring_look(const unsigned long *stop)
{
	struct vcpu_ring *own = busy_ring();

	if (!own)
		return 0;
	if (!disk_pace_rests(&own->pace, host_monotonic_ns()))
		return 1;
	ring_notify(own->ring, 0);
	if (!waits_for_more(own))
		send_off(own);
	poll_ring(own, stop);
	if (ring_completed(own->ring)) {
		note_completed();
		return 1;
	}
	if (!own->pace.quiet)
		ring_notify(own->ring, 1);
	/* Completed before that, and if *stop ended the poll, no interrupt comes for it. */
	if (ring_completed(own->ring))
		note_completed();
	return 1;
}

/* ---- the backend ---- */

static void uring_turn(int more)
{
	struct vcpu_ring *own = own_ring();
	unsigned int left;
	int quiet;

	if (more) {
		if (holds_back(own)) {
			if (!own->pace.quiet)
				ring_notify(own->ring, 0);
			end_turn(own, 1);
			return;
		}
	} else if (waits_for_more(own) && ring_completed(own->ring)) {
		collect(own);
		disk_pace_put_off(&own->pace);
		if (waits_for_more(own)) {
			end_turn(own, 1);
			return;
		}
	}
	quiet = disk_pace_sends(&own->pace, more, ring_in_flight(own->ring));
	do {
		ring_notify(own->ring, 0);
		send_off(own);
		left = ring_queued(own->ring);
		collect(own);
		if (!quiet)
			ring_notify(own->ring, 1);
		/* Refused for want of memory: soon again. Queued while collecting: now. */
		if (left && left == ring_queued(own->ring)) {
			raise_block(own);
			break;
		}
	} while (ring_completed(own->ring) || ring_queued(own->ring) || own->late);
	end_turn(own, quiet);
}

static int uring_wait(const sigset_t *mask)
{
	struct vcpu_ring *own = busy_ring();

	if (!own)
		return 0;
	disk_pace_sleeps(&own->pace, host_monotonic_ns());
	ring_notify(own->ring, 0);
	send_off(own);
	end_if_refused(ring_sleep(own->ring, mask));
	ring_notify(own->ring, 1);
	if (ring_completed(own->ring))
		note_completed();
	return 1;
}

const struct disk_backend disk_uring = {
	.name = "io_uring",
	.start = uring_start,
	.queue = uring_queue,
	.turn = uring_turn,
	.look = uring_look,
	.wait = uring_wait,
};
