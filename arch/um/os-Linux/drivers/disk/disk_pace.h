/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pace of a virtual CPU's disk transfers: when they go to the host, and how the virtual CPU
 * learns that some completed. A state machine for each virtual CPU.
 *
 * Its functions receive events with their times and the counts of the ring. They read no clock and
 * call nothing, so that tests/unit/disk_pace.c can walk through the states with any times.
 * disk_uring.c, which has the ring and the clock, is the only user. A struct disk_pace that is all
 * zero is in its first state. Times are in nanoseconds of the monotonic clock.
 *
 *  rush    The virtual CPU submits, again and again, without a rest. Transfers are then held back
 *          until they are a batch, since most of the price of a transfer is the host call and the
 *          notice to the host's device, paid once for all.
 *  quiet   During a rush, completions raise no interrupt: each submission finds those before it.
 *          A timer covers a virtual CPU that runs without submitting.
 *  rest    The virtual CPU is idle. It sends what it holds, and may poll the ring for a while
 *          before it sleeps in it, since waking a sleeper takes long in a virtual machine.
 *
 * Only the thread of the virtual CPU calls these functions, but for disk_pace_is_quiet().
 */
#ifndef DISK_PACE_H
#define DISK_PACE_H

struct disk_pace_rules {
	unsigned int rush, most_rush;
	unsigned int batch, batch_in_row, batch_bytes, put_off;
	unsigned int soon_ns, timer_ns, poll_ns;
	unsigned int late_ns, late_completed_ns, no_poll_ns;
};

static const struct disk_pace_rules disk_pace_rules = {
	/* Submissions that are a rush. A few in a row may be one request that was split. */
	.rush = 8,
	/* Counted up to here. A sleep halves the count, so a long rush survives a few of them. */
	.most_rush = 64,
	/* 4 KiB at random are fastest so. More leave the device without work, see disk.md. */
	.batch = 4,
	/* Of transfers that each begin where the last one ended: the host merges them. */
	.batch_in_row = 16,
	/* For more bytes than this, the host call is a small part of the price. */
	.batch_bytes = 65536,
	/* So often a completion may leave the held transfers waiting, and then they go. */
	.put_off = 4,
	/* A submission within this time after the last turn belongs to a rush. */
	.soon_ns = 200000,
	/*
	 * A rush is over once this time, up to twice as long, passed without a turn. It is longer
	 * than a fast device needs, so a guest that waits for its disk seldom meets the timer.
	 */
	.timer_ns = 300000,
	/* As long as a sleep costs, with the wake-up of an idle CPU, and the device's interrupt. */
	.poll_ns = 400000,
	/* So long between two looks at the ring: the host needed this CPU for something else. */
	.late_ns = 50000,
	/* If a transfer completed, its interrupt ran on this CPU, which may take a while. */
	.late_completed_ns = 1000000,
	/* After that, the host needs this CPU more than a poll does. */
	.no_poll_ns = 100000000,
};

/* The ring's counts when an event occurs. */
struct disk_load {
	unsigned int queued;	/* transfers in the ring that the host has not seen */
	unsigned int sent;	/* transfers that the host has */
	int overflows;		/* there are more, for which the ring has no room */
};

struct disk_pace {
	/* The rush. */
	unsigned int rush;		/* submissions in a row */
	int quiet;			/* see above; another thread reads it */
	unsigned long long turned;	/* when the last turn was over */
	unsigned long long timer_set;	/* when the timer was set last */

	/* The batch. */
	unsigned int in_row;		/* transfers that each begin where the last one ended */
	int last_fd;			/* the last transfer's file */
	unsigned long long last_end;	/* and its end */
	unsigned long held_bytes;	/* of transfers queued since the last sending */
	unsigned int put_off;		/* completions since then that were no reason to send */

	/* The rest. */
	unsigned long long rested;	/* when it began; 0: the virtual CPU works */
	unsigned long long wait;	/* from then until a completion, on average */
	unsigned long long no_poll;	/* the virtual CPU does not poll until then */
};

/* A transfer of so many bytes was put into the ring. */
void disk_pace_queued(struct disk_pace *pace, int fd, unsigned long long offset,
		      unsigned long long length);
/* The queued transfers are being sent. */
void disk_pace_sent(struct disk_pace *pace);

/*
 * A turn, either with a submission or without one. It ends with disk_pace_turned(), after the
 * functions in this order.
 *
 * disk_pace_submits(): there was a submission. Returns whether the queued transfers are held back.
 * disk_pace_waits(): there was none. Returns whether completions are no reason to send the queued
 * transfers: others will follow the completions, and the device has enough to do until then. After
 * the caller has dealt with completions, it calls disk_pace_put_off() and asks again.
 * disk_pace_sends(): the transfers are not held. in_flight: queued and sent. Returns whether
 * completions are quiet after this turn.
 */
int disk_pace_submits(struct disk_pace *pace, unsigned long long now,
		      const struct disk_load *load);
int disk_pace_waits(const struct disk_pace *pace, const struct disk_load *load);
void disk_pace_put_off(struct disk_pace *pace);
int disk_pace_sends(struct disk_pace *pace, int submits, unsigned int in_flight);
/* The turn is over. Returns whether the timer is to be set to 2 * timer_ns. */
int disk_pace_turned(struct disk_pace *pace, unsigned long long now, int quiet);

/* Completions are quiet, so the timer counts. Any thread. */
int disk_pace_is_quiet(const struct disk_pace *pace);

/* The virtual CPU is idle, with transfers in flight. Returns whether it polls before it sleeps. */
int disk_pace_rests(struct disk_pace *pace, unsigned long long now);
/*
 * The virtual CPU looked at the ring at last and at now; completed: it has completions at now.
 * Returns whether it continues to poll.
 */
int disk_pace_polled(struct disk_pace *pace, unsigned long long last, unsigned long long now,
		     int completed);
/* The virtual CPU sends what it holds and sleeps in the ring. */
void disk_pace_sleeps(struct disk_pace *pace, unsigned long long now);
/* There are completions, found during the rest or after it. */
void disk_pace_completed(struct disk_pace *pace, unsigned long long now);

#endif
