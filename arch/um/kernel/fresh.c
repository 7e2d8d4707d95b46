// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of guest RAM that the host has yet to give, or was given back, read as zeroes. To clear one for a program would only make the host
 * find it twice, once for us and once for the stub. Only the host knows for sure which they are, so it is asked, a host call each; and only about
 * those that may be: all at first, and what goes back (reporting.c), until they have been asked about.
 *
 * Runs where a program's page is made, and in the kernel thread that reports free pages.
 */
#include <linux/bitmap.h>
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

	/* Most pages are not, so look before changing anything. */
	if (test_bit(pfn, may_be_fresh) && test_and_clear_bit(pfn, may_be_fresh) && host_ram_is_hole(PFN_PHYS(pfn), PAGE_SIZE)) {
		counters.pages_fresh++;
		return;
	}
	clear_page(to);
}
EXPORT_SYMBOL(clear_user_page);
