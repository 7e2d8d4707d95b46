// SPDX-License-Identifier: GPL-2.0-only
/*
 * The balloon: pages of the guest that the host has back.
 *
 * It takes free pages as any user of memory does, in blocks as large as there are, and punches
 * holes in guest RAM's file there. It never makes Linux end processes to get some, and stops short
 * of the reserve that Linux and programs need. When Linux is out of memory nevertheless, it
 * releases pages first, but the guest gets no more in this way than the host granted it before.
 *
 * Changes of its size are made in a process, one at a time. Pages may be released in any process
 * that allocates. The lock covers the lists.
 */
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <asm/guest_memory.h>
#include <host/memory.h>
#include <host/process.h>

#include "kernel.h"

/*
 * Large blocks are taken if they are free, single pages also by freeing those of cached files. With
 * none of these flags are reserves used, or processes ended.
 */
#define BLOCK_GFP	((GFP_HIGHUSER & ~__GFP_DIRECT_RECLAIM) | __GFP_NOMEMALLOC | __GFP_NOWARN)
#define PAGE_GFP	(GFP_HIGHUSER | __GFP_NOMEMALLOC | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define PATIENCE	(5 * HZ)
#define OOM_PAGES	(SZ_8M / PAGE_SIZE)	/* released at a time */

static DEFINE_SPINLOCK(lock);
static struct list_head blocks[NR_PAGE_ORDERS];	/* by order */
static unsigned long held;			/* pages in them */
static unsigned long most_granted;	/* bytes: the largest size that was asked for */
static bool stopped_by_oom;

static void keep(struct page *page, unsigned int order)
{
	spin_lock(&lock);
	ram_gone(page_to_pfn(page), 1UL << order);
	list_add(&page->lru, &blocks[order]);
	held += 1UL << order;
	spin_unlock(&lock);
	adjust_managed_page_count(page, -(1L << order));
}

/* Of the smallest, so that large ones stay whole. At most @count pages: the rest stays. */
static struct page *pick(unsigned long count, unsigned int *order)
{
	struct page *page = NULL;
	unsigned long i;

	spin_lock(&lock);
	for (*order = 0; *order < NR_PAGE_ORDERS && list_empty(&blocks[*order]); )
		++*order;
	if (count && *order < NR_PAGE_ORDERS) {
		page = list_first_entry(&blocks[*order], struct page, lru);
		list_del(&page->lru);
		if (count < 1UL << *order) {
			split_page(page, *order);
			for (i = 1; i < 1UL << *order; i++)
				list_add_tail(&page[i].lru, &blocks[0]);
			*order = 0;
		}
		held -= 1UL << *order;
		ram_back(page_to_pfn(page), 1UL << *order);
	}
	spin_unlock(&lock);
	return page;
}

/* Releases @count pages, or all that there are; returns how many. In any process. */
static unsigned long deflate(unsigned long count)
{
	unsigned long done = 0;
	unsigned int order;
	struct page *page;

	while ((page = pick(count - done, &order))) {
		adjust_managed_page_count(page, 1L << order);
		__free_pages(page, order);
		done += 1UL << order;
	}
	return done;
}

/* -ENOMEM: there is no such block. */
static int take_block(unsigned int order)
{
	struct page *page;
	int error;

	ram_taker = current;
	page = alloc_pages(order ? BLOCK_GFP : PAGE_GFP, order);
	ram_taker = NULL;
	if (!page)
		return -ENOMEM;
	error = host_ram_discard(page_to_phys(page), PAGE_SIZE << order);
	if (error) {
		__free_pages(page, order);
		return error;
	}
	ram_unbacked(page_to_pfn(page), 1UL << order);
	keep(page, order);
	return 0;
}

/* Pages that the guest can do without: not its last ones. */
static long spare(void)
{
	return si_mem_available() - (long)(totalram_pages() / 32 + SZ_4M / PAGE_SIZE);
}

/*
 * Takes a block, at most the size of the last one doubled: where large ones are rare, they are not
 * tried for each small one. 0 or -errno; *why says in words what it met.
 */
static int take_some(unsigned long *count, unsigned int *order, const char **why)
{
	long room = spare();
	int error = -ENOMEM;

	if (room > 0)
		*order = min_t(unsigned int, *order + 1, MAX_PAGE_ORDER);
	while (room > 0 && error == -ENOMEM) {
		*order = min_t(unsigned int, *order, ilog2(min((unsigned long)room, *count)));
		error = take_block(*order);
		if (error != -ENOMEM || !*order)
			break;
		--*order;
	}
	if (!error)
		*count -= 1UL << *order;
	else
		*why = error == -ENOMEM ? "the guest needs the rest" : host_error_text(error);
	return error;
}

static int inflate(unsigned long count, const char **why)
{
	unsigned long deadline = jiffies + PATIENCE;
	unsigned int order = MAX_PAGE_ORDER;
	int error = 0;

	WRITE_ONCE(stopped_by_oom, false);
	while (count && !error) {
		error = take_some(&count, &order, why);
		if (!error && READ_ONCE(stopped_by_oom)) {
			*why = "the guest ran out of memory";
			error = -ENOMEM;
		} else if (!error && count && time_after(jiffies, deadline)) {
			*why = "it took too long; try again";
			error = -ETIME;
		}
		cond_resched();
	}
	return error;
}

unsigned long guest_memory_size(void)
{
	return host_ram_start_size + ram_added() - READ_ONCE(held) * PAGE_SIZE;
}

static int grow(unsigned long size, const char **why)
{
	int error;

	deflate((size - guest_memory_size()) / PAGE_SIZE);
	while (guest_memory_size() < size) {
		error = ram_add_step();
		if (error) {
			*why = host_error_text(error);
			return error;
		}
	}
	return 0;
}

int guest_memory_resize(unsigned long size, const char **why)
{
	int error = 0;

	if (size > guest_memory_size())
		error = grow(size, why);
	most_granted = max3(most_granted, host_ram_start_size, size);
	/* Also of a step, of which only a part is due. */
	if (!error && size < guest_memory_size())
		error = inflate((guest_memory_size() - size) / PAGE_SIZE, why);
	return error;
}

/* Linux is about to end a process. */
static int give_back_some(struct notifier_block *notifier, unsigned long unused, void *freed)
{
	unsigned long most = max(READ_ONCE(most_granted), host_ram_start_size);
	unsigned long size = guest_memory_size(), done = 0;

	WRITE_ONCE(stopped_by_oom, true);
	if (size < most)
		done = deflate(min(OOM_PAGES, (most - size) / PAGE_SIZE));
	if (done)
		pr_notice("mem: out of memory: takes %lu KiB more from the host and has %lu MiB\n",
			  done * PAGE_SIZE / SZ_1K, guest_memory_size() / SZ_1M);
	*(unsigned long *)freed += done;
	return NOTIFY_OK;
}

static struct notifier_block oom_notifier = { .notifier_call = give_back_some };

static int __init balloon_init(void)
{
	for (int order = 0; order < NR_PAGE_ORDERS; order++)
		INIT_LIST_HEAD(&blocks[order]);
	return register_oom_notifier(&oom_notifier);
}
core_initcall(balloon_init);
