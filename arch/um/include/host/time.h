/* SPDX-License-Identifier: GPL-2.0-only */
/* The contract, part 5: time. Nanoseconds everywhere. */
#ifndef HOST_TIME_H
#define HOST_TIME_H

/* CLOCK_MONOTONIC and CLOCK_REALTIME of the host. Does not sleep. */
unsigned long long host_monotonic_ns(void);
unsigned long long host_realtime_ns(void);

/*
 * Raises HOST_IRQ_TIMER on this virtual CPU delta nanoseconds from now, once; 0 stops the timer.
 * A new call replaces the one before. vCPU thread; does not sleep.
 */
void host_timer_arm(unsigned long long delta_ns);

/* Busy-waits. */
void host_delay_ns(unsigned long ns);

#endif
