// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free memory goes back to the host: Linux tells which large blocks have been free for some seconds
 * (free page reporting), and we punch holes in guest RAM's file there. Who allocates such a page
 * later gets a new one from the host, zeroed, at the first touch. Blocks are of pageblock_order, 2
 * or 4 MiB, so that memory in everyday use is left alone. Runs in a kernel thread that may sleep.
 */
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <host/memory.h>
#include <host/process.h>
#include "counters.h"
#include "kernel.h"

static int give_to_host(struct page_reporting_dev_info *device, struct scatterlist *list, unsigned int count)
{
	struct scatterlist *block;
	unsigned int i;

	for_each_sg(list, block, count, i) {
		int error = host_ram_discard(page_to_phys(sg_page(block)), block->length);

		if (error) {
			pr_info_once("the host does not take free memory back (%s)\n", host_error_text(error));
			return error;
		}
		ram_unbacked(page_to_pfn(sg_page(block)), block->length / PAGE_SIZE);
		counters.pages_discarded += block->length / PAGE_SIZE;
	}
	return 0;
}

static struct page_reporting_dev_info device = { .report = give_to_host };

static int __init reporting_init(void)
{
	/* A page that has a pattern in it while it is free must keep it. */
	if (IS_ENABLED(CONFIG_PAGE_POISONING) && page_poisoning_enabled_static())
		return 0;
	return page_reporting_register(&device);
}
late_initcall(reporting_init);
