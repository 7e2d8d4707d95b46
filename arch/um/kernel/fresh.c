// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page of guest RAM that the host has not given yet, or was given back, reads as zeroes: to clear it for a program would only make the host
 * find it twice, once for us and once for the stub. Whether it is one only the host knows for sure, so it is asked; that costs a host call, so only about pages
 * that may be: all at first, and what goes back (reporting.c), until they have been asked about.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <host/memory.h>
#include "counters.h"
#include "kernel.h"

static unsigned long *may_be_fresh;	/* a bit for each page of guest RAM */

void __init fresh_init(void)
{
	size_t size = BITS_TO_LONGS(max_pfn) * sizeof(long);

	may_be_fresh = memblock_alloc(size, sizeof(long));
	if (!may_be_fresh)
		panic("no memory for a bit for each page");
	bitmap_fill(may_be_fresh, max_pfn);
}

/* A block of free memory, whole words of bits that nobody else changes meanwhile. */
void fresh_again(unsigned long pfn, unsigned long count)
{
	bitmap_set(may_be_fresh, pfn, count);
}

void clear_user_page(void *to, unsigned long address, struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	if (test_bit(pfn, may_be_fresh) && test_and_clear_bit(pfn, may_be_fresh) && host_ram_is_hole(PFN_PHYS(pfn), PAGE_SIZE)) {
		counters.pages_fresh++;
		return;
	}
	clear_page(to);
}
EXPORT_SYMBOL(clear_user_page);
