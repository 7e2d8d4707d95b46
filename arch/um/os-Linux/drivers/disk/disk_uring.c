// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers of disks through io_uring: one ring for each virtual CPU, used by its thread alone.
 *
 * A virtual CPU learns that a transfer completed in one of these ways, the cheapest first:
 *  1. It submits: the same host call finds what has completed meanwhile, and reads of what the host
 *     has cached complete within it.
 *  2. It is idle: host_idle() polls the ring for a while (uring_look), then sleeps in the ring
 *     itself (uring_wait), so the host wakes it directly.
 *  3. It runs guest or kernel code: the ring's eventfd wakes a thread of ours, which raises
 *     HOST_IRQ_BLOCK.
 * The eventfd is turned off (a flag in memory that the ring shares with the host) in 1, in 2, and
 * from the interrupt until the virtual CPU has taken it.
 *
 * disk_pace.c decides when transfers are sent, how long 2 polls, and when 1 is enough instead of 3.
 * In that case a timer wakes the thread of 3.
 *
 * Where the host has it (6.1), ended transfers wait in the host until we ask (DEFER_TASKRUN): it
 * must not interrupt the virtual CPU's other host calls, which would begin again for nothing. Guest
 * RAM is not registered with the ring, since that would pin all of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <host/irq.h>
#include <host/process.h>
#include <host/time.h>

#include "os.h"
#include "disk_io.h"
#include "disk_pace.h"

#define SQ_ENTRIES 256
#define CQ_ENTRIES 2048

#define REFUSED_NS 5000000000ULL

static struct ring {
	struct io_uring uring;
	int made;
	int event;			/* an eventfd */
	unsigned int under_way;
	int timer;			/* a timerfd */
	struct disk_pace pace;
	unsigned long long refused;	/* since then the host takes no transfers; 0: it does */
	struct disk_io *late;		/* no room in the ring yet */
} rings[HOST_MAX_VCPUS];

/* ---- making one ---- */

static void raise_block(struct ring *ring)
{
	host_raise(&host_vcpus[ring - rings], HOST_IRQ_BLOCK);
}

static void *tell_vcpu(void *argument)
{
	struct ring *ring = argument;
	struct pollfd news[] = { { .fd = ring->event, .events = POLLIN }, { .fd = ring->timer, .events = POLLIN } };
	unsigned long long count;

	for (;;) {
		if (poll(news, 2, -1) < 0 && errno != EINTR)
			host_fatal("the host refuses poll (%s): allow it, in a container by a seccomp profile that has it", strerror(errno));
		if (news[0].revents && read(ring->event, &count, sizeof(count)) == sizeof(count)) {
			io_uring_cq_eventfd_toggle(&ring->uring, false);
			raise_block(ring);
		}
		if (news[1].revents && read(ring->timer, &count, sizeof(count)) == sizeof(count) &&
		    disk_pace_is_quiet(&ring->pace))
			raise_block(ring);
	}
	return NULL;
}

static int knows_operations(struct io_uring *uring)
{
	static const int needed[] = { IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
				      IORING_OP_FALLOCATE };
	struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
	int knows = probe != NULL;

	for (unsigned int i = 0; knows && i < sizeof(needed) / sizeof(*needed); i++)
		knows = io_uring_opcode_supported(probe, needed[i]);
	io_uring_free_probe(probe);
	return knows;
}

/* A sandbox may let us make a ring and then refuse to use it. */
static int try_it(struct io_uring *uring)
{
	struct io_uring_cqe *cqe;
	int error;

	io_uring_prep_nop(io_uring_get_sqe(uring));
	error = io_uring_submit_and_wait(uring, 1);
	if (error < 0)
		return error;
	error = io_uring_peek_cqe(uring, &cqe);
	if (!error)
		io_uring_cqe_seen(uring, cqe);
	return error;
}

