// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of the pace and what leads from one to the next: see disk_pace.h.
 *
 *  1. Submissions within soon_ns of the last turn are counted. From rush of them on, transfers are
 *     held back while the host has some, until they are a batch. Sequential transfers are more in a
 *     batch, and bytes limit it.
 *  2. In a rush with several transfers in flight, completions are quiet. Then a completion sends
 *     the held transfers only if the device has less than a batch to do, or after put_off times.
 *  3. A rest sends the held transfers, unless it finds a completion first and 2 lets them wait. It
 *     is spent polling while completions come within poll_ns on average. Two looks that are far
 *     apart end that for no_poll_ns.
 *  4. A sleep ends the quiet, and halves the count of submissions.
 *
 * Pure functions: they change nothing but *pace.
 */
#include "disk_pace.h"

/* Longer waits count as this one, so that a few short ones lead back to polling. */
#define MOST_WAIT_NS (2ULL * disk_pace_rules.poll_ns)

static void set_quiet(struct disk_pace *pace, int quiet)
{
	__atomic_store_n(&pace->quiet, quiet, __ATOMIC_SEQ_CST);
}

int disk_pace_is_quiet(const struct disk_pace *pace)
{
	return __atomic_load_n(&pace->quiet, __ATOMIC_SEQ_CST);
}

/* ---- the batch ---- */

void disk_pace_queued(struct disk_pace *pace, int fd, unsigned long long offset,
		      unsigned long long length)
{
	int follows = fd == pace->last_fd && offset == pace->last_end;

	pace->in_row = follows ? pace->in_row + 1 : 0;
	pace->last_fd = fd;
	pace->last_end = offset + length;
	pace->held_bytes += length;
}

void disk_pace_sent(struct disk_pace *pace)
{
	pace->held_bytes = 0;
}

/* A larger one if each queued transfer begins where the one before it ended. */
static unsigned int batch_of(const struct disk_pace *pace, const struct disk_load *load)
{
	return pace->in_row >= load->queued ? disk_pace_rules.batch_in_row : disk_pace_rules.batch;
}

static int may_grow(const struct disk_pace *pace, const struct disk_load *load)
{
	return pace->held_bytes < disk_pace_rules.batch_bytes && !load->overflows;
}

/* ---- turns ---- */

static int in_rush(const struct disk_pace *pace)
{
	return pace->rush >= disk_pace_rules.rush;
}

int disk_pace_submits(struct disk_pace *pace, unsigned long long now,
		      const struct disk_load *load)
{
	if (now - pace->turned > disk_pace_rules.soon_ns)
		pace->rush = 0;
	else if (pace->rush < disk_pace_rules.most_rush)
		pace->rush++;
	return in_rush(pace) && load->sent && load->queued < batch_of(pace, load) &&
	       may_grow(pace, load);
}

int disk_pace_waits(const struct disk_pace *pace, const struct disk_load *load)
{
	return pace->quiet && load->queued && load->sent >= batch_of(pace, load) &&
	       may_grow(pace, load) && pace->put_off < disk_pace_rules.put_off;
}

void disk_pace_put_off(struct disk_pace *pace)
{
	pace->put_off++;
}

/* With a single transfer in flight there may be no submission until it completes. */
int disk_pace_sends(struct disk_pace *pace, int submits, unsigned int in_flight)
{
	pace->put_off = 0;
	return submits && in_rush(pace) && in_flight > 1;
}

/* The timer is set for longer than necessary, and so not at each turn. */
int disk_pace_turned(struct disk_pace *pace, unsigned long long now, int quiet)
{
	set_quiet(pace, quiet);
	pace->turned = now;
	if (!quiet || now - pace->timer_set < disk_pace_rules.timer_ns)
		return 0;
	pace->timer_set = now;
	return 1;
}

/* ---- rests ---- */

static void begin_rest(struct disk_pace *pace, unsigned long long now)
{
	if (!pace->rested)
		pace->rested = now;
}

int disk_pace_rests(struct disk_pace *pace, unsigned long long now)
{
	begin_rest(pace, now);
	return pace->wait < disk_pace_rules.poll_ns &&
	       now - pace->rested < disk_pace_rules.poll_ns && now >= pace->no_poll;
}

static int was_late(unsigned long long ns, int completed)
{
	return ns > (completed ? disk_pace_rules.late_completed_ns : disk_pace_rules.late_ns);
}

int disk_pace_polled(struct disk_pace *pace, unsigned long long last, unsigned long long now,
		     int completed)
{
	if (was_late(now - last, completed))
		pace->no_poll = now + disk_pace_rules.no_poll_ns;
	return !completed && now - pace->rested <= disk_pace_rules.poll_ns && now >= pace->no_poll;
}

void disk_pace_sleeps(struct disk_pace *pace, unsigned long long now)
{
	begin_rest(pace, now);
	set_quiet(pace, 0);
	pace->rush /= 2;
}

void disk_pace_completed(struct disk_pace *pace, unsigned long long now)
{
	unsigned long long ns = now - pace->rested;

	if (!pace->rested)
		return;
	if (ns > MOST_WAIT_NS)
		ns = MOST_WAIT_NS;
	pace->wait += (long long)(ns - pace->wait) / 8;
	pace->rested = 0;
}
