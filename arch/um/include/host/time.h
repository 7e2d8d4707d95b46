/* SPDX-License-Identifier: GPL-2.0-only */
/* The contract, part 5: time. Nanoseconds everywhere. */
#ifndef HOST_TIME_H
#define HOST_TIME_H

/* CLOCK_MONOTONIC of the host. Does not sleep. */
unsigned long long host_monotonic_ns(void);

/* What the host's CLOCK_REALTIME is ahead of its CLOCK_MONOTONIC. Changes when the host's clock is set. Does not sleep. */
long long host_wall_offset_ns(void);

/*
 * Raises irq once when the host's CLOCK_REALTIME is set, and when the host wakes from suspension; call it again to be told
 * again. 0, or -errno: the host does not tell. vCPU thread; does not sleep.
 */
int host_watch_wall_clock(int irq);

/* The TSC and CLOCK_MONOTONIC at one moment. */
struct host_moment {
	unsigned long long tsc, ns;
};

/*
 * Reads both, so that they belong together to a few microseconds, mostly to some 30 nanoseconds. -EAGAIN: the thread was interrupted
 * at every try. vCPU thread; does not sleep.
 */
int host_read_moment(struct host_moment *moment);

extern struct host_moment host_start;	/* when ./linux started; ns is 0 if it is not known */

/*
 * Whether the TSC of this host can tell time: NULL, or why not, in words. It can where the host itself relies on it, or hides
 * it behind a hypervisor's clock and the processor says that it never stops and never changes its rate.
 */
const char *host_tsc_fault(void);

/*
 * Raises HOST_IRQ_TIMER on this virtual CPU delta nanoseconds from now, once; 0 stops the timer.
 * A new call replaces the one before. vCPU thread; does not sleep.
 */
void host_timer_arm(unsigned long long delta_ns);

/* Busy-waits. */
void host_delay_ns(unsigned long ns);

#endif
