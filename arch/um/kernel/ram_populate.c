// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest RAM that the host has yet to give, or was given back.
 *
 * Where pages of a block of 2 MiB have been allocated ALLOCS_BEFORE_HUGE times, we ask for all of
 * it as one huge page. It costs the host a third of the small ones, a device reads and writes it in
 * one piece, and a stub process maps a huge page of a program with one entry.
 *
 * Where the host has none, pages come one by one as they are touched, and read as zeroes. To clear
 * one for a program would only make the host find it twice, once for us and once for the stub. Only
 * the host knows for sure which are unbacked. It is asked with a host call each, and only about
 * those that may be: all at first, and those returned to it (reporting.c), until it was asked.
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

#define PAGES_PER_BLOCK	(HOST_RAM_BLOCK / PAGE_SIZE)
/* A quarter: with fewer a small guest would have some blocks with little in them. */
#define ALLOCS_BEFORE_HUGE	128

static unsigned long *maybe_unbacked;	/* a bit for each page of guest RAM */
/* For each whole block, allocations of its pages until a huge page is asked for; 0: no more. */
static u16 *allocs_until_huge;
/* For each block, pages that the balloon has; a huge page would bring them back. Its lock's. */
static u16 *pages_gone;
struct task_struct *ram_taker;		/* takes pages only to give them to the host: none huge */

void __init ram_populate_init(void)
{
	unsigned long pages = host_ram_size / PAGE_SIZE, block, blocks = pages / PAGES_PER_BLOCK;

	maybe_unbacked = memblock_alloc(BITS_TO_LONGS(pages) * sizeof(long), sizeof(long));
	allocs_until_huge = memblock_alloc((blocks + 1) * sizeof(u16), sizeof(u16));
	pages_gone = memblock_alloc((blocks + 1) * sizeof(u16), sizeof(u16));
	if (!maybe_unbacked || !allocs_until_huge || !pages_gone)
		panic("no memory for a bit for each page");
	bitmap_fill(maybe_unbacked, pages);
	for (block = 0; block < blocks; block++)
		allocs_until_huge[block] = ALLOCS_BEFORE_HUGE;
}

/*
 * Memory that nobody uses or can take meanwhile: whole blocks, or a smaller power of two, aligned.
 */
void ram_unbacked(unsigned long pfn, unsigned long count)
{
	if (count >= BITS_PER_LONG)
		bitmap_set(maybe_unbacked, pfn, count);
	else
		for (unsigned long i = pfn; i < pfn + count; i++)
			set_bit(i, maybe_unbacked);
	for (; count >= PAGES_PER_BLOCK; pfn += PAGES_PER_BLOCK, count -= PAGES_PER_BLOCK)
		allocs_until_huge[pfn / PAGES_PER_BLOCK] = ALLOCS_BEFORE_HUGE;
}

static void count_gone(unsigned long pfn, long count)
{
	long sign = count < 0 ? -1 : 1, rest = count * sign, part;

	for (; rest; pfn += part, rest -= part) {
		part = min_t(long, rest, PAGES_PER_BLOCK - pfn % PAGES_PER_BLOCK);
		pages_gone[pfn / PAGES_PER_BLOCK] += part * sign;
	}
}

/* The balloon has these, and has them no more. One caller at a time, which holds its lock. */
void ram_gone(unsigned long pfn, unsigned long count)
{
	count_gone(pfn, count);
}

void ram_back(unsigned long pfn, unsigned long count)
{
	count_gone(pfn, -(long)count);
}

static void make_huge(unsigned long block)
{
	int error = host_ram_make_huge(block * HOST_RAM_BLOCK);

	switch (error) {
	case 0:
		bitmap_clear(maybe_unbacked, block * PAGES_PER_BLOCK, PAGES_PER_BLOCK);
		counters.huge_blocks++;
		break;
	case -EAGAIN:
	case -EALREADY:
		allocs_until_huge[block] = ALLOCS_BEFORE_HUGE;
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
		unsigned long block = pfn / PAGES_PER_BLOCK;
		unsigned int before = READ_ONCE(allocs_until_huge[block]), taken;

		next = min(end, (block + 1) * PAGES_PER_BLOCK);
		if (likely(!before))
			continue;
		/*
		 * An interrupt between the two may be forgotten, or have it asked for twice;
		 * neither does harm.
		 */
		taken = min_t(unsigned long, before, next - pfn);
		WRITE_ONCE(allocs_until_huge[block], before - taken);
		if (taken < before)
			continue;
		if (irqs_disabled() || READ_ONCE(ram_taker) == current)
			allocs_until_huge[block] = 1;	/* let the next one wait for the host */
		else if (READ_ONCE(pages_gone[block]))
			allocs_until_huge[block] = ALLOCS_BEFORE_HUGE;
		else
			make_huge(block);
	}
}

void clear_user_page(void *to, unsigned long address, struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	/* Most pages are not, so look before changing anything. */
	if (test_bit(pfn, maybe_unbacked) && test_and_clear_bit(pfn, maybe_unbacked) && host_ram_is_hole(PFN_PHYS(pfn), PAGE_SIZE)) {
		counters.pages_unbacked++;
		return;
	}
	clear_page(to);
}
EXPORT_SYMBOL(clear_user_page);
