/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the TSC to the host's CLOCK_MONOTONIC: a straight line, made anew several times a second while the guest runs
 * (x86_64/tsc.c), and read by the kernel and by the vDSO.
 */
#ifndef __ASM_UM_VDSO_DATA_H
#define __ASM_UM_VDSO_DATA_H

#include <linux/types.h>

struct tsc_line {
	u64 tsc, ns;	/* where it begins: this count was this time, in nanoseconds */
	u64 slope;	/* nanoseconds a count, times 2^32 */
	u64 reach;	/* how many counts it holds for; 0: none, the host's clock must be asked */
};

struct arch_vdso_data {
	struct tsc_line line;
};

/* Not before what stands before it in the program: lfence does that on Intel's processors, and on AMD's under Linux. */
static __always_inline u64 read_tsc(void)
{
	u32 low, high;

	asm volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
}

/* The time at count tsc, which the line must reach. */
static __always_inline u64 tsc_line_at(const struct tsc_line *line, u64 tsc)
{
	return line->ns + ((tsc - line->tsc) * line->slope >> 32);
}

/* False for counts before its begin as well. */
static __always_inline bool tsc_line_reaches(const struct tsc_line *line, u64 tsc)
{
	return tsc - line->tsc < line->reach;
}

#endif
