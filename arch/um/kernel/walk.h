/* SPDX-License-Identifier: GPL-2.0-only */
/* A walk over the page tables of a guest address space. */
#ifndef UM_WALK_H
#define UM_WALK_H

#include <linux/mm_types.h>

struct batch;		/* the caller's, handed through */

/*
 * Functions to call on the way. An entry is that of a page or, with size PMD_SIZE, of a huge page.
 * @bits: entries that have none of these are passed over; 0: none is. @gap: no table; may be NULL.
 */
struct walk {
	struct batch *batch;
	unsigned long bits;
	void (*entry)(struct batch *batch, pte_t *at, unsigned long address, unsigned long size);
	void (*gap)(struct batch *batch, unsigned long start, unsigned long end);
};

void walk_tables(const struct walk *walk, struct mm_struct *mm, unsigned long address,
		 unsigned long end);

#endif
