// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults that are served before they happen.
 *
 * A fault costs a stop of guest code and a host call, whatever it brings, and a host call costs
 * about as much for a hundred pages as for one. So more is prefaulted here than hardware would make
 * worth while:
 *
 *  - the single page that a thread is known to touch first (prefault_page);
 *  - around a read fault, the pages of the same file that are in the page cache, in a wider window
 *    than Linux's own (prefault_cached);
 *  - of a new program all of them, up to a limit (prefault_exec);
 *  - the data of a program or shared library, if that is small, when its first page is written
 *    (prefault_data): nearly all of it is written soon, by relocation to begin with.
 *
 * Nothing is read from a disk for it, and nothing is mapped that a userfaultfd would have to hear
 * of. Runs on the thread whose faults these would be, interrupts on; may sleep.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/userfaultfd_k.h>
#include "kernel.h"

#define WINDOW		PMD_SIZE
#define PROGRAM_LIMIT	SZ_2M		/* of one area of a new program */
#define DATA_LIMIT	SZ_64K

static bool may_prefault(struct vm_area_struct *vma, unsigned long error_code)
{
	return vma && (vma->vm_flags & fault_needs(error_code)) && !userfaultfd_armed(vma);
}

/**
 * prefault_page - serves a fault that guest code of current is about to take, which saves the trap
 * @error_code: as in struct fault
 * Does nothing where the access would not be allowed, would extend a stack, or concerns a
 * userfaultfd.
 */
void prefault_page(unsigned long address, unsigned long error_code)
{
	struct fault fault = { address, error_code | FAULT_USER };
	bool expected;
	int code;

	mmap_read_lock(current->mm);
	expected = may_prefault(vma_lookup(current->mm, address), error_code);
	mmap_read_unlock(current->mm);
	if (expected)
		fault_in(&fault, &code);
}

/* ---- pages of the page cache ---- */

/*
 * The table's entry for address, with a table below it; NULL: there is no memory, or a huge page.
 */
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
	return vma->vm_ops && vma->vm_ops->map_pages && may_prefault(vma, 0);
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
 * prefault_cached - maps pages of the page cache around address, where a page of current was just
 * read
 */
void prefault_cached(unsigned long address)
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
	return (vma->vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE && vma->vm_end - vma->vm_start <= DATA_LIMIT && may_prefault(vma, FAULT_WRITE);
}

/*
 * As the loaders of programs and libraries leave it: what can be written of a file follows what
 * cannot.
 */
static bool is_data(struct vm_area_struct *vma)
{
	struct vm_area_struct *before;

	if (!vma->vm_file || !is_small_data(vma))
		return false;
	before = vma_lookup(vma->vm_mm, vma->vm_start - 1);
	return before && before->vm_file && file_inode(before->vm_file) == file_inode(vma->vm_file) && !(before->vm_flags & VM_WRITE);
}

/*
 * Memory that is zero and untouched, or a page of the page cache: what a write does not need to
 * wait for.
 */
static bool copies_at_once(struct vm_area_struct *vma, unsigned long address)
{
	unsigned long next;
	struct page *page;
	spinlock_t *lock;
	pmd_t *pmd = table_at(vma->vm_mm, address, TASK_SIZE, &next);
	pte_t *at = pmd && !pmd_leaf(*pmd) ? pte_offset_map_lock(vma->vm_mm, pmd, address, &lock) : NULL;
	bool result;

	if (!at)
		return vma_is_anonymous(vma) && (!pmd || !pmd_leaf(*pmd));
	if (pte_present(ptep_get(at))) {
		page = vm_normal_page(vma, address, ptep_get(at));
		result = page && !PageAnon(page);
	} else {
		result = vma_is_anonymous(vma) && pte_none(ptep_get(at));
	}
	pte_unmap_unlock(at, lock);
	return result;
}

static void copy_pages(struct vm_area_struct *vma)
{
	unsigned long address;

	for (address = vma->vm_start; address < vma->vm_end; address += PAGE_SIZE)
		if (copies_at_once(vma, address))
			handle_mm_fault(vma, address, FAULT_FLAG_WRITE, NULL);
}

/* With the zeroes that follow it. */
static void copy_data(struct vm_area_struct *vma)
{
	struct vm_area_struct *after = vma_lookup(vma->vm_mm, vma->vm_end);

	copy_pages(vma);
	if (after && vma_is_anonymous(after) && is_small_data(after))
		copy_pages(after);
}

/**
 * prefault_data - where address is in the data of a program or library of current: makes its own
 * copies of what else is in it
 */
void prefault_data(unsigned long address)
{
	struct vm_area_struct *vma;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, address);
	if (vma && is_data(vma)) {
		map_all_cached(vma, vma->vm_start, vma->vm_end);
		copy_data(vma);
	}
	mmap_read_unlock(current->mm);
}

/**
 * prefault_exec - maps what is cheap to have of a new program and its interpreter
 *
 * Called when exec has mapped both and nobody else knows the address space.
 */
void prefault_exec(void)
{
	struct vm_area_struct *vma;

	mmap_read_lock(current->mm);
	VMA_ITERATOR(each, current->mm, 0);
	for_each_vma(each, vma) {
		if (has_cache(vma))
			map_all_cached(vma, vma->vm_start, min(vma->vm_start + PROGRAM_LIMIT, vma->vm_end));
		if (is_data(vma))
			copy_data(vma);
	}
	mmap_read_unlock(current->mm);
}
