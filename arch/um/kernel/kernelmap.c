// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own mappings outside the linear map: vmalloc space and loadable modules.
 *
 * The tables of init_mm say what is mapped; the host's areas are a cache of them, filled when a range is mapped
 * and, where that failed or was dropped for want of areas, by the fault of an access (kernelmap_fault). So a host ENOMEM here
 * costs time, not the kernel's life. Runs on any virtual CPU, interrupts on or off; never sleeps.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/vmalloc.h>
#include <asm/cacheflush.h>
#include <asm/tlbflush.h>
#include <host/memory.h>
#include "kernel.h"

struct run {
	unsigned long start, length, offset;
	int prot;
};

static pte_t kernel_pte(unsigned long address)
{
	unsigned long next;
	pmd_t *pmd = table_at(&init_mm, address, VMALLOC_END, &next);

	return pmd ? ptep_get(pte_offset_kernel(pmd, address)) : __pte(0);
}

static int pte_host_prot(pte_t pte)
{
	return PROT_READ | (pte_write(pte) ? PROT_WRITE : 0) | (pte_exec(pte) ? PROT_EXEC : 0);
}

static bool map_run(const struct run *run)
{
	if (!run->length || !host_kernel_map(run->start, run->length, run->offset, run->prot))
		return true;
	/* Out of areas: start over with none; faults bring back what is used. */
	host_kernel_unmap(VMALLOC_START, VMALLOC_END - VMALLOC_START);
	return !host_kernel_map(run->start, run->length, run->offset, run->prot);
}

static bool map_range(unsigned long start, unsigned long end)
{
	struct run run = { };
	unsigned long address;

	for (address = start; address < end; address += PAGE_SIZE) {
		pte_t pte = kernel_pte(address);
		unsigned long offset = pte_pfn(pte) << PAGE_SHIFT;

		if (run.length && pte_present(pte) && address == run.start + run.length &&
		    offset == run.offset + run.length && pte_host_prot(pte) == run.prot) {
			run.length += PAGE_SIZE;
			continue;
		}
		if (!map_run(&run))
			return false;
		run = (struct run) { };
		if (pte_present(pte))
			run = (struct run) { address, PAGE_SIZE, offset, pte_host_prot(pte) };
	}
	return map_run(&run);
}

static bool is_mapped_space(unsigned long address)
{
	return (address >= VMALLOC_START && address < VMALLOC_END) || (address >= MODULES_VADDR && address < MODULES_END);
}

/* New mappings in [start, end). */
void flush_cache_vmap(unsigned long start, unsigned long end)
{
	map_range(start & PAGE_MASK, PAGE_ALIGN(end));
}

static void flush_within(unsigned long start, unsigned long end, unsigned long low, unsigned long high)
{
	start = max(start & PAGE_MASK, low);
	end = min(PAGE_ALIGN(end), high);
	if (start >= end)
		return;
	host_kernel_unmap(start, end - start);
	if (end - start <= PMD_SIZE)
		map_range(start, end);
}

/* Mappings in [start, end) are gone or have changed. The range may be wide and span the linear map, which stays. */
void flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	flush_within(start, end, MODULES_VADDR, MODULES_END);
	flush_within(start, end, VMALLOC_START, VMALLOC_END);
}

void flush_tlb_all(void)
{
	host_kernel_unmap(VMALLOC_START, VMALLOC_END - VMALLOC_START);
}

/**
 * kernelmap_fault - brings in the host mapping of a kernel address
 * @write: the access was a write
 * Returns whether there was one to bring in that allows the access.
 */
bool kernelmap_fault(unsigned long address, bool write)
{
	pte_t pte;

	address &= PAGE_MASK;
	if (!is_mapped_space(address))
		return false;
	pte = kernel_pte(address);
	return pte_present(pte) && (!write || pte_write(pte)) && map_range(address, address + PAGE_SIZE);
}
