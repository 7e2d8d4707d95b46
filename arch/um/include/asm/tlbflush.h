/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's mappings are our TLB. Flushing notes which addresses are stale; they are brought up to date before guest code of that
 * address space runs again or, under an engine that cannot prove that it stands still, before the flush returns (kernel/hostmap.c).
 */
#ifndef __ASM_UM_TLBFLUSH_H
#define __ASM_UM_TLBFLUSH_H

#include <linux/mm.h>

void hostmap_stale(struct mm_struct *mm, unsigned long start, unsigned long end);
void hostmap_flush(struct mm_struct *mm, unsigned long start, unsigned long end);
void hostmap_flush_rights(struct mm_struct *mm);

/* Generic code flushes a whole mm like this only after it took rights from pages that stay, as fork does. */
static inline void flush_tlb_mm(struct mm_struct *mm)
{
	hostmap_flush_rights(mm);
}

static inline void flush_tlb_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	hostmap_flush(vma->vm_mm, start, end);
}

static inline void flush_tlb_page(struct vm_area_struct *vma, unsigned long address)
{
	hostmap_flush(vma->vm_mm, address & PAGE_MASK, (address & PAGE_MASK) + PAGE_SIZE);
}

void flush_tlb_kernel_range(unsigned long start, unsigned long end);
void flush_tlb_all(void);

#endif
