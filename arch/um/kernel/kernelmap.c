// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own mappings outside the linear map: vmalloc space and loadable modules.
 *
 * The tables of init_mm say what is mapped; the host's areas are a cache of them, filled when a
 * range is mapped and, where that failed or was dropped for want of areas, by the fault of an
 * access (kernelmap_fault). So a host ENOMEM here costs time, not the kernel's life. Runs on any
 * virtual CPU, interrupts on or off; never sleeps.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/set_memory.h>
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

/*
 * Mappings in [start, end) are gone or have changed. The range may be wide and span the linear map,
 * which stays.
 */
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
 * @access: FAULT_WRITE for a write, FAULT_FETCH for a jump to it
 * Returns whether there was one to bring in that allows the access.
 */
bool kernelmap_fault(unsigned long address, unsigned long access)
{
	pte_t pte;

	address &= PAGE_MASK;
	if (!is_mapped_space(address))
		return false;
	pte = kernel_pte(address);
	if (!pte_present(pte) || (access & FAULT_WRITE && !pte_write(pte)) ||
	    (access & FAULT_FETCH && !pte_exec(pte)))
		return false;
	return map_range(address, address + PAGE_SIZE);
}

struct change {
	unsigned long set, clear;
};

static int change_page(pte_t *at, unsigned long address, void *data)
{
	const struct change *change = data;

	set_pte(at, __pte((pte_val(ptep_get(at)) & ~change->clear) | change->set));
	return 0;
}

/*
 * The rights of pages of vmalloc space or of modules. Those of the linear map are one area of the
 * host, which is not split. No lock is needed: only the owner of an area changes its entries. The
 * host's mapping is replaced in one step, so code runs on in pages that stay executable.
 */
static int change_rights(unsigned long start, int pages, struct change change)
{
	unsigned long length = (unsigned long)pages * PAGE_SIZE;
	int error;

	if (!is_mapped_space(start) || !is_mapped_space(start + length - 1))
		return -EINVAL;
	error = apply_to_existing_page_range(&init_mm, start, length, change_page, &change);
	if (!error)
		flush_cache_vmap(start, start + length);
	return error;
}

int set_memory_ro(unsigned long address, int pages)
{
	return change_rights(address, pages, (struct change) { .clear = _PAGE_RW });
}

int set_memory_rw(unsigned long address, int pages)
{
	return change_rights(address, pages, (struct change) { .set = _PAGE_RW });
}

int set_memory_x(unsigned long address, int pages)
{
	return change_rights(address, pages, (struct change) { .clear = _PAGE_NX });
}

int set_memory_nx(unsigned long address, int pages)
{
	return change_rights(address, pages, (struct change) { .set = _PAGE_NX });
}

int set_memory_rox(unsigned long address, int pages)
{
	return change_rights(address, pages, (struct change) { .clear = _PAGE_RW | _PAGE_NX });
}
