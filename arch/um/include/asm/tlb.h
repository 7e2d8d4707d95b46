/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_TLB_H
#define __ASM_UM_TLB_H

struct mmu_gather;
static void tlb_flush(struct mmu_gather *tlb);
#define tlb_flush tlb_flush

#include <asm/tlbflush.h>
#include <asm-generic/tlb.h>

static inline void tlb_flush(struct mmu_gather *tlb)
{
	if (tlb->fullmm || tlb->need_flush_all)
		hostmap_flush(tlb->mm, 0, TASK_SIZE);
	else if (tlb->end)
		hostmap_flush(tlb->mm, tlb->start, tlb->end);
}

#endif
