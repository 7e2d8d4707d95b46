// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults that are served before they happen.
 *
 * A fault costs a stop of guest code and a host call, whatever it brings, and a host call costs about as much for a hundred pages as for
 * one. So more is mapped ahead here than hardware would make worth while:
 *
 *  - the single page that a thread is known to touch first (fault_ahead);
 *  - around a read fault, the pages of the same file that are in the page cache, in a wider window than Linux's own (cached_ahead);
 *  - of a new program all of them, up to a limit, and its own copies of its data if that is small (program_ahead): nearly all of
 *    it is written soon, by relocation to begin with.
 *
 * Nothing is read from a disk for it, and nothing is mapped that a userfaultfd would have to hear of. Runs on the thread whose
 * faults these would be, interrupts on; may sleep.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/userfaultfd_k.h>
#include <host/engine.h>
#include "kernel.h"

#define WINDOW		SZ_512K
#define PROGRAM_LIMIT	SZ_2M		/* of one area of a new program */
#define DATA_LIMIT	SZ_64K

static bool may_go_ahead(struct vm_area_struct *vma, unsigned long error_code)
{
	return vma && (vma->vm_flags & fault_needs(error_code)) && !userfaultfd_armed(vma);
}

/**
 * fault_ahead - serves a fault that guest code of current is about to take, which saves the trap
 * @error_code: as in struct fault
 * Does nothing where the access would not be allowed, would extend a stack, or concerns a userfaultfd.
 */
void fault_ahead(unsigned long address, unsigned long error_code)
{
	struct fault fault = { address, error_code | FAULT_USER };
	bool expected;
	int code;

	mmap_read_lock(current->mm);
	expected = may_go_ahead(vma_lookup(current->mm, address), error_code);
	mmap_read_unlock(current->mm);
	if (expected)
		fault_in(&fault, &code);
}

/* ---- pages of the page cache ---- */

/* The table's entry for address, with a table below it; NULL: there is no memory, or a huge page. */
static pmd_t *make_table(struct mm_struct *mm, unsigned long address)
{
	p4d_t *p4d = p4d_alloc(mm, pgd_offset(mm, address), address);
	pud_t *pud = p4d ? pud_alloc(mm, p4d, address) : NULL;
	pmd_t *pmd = pud ? pmd_alloc(mm, pud, address) : NULL;

	return pmd && !pmd_leaf(*pmd) && !pte_alloc(mm, pmd) ? pmd : NULL;
}

/* [start, end) lies in the area and below one page table. */
static void map_cached(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	pgoff_t first = linear_page_index(vma, start);
	struct vm_fault fault = {
		.vma = vma, .address = start, .real_address = start, .flags = FAULT_FLAG_USER, .pgoff = first,
		.gfp_mask = GFP_KERNEL, .pmd = make_table(vma->vm_mm, start),
	};

	if (!fault.pmd)
		return;
	rcu_read_lock();
	vma->vm_ops->map_pages(&fault, first, first + ((end - start) >> PAGE_SHIFT) - 1);
	rcu_read_unlock();
}

static bool has_cache(struct vm_area_struct *vma)
{
	return vma->vm_ops && vma->vm_ops->map_pages && may_go_ahead(vma, 0);
}

static void map_all_cached(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	unsigned long next;

	for (; start < end; start = next) {
		next = pmd_addr_end(start, end);
		map_cached(vma, start, next);
	}
}

/**
 * cached_ahead - maps pages of the page cache around address, where a page of current was just read
 */
void cached_ahead(unsigned long address)
{
	unsigned long start = round_down(address, WINDOW);
	struct vm_area_struct *vma;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, address);
	if (vma && has_cache(vma))
		map_cached(vma, max(start, vma->vm_start), min(start + WINDOW, vma->vm_end));
	mmap_read_unlock(current->mm);
}

/* ---- a new program ---- */

static bool is_small_data(struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE && vma->vm_end - vma->vm_start <= DATA_LIMIT;
}

/* A file's page that is in the cache, or memory that is all zeroes. */
static bool copies_at_once(struct vm_area_struct *vma, unsigned long address)
{
	unsigned long next;
	pmd_t *pmd;
	pte_t *at;
	bool present;

	if (vma_is_anonymous(vma))
		return true;
	pmd = table_at(vma->vm_mm, address, TASK_SIZE, &next);
	at = pmd && !pmd_leaf(*pmd) ? pte_offset_map(pmd, address) : NULL;
	if (!at)
		return false;
	present = pte_present(ptep_get(at));
	pte_unmap(at);
	return present;
}

static void copy_data(struct vm_area_struct *vma)
{
	unsigned long address;

	for (address = vma->vm_start; address < vma->vm_end; address += PAGE_SIZE)
		if (copies_at_once(vma, address))
			handle_mm_fault(vma, address, FAULT_FLAG_WRITE, NULL);
}

/**
 * program_ahead - maps what is cheap to have of a new program and its interpreter
 *
 * Called when exec has mapped both and nobody else knows the address space.
 */
void program_ahead(void)
{
	struct vm_area_struct *vma;

	mmap_read_lock(current->mm);
	VMA_ITERATOR(each, current->mm, 0);
	for_each_vma(each, vma) {
		if (has_cache(vma))
			map_all_cached(vma, vma->vm_start, min(vma->vm_start + PROGRAM_LIMIT, vma->vm_end));
		if (is_small_data(vma) && may_go_ahead(vma, FAULT_WRITE))
			copy_data(vma);
	}
	mmap_read_unlock(current->mm);
}
