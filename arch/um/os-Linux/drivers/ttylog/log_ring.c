// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring between the virtual CPU, which records, and the thread that writes.
 *
 * One side moves head, the other tail. Both are counts of bytes that only grow. An entry is a
 * struct log_entry and its data; it may lie around the ring's end. The virtual CPU wakes the thread
 * when the ring was empty: since both store their count before they load the other's, one of them
 * notices.
 *
 * The virtual CPU never waits. Data that does not fit is dropped, and the next record of that
 * session is preceded by one that counts the bytes. A session may fill a quarter of the ring, so
 * that one that floods does not make others lose theirs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <host/process.h>
#include <host/ttylog.h>

#include "log_ring.h"

#define SIZE	(8UL << 20)	/* a power of two */
#define SHARE	(SIZE / 4)
#define KEPT	(64UL << 10)	/* for records of opens, closes and losses, which are small */
#define GATHERING 5000000	/* nanoseconds */

static char *ring;
static sem_t filled;
static unsigned long head;	/* stored by the virtual CPU */
static unsigned long tail;	/* stored by the thread: what it has taken */
static unsigned long written;	/* the same, what it has written */
static unsigned long lost;	/* the virtual CPU's */

void log_ring_init(void)
{
	ring = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED)
		host_fatal("no memory for terminal logs: %s", strerror(errno));
	sem_init(&filled, 0, 0);
}

/* ---- copying around the end ---- */

static void copy_in(unsigned long at, const void *bytes, size_t length)
{
	size_t offset = at & (SIZE - 1);
	size_t first = length < SIZE - offset ? length : SIZE - offset;

	memcpy(ring + offset, bytes, first);
	memcpy(ring, (const char *)bytes + first, length - first);
}

static void copy_out(void *bytes, unsigned long at, size_t length)
{
	size_t offset = at & (SIZE - 1);
	size_t first = length < SIZE - offset ? length : SIZE - offset;

	memcpy(bytes, ring + offset, first);
	memcpy((char *)bytes + first, ring, length - first);
}

/* ---- the virtual CPU ---- */

static unsigned long now_microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000UL + now.tv_nsec / 1000;
}

/* Whether it went in; spare bytes of the ring must stay free. */
static int push(struct host_ttylog *session, int what, int direction, const void *data,
		size_t length, size_t spare)
{
	struct log_entry entry = {
		.session = session,
		.microseconds = now_microseconds(),
		.length = length,
		.what = what,
		.direction = direction,
	};
	size_t size = sizeof(entry) + length;
	unsigned long start = head;

	if (SIZE - (start - __atomic_load_n(&tail, __ATOMIC_ACQUIRE)) < size + spare)
		return 0;
	copy_in(start, &entry, sizeof(entry));
	copy_in(start + sizeof(entry), data, length);
	__atomic_fetch_add(&session->queued, size, __ATOMIC_RELAXED);
	__atomic_store_n(&head, start + size, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&tail, __ATOMIC_SEQ_CST) == start)
		sem_post(&filled);
	return 1;
}

static void drop(struct host_ttylog *session, size_t length)
{
	session->lost += length;
	__atomic_store_n(&lost, lost + length, __ATOMIC_RELAXED);
}

/* Whether the record of what was lost, if there is something, went in. */
static int push_lost(struct host_ttylog *session)
{
	unsigned long bytes = session->lost;

	if (bytes && !push(session, HOST_TTYLOG_LOST, 0, &bytes, sizeof(bytes), 0))
		return 0;
	session->lost = 0;
	return 1;
}

void host_ttylog_record(struct host_ttylog *session, int what, int direction, const void *data,
			unsigned long length)
{
	size_t queued = __atomic_load_n(&session->queued, __ATOMIC_RELAXED);

	if (queued + length > SHARE || !push_lost(session) ||
	    !push(session, what, direction, data, length, KEPT))
		drop(session, length);
}

/*
 * Sessions have different names, so that they are apart in one folder and in one stream, also
 * after a restart.
 */
static void name(struct host_ttylog *session, unsigned int device)
{
	static unsigned long last_start, last_number;
	unsigned long start = now_microseconds(), number;

	if (start <= last_start)
		start = last_start + 1;
	last_start = start;
	session->seconds = start / 1000000;
	session->microseconds = start % 1000000;
	number = session->seconds > last_number ? session->seconds : last_number + 1;
	last_number = number;
	session->id = number << HOST_TTYLOG_DEVICE_BITS | device;
}

struct host_ttylog *host_ttylog_open(unsigned int device, unsigned long parent)
{
	struct host_ttylog *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	name(session, device);
	if (!push(session, HOST_TTYLOG_OPEN, 0, &parent, sizeof(parent), 0))
		drop(session, sizeof(parent));
	return session;
}

unsigned long host_ttylog_id(const struct host_ttylog *session)
{
	return session->id;
}

/* The thread frees it. Where the ring is full to the brim it is never freed, nor is it again. */
void host_ttylog_close(struct host_ttylog *session)
{
	push_lost(session);
	push(session, HOST_TTYLOG_CLOSE, 0, NULL, 0, 0);
}

/* ---- the thread ---- */

/*
 * Output comes in pieces of a few bytes. Until they are taken, the virtual CPU need not wake the
 * thread again.
 */
void log_ring_wait(void)
{
	const struct timespec gathering = { .tv_nsec = GATHERING };

	while (sem_wait(&filled) && errno == EINTR)
		;
	nanosleep(&gathering, NULL);
}

int log_ring_take(struct log_entry *entry, char *bytes)
{
	unsigned long start = tail;
	size_t size;

	if (__atomic_load_n(&head, __ATOMIC_SEQ_CST) == start)
		return 0;
	copy_out(entry, start, sizeof(*entry));
	copy_out(bytes, start + sizeof(*entry), entry->length);
	size = sizeof(*entry) + entry->length;
	__atomic_fetch_sub(&entry->session->queued, size, __ATOMIC_RELAXED);
	__atomic_store_n(&tail, start + size, __ATOMIC_SEQ_CST);
	return 1;
}

void log_ring_written(void)
{
	__atomic_store_n(&written, tail, __ATOMIC_RELEASE);
}

/* ---- the end ---- */

void log_ring_drain(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (int i = 0; i < 1000 && __atomic_load_n(&written, __ATOMIC_ACQUIRE) != head; i++)
		nanosleep(&moment, NULL);
}

unsigned long log_ring_lost(void)
{
	return __atomic_load_n(&lost, __ATOMIC_RELAXED);
}
