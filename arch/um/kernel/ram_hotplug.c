// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest RAM beyond that of the start, up to maxmem=, by Linux's memory hot-plug.
 *
 * It comes in steps of HOST_RAM_STEP, each a memory block. Its addresses are there already: the
 * host has mapped the whole window, and allocates pages when they are touched. The descriptions of
 * a step's pages lie at its own begin (MHP_MEMMAP_ON_MEMORY), so that a guest that has no memory
 * left can be given some. A step never goes away again; the balloon takes its pages.
 *
 * Runs in a process, one at a time, and may sleep.
 */
#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/memblock.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <host/memory.h>

#include "kernel.h"

/* Of the last step that was added, which is not in use yet if putting it there failed. */
static unsigned long added_to, in_use_to;

unsigned long memory_block_size_bytes(void)
{
	return HOST_RAM_STEP;
}

int arch_add_memory(int nid, u64 start, u64 size, struct mhp_params *params)
{
	int error = __add_pages(nid, PFN_DOWN(start), PFN_DOWN(size), params);

	if (error)
		return error;
	max_low_pfn = max_pfn = max(max_pfn, PFN_DOWN(start + size));
	high_memory = __va(PFN_PHYS(max_pfn));
	return 0;
}

/* After an error only: there is no hot-unplug. */
void arch_remove_memory(u64 start, u64 size, struct vmem_altmap *altmap,
			struct dev_pagemap *pgmap)
{
	__remove_pages(PFN_DOWN(start), PFN_DOWN(size), altmap, pgmap);
}

void __ref vmemmap_free(unsigned long start, unsigned long end, struct vmem_altmap *altmap)
{
	host_kernel_unmap(start, end - start);
	if (altmap)
		vmem_altmap_free(altmap, PFN_DOWN(end - start));
}

static int put_in_use(struct memory_block *block, void *unused)
{
	if (block->state == MEM_ONLINE)
		return 0;
	block->online_type = MMOP_ONLINE;
	return device_online(&block->dev);
}

static int add_step(unsigned long start)
{
	struct resource step = {
		.name = "guest RAM", .start = start, .end = start + HOST_RAM_STEP - 1,
		.flags = IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY,
	};
	int error = 0;

	lock_device_hotplug();
	if (added_to == start)
		error = add_memory_resource(0, &step, MHP_MEMMAP_ON_MEMORY);
	if (!error) {
		added_to = start + HOST_RAM_STEP;
		error = walk_memory_blocks(start, HOST_RAM_STEP, NULL, put_in_use);
	}
	unlock_device_hotplug();
	return error;
}

unsigned long ram_added(void)
{
	return in_use_to ? in_use_to - ALIGN(host_ram_start_size, HOST_RAM_STEP) : 0;
}

int ram_add_step(void)
{
	int error;

	if (!in_use_to)
		added_to = in_use_to = ALIGN(host_ram_start_size, HOST_RAM_STEP);
	if (in_use_to + HOST_RAM_STEP > host_ram_size)
		return -ENOSPC;
	error = add_step(in_use_to);
	if (!error)
		in_use_to += HOST_RAM_STEP;
	return error;
}
