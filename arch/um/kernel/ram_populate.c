// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest RAM that the host has yet to give, or was given back.
 *
 * Where pages of a block of 2 MiB have been taken ENOUGH times we ask for all of it as one huge page: it costs the host a third of what the
 * small ones do, a device reads and writes it in one piece, and a stub process maps a huge page of a program with one entry.
 *
 * Where the host has none, pages come one by one as they are touched, and read as zeroes. To clear one for a program would only make the
 * host find it twice, once for us and once for the stub. Only the host knows for sure which they are, so it is asked, a host call each; and
 * only about those that may be: all at first, and what goes back (reporting.c), until they have been asked about.
 *
 * Runs where pages are taken, in any context, and in the kernel thread that reports free pages.
 */
#include <linux/bitmap.h>
#include <linux/irqflags.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <host/memory.h>
#include <host/process.h>
#include "counters.h"
#include "kernel.h"

#define PAGES_OF_BLOCK	(HOST_RAM_BLOCK / PAGE_SIZE)
#define ENOUGH		128	/* a quarter: with fewer a small guest would have some blocks with little in them */

static unsigned long *may_be_fresh;	/* a bit for each page of guest RAM */
static u16 *left;			/* for each whole block, how often to take a page before it is asked for; 0: no more */

void __init fresh_init(void)
{
	unsigned long block;

	may_be_fresh = memblock_alloc(BITS_TO_LONGS(max_pfn) * sizeof(long), sizeof(long));
	left = memblock_alloc((max_pfn / PAGES_OF_BLOCK + 1) * sizeof(*left), sizeof(*left));
	if (!may_be_fresh || !left)
		panic("no memory for a bit for each page");
	bitmap_fill(may_be_fresh, max_pfn);
	for (block = 0; block < max_pfn / PAGES_OF_BLOCK; block++)
		left[block] = ENOUGH;
}

/* Free memory, whole blocks, that nobody can take meanwhile. */
void fresh_again(unsigned long pfn, unsigned long count)
{
	bitmap_set(may_be_fresh, pfn, count);
	for (; count >= PAGES_OF_BLOCK; pfn += PAGES_OF_BLOCK, count -= PAGES_OF_BLOCK)
		left[pfn / PAGES_OF_BLOCK] = ENOUGH;
}

static void make_huge(unsigned long block)
{
	int error = host_ram_make_huge(block * HOST_RAM_BLOCK);

	switch (error) {
	case 0:
		bitmap_clear(may_be_fresh, block * PAGES_OF_BLOCK, PAGES_OF_BLOCK);
		counters.huge_blocks++;
		break;
	case -EAGAIN:
	case -EALREADY:
		left[block] = ENOUGH;
		break;
	default:
		counters.huge_refused++;
		pr_info_once("the host gives no huge page for guest RAM (%s%s): large transfers may be slower\n",
			     host_error_text(error), error == -EINVAL ? ", as before Linux 6.1" : "");
	}
}

void arch_alloc_page(struct page *page, int order)
{
	unsigned long pfn = page_to_pfn(page), end = pfn + (1UL << order), next;

	for (; pfn < end; pfn = next) {
		unsigned long block = pfn / PAGES_OF_BLOCK;
		unsigned int before = READ_ONCE(left[block]), taken;

		next = min(end, (block + 1) * PAGES_OF_BLOCK);
		if (likely(!before))
			continue;
		/* An interrupt between the two may be forgotten, or have it asked for twice; neither does harm. */
		taken = min_t(unsigned long, before, next - pfn);
		WRITE_ONCE(left[block], before - taken);
		if (taken < before)
			continue;
		if (irqs_disabled())
			left[block] = 1;	/* let the next one wait for the host */
		else
			make_huge(block);
	}
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
