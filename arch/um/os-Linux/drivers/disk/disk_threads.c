// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers of disks by a pool of host threads, where the host refuses io_uring.
 *
 * A read whose data the host has cached is served at once on the virtual CPU's own thread, by
 * preadv2(RWF_NOWAIT): waking a thread would cost more than the copy. Everything else, the rest of
 * a read that was only half cached included, goes to the pool. It grows while there is more to do
 * than there are threads waiting for it, and does not shrink.
 *
 * The lock covers the queues and the counts, and is never held across a transfer. Interrupts: one
 * for all that ends before the virtual CPU has looked.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stddef.h>
#include <sys/uio.h>

#include <host/irq.h>

#include "os.h"
#include "disk_io.h"

#define MOST_THREADS 16

struct queue {
	struct disk_io *first, **end;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, ending = PTHREAD_COND_INITIALIZER;
static struct queue waiting, ended[HOST_MAX_VCPUS];
static int threads, busy, waiting_count;
/* The virtual CPU's own: served without a thread; queued or with a thread. */
static struct queue served[HOST_MAX_VCPUS];
static int under_way[HOST_MAX_VCPUS];

static void threads_put(struct queue *queue, struct disk_io *io)
{
	io->next = NULL;
	*queue->end = io;
	queue->end = &io->next;
}

static void empty(struct queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static struct disk_io *threads_take(struct queue *queue)
{
	struct disk_io *io = queue->first;

	queue->first = io->next;
	if (!queue->first)
		queue->end = &queue->first;
	return io;
}

/* ---- the threads ---- */

/* Hands one back and takes the next. io: NULL for the first. */
static struct disk_io *next_work(struct disk_io *io)
{
	int tell = 0, vcpu = io ? io->vcpu : 0;

	pthread_mutex_lock(&lock);
	if (io) {
		tell = !ended[vcpu].first;
		threads_put(&ended[vcpu], io);
		busy--;
		pthread_cond_broadcast(&ending);
	}
	if (tell) {
		pthread_mutex_unlock(&lock);
		host_raise(&host_vcpus[vcpu], HOST_IRQ_BLOCK);
		pthread_mutex_lock(&lock);
	}
	while (!waiting.first)
		pthread_cond_wait(&work, &lock);
	io = threads_take(&waiting);
	waiting_count--;
	busy++;
	pthread_mutex_unlock(&lock);
	return io;
}

static void *work_loop(void *unused)
{
	struct disk_io *io = NULL;

	for (;;) {
		io = next_work(io);
		io->result = disk_io_perform(io, 0);
	}
	return unused;
}

/* Under the lock. A thread that cannot be had is no error if there is another. */
static int enough_threads(void)
{
	int error = 0;

	while (!error && threads < MOST_THREADS && (!threads || waiting_count > threads - busy)) {
		error = host_thread(work_loop, NULL);
		if (!error)
			threads++;
	}
	return threads ? 0 : error;
}

/* ---- the backend ---- */

static int threads_start(void)
{
	empty(&waiting);
	for (int i = 0; i < HOST_MAX_VCPUS; i++) {
		empty(&ended[i]);
		empty(&served[i]);
	}
	return enough_threads();
}

static void threads_queue(struct disk_io *io)
{
	under_way[io->vcpu]++;
	if (io->op == DISK_READ && !io->direct) {
		io->result = disk_io_perform(io, RWF_NOWAIT);
		if (io->result > 0) {
			threads_put(&served[io->vcpu], io);
			return;
		}
	}
	pthread_mutex_lock(&lock);
	threads_put(&waiting, io);
	waiting_count++;
	pthread_mutex_unlock(&lock);
}

/* Moves what ended to the served, and sets threads to work. */
static void threads_exchange(int vcpu)
{
	pthread_mutex_lock(&lock);
	if (waiting.first) {
		enough_threads();
		if (waiting_count == 1)
			pthread_cond_signal(&work);
		else
			pthread_cond_broadcast(&work);
	}
	if (ended[vcpu].first) {
		*served[vcpu].end = ended[vcpu].first;
		served[vcpu].end = ended[vcpu].end;
		empty(&ended[vcpu]);
	}
	pthread_mutex_unlock(&lock);
}

static void threads_turn(int more)
{
	int vcpu = this_vcpu_number();

	for (;;) {
		if (under_way[vcpu])
			threads_exchange(vcpu);
		if (!served[vcpu].first)
			return;
		while (served[vcpu].first) {
			struct disk_io *io = threads_take(&served[vcpu]);

			under_way[vcpu]--;
			disk_io_ended(io, io->result);
		}
	}
}

static int threads_wait(const sigset_t *mask)
{
	int vcpu = this_vcpu_number();

	if (mask || !under_way[vcpu])
		return 0;
	pthread_mutex_lock(&lock);
	while (!ended[vcpu].first)
		pthread_cond_wait(&ending, &lock);
	pthread_mutex_unlock(&lock);
	return 1;
}

const struct disk_backend disk_threads = {
	.name = "threads",
	.start = threads_start,
	.queue = threads_queue,
	.turn = threads_turn,
	.wait = threads_wait,
};
