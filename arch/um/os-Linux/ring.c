// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings by io_uring: see ring.h, also for the threads.
 *
 * The host reports completions in memory that it shares with us, and by an eventfd, which wakes the
 * ring's own thread. A flag in that memory turns the eventfd off: ring_notify(), and the thread
 * itself once it has news. The thread also waits for a timerfd, the alarm.
 *
 * Where the host has it (6.1), completed entries wait in the host until we ask (DEFER_TASKRUN).
 * Otherwise they would interrupt other host calls of the owner, which would have to restart.
 * Memory is not registered with the ring, since that would pin it.
 *
 * Each field of struct ring belongs to the owner's thread, except that both threads use `event`,
 * `alarm`, `leave`, `left` and the eventfd's flag.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <host/process.h>
#include <host/time.h>

#include "os.h"
#include "ring.h"

#define REFUSED_NS 5000000000ULL

struct ring {
	struct io_uring uring;
	struct ring_setup setup;
	unsigned int in_flight;
	unsigned long long refused;	/* since then the host takes no entries; 0: it does */
	unsigned long long deaf;	/* since then it refuses to wait for one; 0: it does not */
	int event;			/* an eventfd */
	int alarm;			/* a timerfd */
	int leave;			/* the ring's thread is to end */
	sem_t left;			/* it does, and uses the ring no more */
};

/* ---- the ring's own thread ---- */

static int was_read(const struct pollfd *from)
{
	unsigned long long count;

	return from->revents && read(from->fd, &count, sizeof(count)) == sizeof(count);
}

static void *wait_for_news(void *argument)
{
	struct ring *ring = argument;
	struct pollfd from[] = {
		{ .fd = ring->event, .events = POLLIN },
		{ .fd = ring->alarm, .events = POLLIN },
	};

	for (;;) {
		if (poll(from, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			host_fatal("the host refuses poll (%s): allow it, "
				   "in a container by a seccomp profile that has it",
				   strerror(errno));
		}
		if (__atomic_load_n(&ring->leave, __ATOMIC_ACQUIRE))
			break;
		if (was_read(&from[0])) {
			io_uring_cq_eventfd_toggle(&ring->uring, false);
			ring->setup.news(ring->setup.owner, RING_COMPLETED);
		}
		if (was_read(&from[1]))
			ring->setup.news(ring->setup.owner, RING_ALARM);
	}
	sem_post(&ring->left);
	return NULL;
}

static void end_thread(struct ring *ring)
{
	__atomic_store_n(&ring->leave, 1, __ATOMIC_RELEASE);
	eventfd_write(ring->event, 1);
	while (sem_wait(&ring->left))
		;
}

/* ---- making one ---- */

#define OPCODES 2

/* An operation is one of these for the host: with one buffer, and with several. */
static const unsigned char opcodes[][OPCODES] = {
	[RING_READ] = { IORING_OP_READ, IORING_OP_READV },
	[RING_WRITE] = { IORING_OP_WRITE, IORING_OP_WRITEV },
	[RING_SYNC] = { IORING_OP_FSYNC, IORING_OP_FSYNC },
	[RING_FALLOCATE] = { IORING_OP_FALLOCATE, IORING_OP_FALLOCATE },
	[RING_RECEIVE] = { IORING_OP_RECV, IORING_OP_RECVMSG },
	[RING_SEND] = { IORING_OP_SEND, IORING_OP_SENDMSG },
	[RING_CANCEL] = { IORING_OP_ASYNC_CANCEL, IORING_OP_ASYNC_CANCEL },
};

static int knows(const struct io_uring_probe *probe, unsigned int op)
{
	for (int i = 0; i < OPCODES; i++)
		if (!io_uring_opcode_supported(probe, opcodes[op][i]))
			return 0;
	return 1;
}

static int knows_all(struct io_uring *uring, unsigned int operations)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
	int all = probe != NULL;

	for (unsigned int op = 0; all && operations >> op; op++)
		if (operations >> op & 1)
			all = op < sizeof(opcodes) / sizeof(*opcodes) && knows(probe, op);
	io_uring_free_probe(probe);
	return all;
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

static int make_uring(struct io_uring *uring, const struct ring_setup *setup)
{
	static const unsigned int ways[] = {
		IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
		IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int error = -EINVAL;

	for (unsigned int i = 0; error == -EINVAL && i < sizeof(ways) / sizeof(*ways); i++) {
		struct io_uring_params params = {
			.flags = ways[i] | IORING_SETUP_CQSIZE,
			.cq_entries = setup->completions,
		};

		error = io_uring_queue_init_params(setup->entries, uring, &params);
	}
	if (error)
		return error;
	error = knows_all(uring, setup->operations) ? try_it(uring) : -EOPNOTSUPP;
	if (error)
		io_uring_queue_exit(uring);
	return error;
}

static int make_descriptors(struct ring *ring)
{
	ring->event = eventfd(0, EFD_CLOEXEC);
	if (ring->event < 0)
		return -errno;
	/* Without blocking: the owner may set another time between poll and read. */
	ring->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ring->alarm < 0) {
		int error = -errno;

		close(ring->event);
		return error;
	}
	return 0;
}

static void close_descriptors(struct ring *ring)
{
	close(ring->alarm);
	close(ring->event);
}

static int start_ring(struct ring *ring)
{
	int error = make_descriptors(ring);

	if (error)
		return error;
	error = make_uring(&ring->uring, &ring->setup);
	if (error)
		goto close;
	error = io_uring_register_eventfd(&ring->uring, ring->event);
	if (!error)
		error = host_thread(wait_for_news, ring);
	if (!error)
		return 0;
	io_uring_queue_exit(&ring->uring);
close:
	close_descriptors(ring);
	return error;
}

int ring_make(struct ring **result, const struct ring_setup *setup)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int error;

	if (!ring)
		return -ENOMEM;
	ring->setup = *setup;
	sem_init(&ring->left, 0, 0);
	error = start_ring(ring);
	if (error) {
		free(ring);
		return error;
	}
	*result = ring;
	return 0;
}

