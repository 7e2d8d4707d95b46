/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters that explain speed, shown in /proc/um/counters (counters.c). Written by the virtual CPU,
 * read by anyone.
 */
#ifndef UM_COUNTERS_H
#define UM_COUNTERS_H

#include <host/engine.h>

struct counters {
	unsigned long syscalls, faults, exceptions, interrupts;	/* traps by kind */
	unsigned long fast_syscalls;	/* of syscalls, from patched sites */
	unsigned long patched_sites;
	unsigned long misses;		/* faults that only needed a host mapping */
	unsigned long host_maps, host_unmaps, host_protects;	/* host mapping calls */
	unsigned long pages;		/* pages mapped by them */
	unsigned long batches, full_flushes, spaces;
	unsigned long pages_discarded;	/* of guest RAM, given back to the host */
	unsigned long huge_blocks;	/* of guest RAM, for which the host gave a huge page */
	unsigned long huge_refused;	/* for which it did not */
	unsigned long pages_unbacked;	/* not cleared, since the host had not allocated them yet */
};

extern struct counters counters;

static inline void count_host_calls(const struct host_map *changes, int count)
{
	int i;

	counters.batches++;
	for (i = 0; i < count; i++) {
		if (changes[i].op == HOST_MAP) {
			counters.host_maps++;
			counters.pages += changes[i].length / 4096;
		} else if (changes[i].op == HOST_UNMAP) {
			counters.host_unmaps++;
		} else {
			counters.host_protects++;
		}
	}
}

#define count_full_flush()	(counters.full_flushes++)
#define count_space()		(counters.spaces++)
#define count_trap(kind)	(counters.kind++)

#endif
