/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_UM_GUEST_CLOCK_H
#define _ASM_UM_GUEST_CLOCK_H

/*
 * Between the two, no time passes for the guest: its monotonic clock, jiffies and timers stand
 * still, and its wall clock catches up at the end. Interrupts off, on the only virtual CPU that
 * runs.
 */
void guest_clock_stop(void);
void guest_clock_go(void);

#endif