int ring_free(struct ring *ring)
{
	if (ring->in_flight)
		return -EBUSY;
	end_thread(ring);
	io_uring_queue_exit(&ring->uring);
	close_descriptors(ring);
	sem_destroy(&ring->left);
	free(ring);
	return 0;
}

/* ---- entries ---- */

static void prepare_file(struct io_uring_sqe *sqe, const struct ring_entry *entry)
{
	const struct iovec *iov = entry->iov;

	if (entry->op == RING_READ && entry->iovs == 1)
		io_uring_prep_read(sqe, entry->fd, iov->iov_base, iov->iov_len, entry->offset);
	else if (entry->op == RING_READ)
		io_uring_prep_readv(sqe, entry->fd, iov, entry->iovs, entry->offset);
	else if (entry->iovs == 1)
		io_uring_prep_write(sqe, entry->fd, iov->iov_base, iov->iov_len, entry->offset);
	else
		io_uring_prep_writev(sqe, entry->fd, iov, entry->iovs, entry->offset);
	sqe->rw_flags = entry->flags;
}

static void prepare_socket(struct io_uring_sqe *sqe, const struct ring_entry *entry)
{
	const struct iovec *iov = entry->iov;
	int receive = entry->op == RING_RECEIVE, fd = entry->fd, flags = entry->flags;

	if (receive && entry->message)
		io_uring_prep_recvmsg(sqe, fd, entry->message, flags);
	else if (receive)
		io_uring_prep_recv(sqe, fd, iov->iov_base, iov->iov_len, flags);
	else if (entry->message)
		io_uring_prep_sendmsg(sqe, fd, entry->message, flags);
	else
		io_uring_prep_send(sqe, fd, iov->iov_base, iov->iov_len, flags);
}

static void prepare(struct io_uring_sqe *sqe, const struct ring_entry *entry)
{
	switch (entry->op) {
	case RING_READ:
	case RING_WRITE:
		prepare_file(sqe, entry);
		break;
	case RING_SYNC:
		io_uring_prep_fsync(sqe, entry->fd, IORING_FSYNC_DATASYNC);
		break;
	case RING_FALLOCATE:
		io_uring_prep_fallocate(sqe, entry->fd, entry->flags, entry->offset, entry->length);
		break;
	case RING_RECEIVE:
	case RING_SEND:
		prepare_socket(sqe, entry);
		break;
	case RING_CANCEL:
		io_uring_prep_cancel(sqe, entry->cancelled, 0);
		break;
	}
	io_uring_sqe_set_data(sqe, entry->cookie);
}