static int make_uring(struct io_uring *uring)
{
	static const unsigned int ways[] = {
		IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int error = -EINVAL;

	for (unsigned int i = 0; error == -EINVAL && i < sizeof(ways) / sizeof(*ways); i++) {
		struct io_uring_params params = { .flags = ways[i] | IORING_SETUP_CQSIZE, .cq_entries = CQ_ENTRIES };

		error = io_uring_queue_init_params(SQ_ENTRIES, uring, &params);
	}
	if (error)
		return error;
	error = knows_operations(uring) ? try_it(uring) : -EOPNOTSUPP;
	if (error)
		io_uring_queue_exit(uring);
	return error;
}

static int make_ring(struct ring *ring)
{
	int error;

	ring->event = eventfd(0, EFD_CLOEXEC);
	if (ring->event < 0)
		return -errno;
	/* Without blocking: the time may be set anew between the news and the reading. */
	ring->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	error = ring->timer < 0 ? -errno : make_uring(&ring->uring);
	if (error)
		goto close;
	error = io_uring_register_eventfd(&ring->uring, ring->event);
	if (!error)
		error = host_thread(tell_vcpu, ring);
	if (error)
		goto exit;
	ring->made = 1;
	return 0;
exit:
	io_uring_queue_exit(&ring->uring);
close:
	if (ring->timer >= 0)
		close(ring->timer);
	close(ring->event);
	return error;
}

/*
 * The ring of this virtual CPU; the first use makes it, since it belongs to the thread that does.
 */
static struct ring *this_ring(void)
{
	struct ring *ring = &rings[this_vcpu_number()];

	if (!ring->made) {
		int error = make_ring(ring);

		if (error)
			host_fatal("no io_uring for another virtual CPU: %s", strerror(-error));
	}
	return ring;
}

static int uring_start(void)
{
	return make_ring(&rings[this_vcpu_number()]);
}

/* ---- transfers ---- */

static void prepare(struct io_uring_sqe *sqe, struct disk_io *io)
{
	switch (io->op) {
	case DISK_READ:
		if (io->iovs == 1)
			io_uring_prep_read(sqe, io->fd, io->iov->iov_base, io->iov->iov_len, io->offset);
		else
			io_uring_prep_readv(sqe, io->fd, io->iov, io->iovs, io->offset);
		break;
	case DISK_WRITE:
	case DISK_WRITE_DURABLE:
		if (io->iovs == 1)
			io_uring_prep_write(sqe, io->fd, io->iov->iov_base, io->iov->iov_len, io->offset);
		else
			io_uring_prep_writev(sqe, io->fd, io->iov, io->iovs, io->offset);
		if (io->op == DISK_WRITE_DURABLE)
			sqe->rw_flags = RWF_DSYNC;
		break;
	case DISK_SYNC:
		io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
		break;
	case DISK_PUNCH:
	case DISK_ZERO:
		io_uring_prep_fallocate(sqe, io->fd, disk_io_mode(io), io->offset, io->length);
		break;
	}
	io_uring_sqe_set_data(sqe, io);
}

static int put_in_ring(struct ring *ring, struct disk_io *io)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (!sqe) {
		io_uring_submit_and_get_events(&ring->uring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	if (!sqe)
		return 0;
	prepare(sqe, io);
	disk_pace_queued(&ring->pace, io->fd, io->offset, io->length);
	ring->under_way++;
	return 1;
}

static unsigned int at_device(const struct ring *ring)
{
	return ring->under_way - io_uring_sq_ready(&ring->uring);
}

static void uring_queue(struct disk_io *io)
{
	struct ring *ring = this_ring();

	if (!ring->late && put_in_ring(ring, io))
		return;
	io->next = ring->late;
	ring->late = io;
}

static int may_pass(int error)
{
	return error == -EINTR || error == -EAGAIN || error == -EBUSY || error == -ENOMEM;
}

/*
 * A host that let the ring be made and tried, and takes no transfers any more, would leave the
 * guest waiting for ever. What it lacks for the moment is waited for, longer where transfers are
 * under way, whose ends may give it back.
 */
static int submit(struct ring *ring)
{
	int taken = io_uring_submit_and_get_events(&ring->uring);
	unsigned long long now;

	if (taken > 0)
		ring->refused = 0;
	if (taken >= 0)
		return taken;
	now = host_monotonic_ns();
	if (!ring->refused)
		ring->refused = now;
	if (!may_pass(taken) || (now - ring->refused > REFUSED_NS && !at_device(ring)))
		host_fatal("the host takes no more disk transfers (io_uring_enter: %s); where it refuses io_uring_setup, threads are used",
			   strerror(-taken));
	return taken;
}

static void send_off(struct ring *ring)
{
	while (ring->late) {
		struct disk_io *io = ring->late;

		ring->late = io->next;
		if (!put_in_ring(ring, io)) {
			io->next = ring->late;
			ring->late = io;
			break;
		}
	}
	disk_pace_sent(&ring->pace);
	while (io_uring_sq_ready(&ring->uring) && submit(ring) > 0)
		;
}

/* The host has ended transfers, or news of them, that it has not put into the ring. */
static int host_holds_some(struct ring *ring)
{
	return __atomic_load_n(ring->uring.sq.kflags, __ATOMIC_ACQUIRE) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/*
 * Not by the flags alone: the host sets TASKRUN after it has put something in its list, so by then
 * we may have taken that, and the flag stays until the next time. If there is nothing now, what
 * comes later meets the eventfd turned on.
 */
static int some_ended(struct ring *ring)
{
	if (!io_uring_cq_ready(&ring->uring) && host_holds_some(ring))
		io_uring_get_events(&ring->uring);
	return io_uring_cq_ready(&ring->uring);
}

static void set_event(struct ring *ring, bool on)
{
	io_uring_cq_eventfd_toggle(&ring->uring, on);
	/* the host adds, then looks at the flag; we the other way round */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void collect(struct ring *ring)
{
	struct io_uring_cqe *cqe;

	if (host_holds_some(ring))
		io_uring_get_events(&ring->uring);
	if (ring->pace.rested && io_uring_cq_ready(&ring->uring))
		disk_pace_completed(&ring->pace, host_monotonic_ns());
	while (io_uring_cq_ready(&ring->uring) && !io_uring_peek_cqe(&ring->uring, &cqe)) {
		struct disk_io *io = io_uring_cqe_get_data(cqe);
		long result = cqe->res;

		io_uring_cqe_seen(&ring->uring, cqe);
		ring->under_way--;
		disk_io_ended(io, result);
	}
}

/* ---- pace ---- */

static struct disk_load load_of(const struct ring *ring)
{
	return (struct disk_load){
		.queued = io_uring_sq_ready(&ring->uring),
		.sent = at_device(ring),
		.overflows = ring->late != NULL,
	};
}

static int holds_back(struct ring *ring)
{
	struct disk_load load = load_of(ring);

	return disk_pace_submits(&ring->pace, host_monotonic_ns(), &load);
}

static int waits_for_more(const struct ring *ring)
{
	struct disk_load load = load_of(ring);

	return disk_pace_waits(&ring->pace, &load);
}

static void set_timer(struct ring *ring, unsigned int ns)
{
	struct itimerspec after = { .it_value.tv_nsec = ns };

	timerfd_settime(ring->timer, 0, &after, NULL);
}

static void end_turn(struct ring *ring, int quiet)
{
	if (disk_pace_turned(&ring->pace, host_monotonic_ns(), quiet))
		set_timer(ring, 2 * disk_pace_rules.timer_ns);
}

/* ---- polling ---- */

static void note_end(void)
{
	__atomic_or_fetch(&this_vcpu()->irq_pending, 1UL << HOST_IRQ_BLOCK, __ATOMIC_SEQ_CST);
}

static void poll_ring(struct ring *ring, const unsigned long *stop)
{
	unsigned long long last = host_monotonic_ns(), now;
	int completed;

	for (;; last = now) {
		completed = io_uring_cq_ready(&ring->uring) || host_holds_some(ring);
		now = host_monotonic_ns();
		if (!disk_pace_polled(&ring->pace, last, now, completed) ||
		    __atomic_load_n(stop, __ATOMIC_ACQUIRE))
			return;
		__builtin_ia32_pause();
	}
}

/* Signals are not blocked. */
static int uring_look(const unsigned long *stop)
{
	struct ring *ring = &rings[this_vcpu_number()];

	if (!ring->made || !ring->under_way)
		return 0;
	if (!disk_pace_rests(&ring->pace, host_monotonic_ns()))
		return 1;
	set_event(ring, false);
	if (!waits_for_more(ring))
		send_off(ring);
	poll_ring(ring, stop);
	if (some_ended(ring)) {
		note_end();
		return 1;
	}
	if (!ring->pace.quiet)
		set_event(ring, true);
	/* Completed before that, and if *stop ended the poll, no interrupt comes for it. */
	if (some_ended(ring))
		note_end();
	return 1;
}

/* ---- the backend ---- */

static void uring_turn(int more)
{
	struct ring *ring = this_ring();
	unsigned int left;
	int quiet;

	if (more) {
		if (holds_back(ring)) {
			if (!ring->pace.quiet)
				set_event(ring, false);
			end_turn(ring, 1);
			return;
		}
	} else if (waits_for_more(ring) && some_ended(ring)) {
		collect(ring);
		disk_pace_put_off(&ring->pace);
		if (waits_for_more(ring)) {
			end_turn(ring, 1);
			return;
		}
	}
	quiet = disk_pace_sends(&ring->pace, more, ring->under_way);
	do {
		set_event(ring, false);
		send_off(ring);
		left = io_uring_sq_ready(&ring->uring);
		collect(ring);
		if (!quiet)
			set_event(ring, true);
		/* Refused for want of memory: soon again. Queued while collecting: now. */
		if (left && left == io_uring_sq_ready(&ring->uring)) {
			raise_block(ring);
			break;
		}
	} while (some_ended(ring) || io_uring_sq_ready(&ring->uring) || ring->late);
	end_turn(ring, quiet);
}

static int uring_wait(const sigset_t *mask)
{
	struct ring *ring = &rings[this_vcpu_number()];

	if (!ring->made || !ring->under_way)
		return 0;
	disk_pace_sleeps(&ring->pace, host_monotonic_ns());
	set_event(ring, false);
	send_off(ring);
	if (!io_uring_cq_ready(&ring->uring))
		io_uring_enter2(ring->uring.ring_fd, 0, 1, IORING_ENTER_GETEVENTS, (sigset_t *)mask, _NSIG / 8);
	set_event(ring, true);
	if (some_ended(ring))
		note_end();
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