int ring_queue(struct ring *ring, const struct ring_entry *entry)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (!sqe) {
		io_uring_submit_and_get_events(&ring->uring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	if (!sqe)
		return -EAGAIN;
	prepare(sqe, entry);
	ring->in_flight++;
	return 0;
}

unsigned int ring_queued(const struct ring *ring)
{
	return io_uring_sq_ready(&ring->uring);
}

unsigned int ring_in_flight(const struct ring *ring)
{
	return ring->in_flight;
}

static int may_pass(int error)
{
	return error == -EINTR || error == -EAGAIN || error == -EBUSY || error == -ENOMEM;
}

/*
 * A host that accepted the ring and refuses to serve it later would leave the owner waiting for
 * ever. If the host only lacks something at the moment, we wait. since: when it did so first.
 */
static int is_refusal(unsigned long long *since, int error, int patient)
{
	unsigned long long now = host_monotonic_ns();

	if (!*since)
		*since = now;
	return !may_pass(error) || (now - *since > REFUSED_NS && !patient);
}

/* We wait longer while the host has entries, whose completion may free what it lacks. */
int ring_submit(struct ring *ring)
{
	while (ring_queued(ring)) {
		int patient = ring->in_flight > ring_queued(ring);
		int taken = io_uring_submit_and_get_events(&ring->uring);

		if (taken > 0)
			ring->refused = 0;
		else if (taken < 0 && is_refusal(&ring->refused, taken, patient))
			return taken;
		else
			break;
	}
	return 0;
}

/* ---- completions ---- */

/* The host has completions, or news of them, that it has not put into the shared memory. */
static int host_holds_some(const struct ring *ring)
{
	return __atomic_load_n(ring->uring.sq.kflags, __ATOMIC_ACQUIRE) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

int ring_peek(const struct ring *ring)
{
	return io_uring_cq_ready(&ring->uring) || host_holds_some(ring);
}

/*
 * Not by the flags alone: the host sets TASKRUN after it has put something in its list, so by then
 * we may have taken that, and the flag stays until the next time. If there is nothing now, later
 * completions find the eventfd turned on.
 */
int ring_completed(struct ring *ring)
{
	if (!io_uring_cq_ready(&ring->uring) && host_holds_some(ring))
		io_uring_get_events(&ring->uring);
	return io_uring_cq_ready(&ring->uring);
}

void ring_collect(struct ring *ring)
{
	struct io_uring_cqe *cqe;

	if (host_holds_some(ring))
		io_uring_get_events(&ring->uring);
	while (io_uring_cq_ready(&ring->uring) && !io_uring_peek_cqe(&ring->uring, &cqe)) {
		void *cookie = io_uring_cqe_get_data(cqe);
		long result = cqe->res;

		io_uring_cqe_seen(&ring->uring, cqe);
		ring->in_flight--;
		ring->setup.completed(ring->setup.owner, cookie, result);
	}
}

/* ---- waiting ---- */

/* The host adds a completion, then reads the flag. We write the flag, then look. */
void ring_notify(struct ring *ring, int on)
{
	io_uring_cq_eventfd_toggle(&ring->uring, on);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void ring_alarm(struct ring *ring, unsigned long ns)
{
	struct itimerspec after = {
		.it_value = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 },
	};

	timerfd_settime(ring->alarm, 0, &after, NULL);
}

int ring_sleep(struct ring *ring, const sigset_t *mask)
{
	int error = 0;

	if (!io_uring_cq_ready(&ring->uring))
		error = io_uring_enter2(ring->uring.ring_fd, 0, 1, IORING_ENTER_GETEVENTS,
					(sigset_t *)mask, _NSIG / 8);
	if (error < 0 && error != -EINTR)
		return is_refusal(&ring->deaf, error, 0) ? error : 0;
	ring->deaf = 0;
	return 0;
}
