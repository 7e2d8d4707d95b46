/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_MMU_CONTEXT_H
#define __ASM_UM_MMU_CONTEXT_H

#include <linux/mm_types.h>

/* The stub process is made by fork and exec, and serves from when guest code first runs: so switching costs nothing here. */
int init_new_context(struct task_struct *task, struct mm_struct *mm);
#define init_new_context init_new_context
void destroy_context(struct mm_struct *mm);
#define destroy_context destroy_context

static inline void switch_mm(struct mm_struct *prev, struct mm_struct *next, struct task_struct *task)
{
}

/* The last user is gone: one host call in place of one for each area that is about to be unmapped. */
void arch_exit_mmap(struct mm_struct *mm);

static inline int arch_dup_mmap(struct mm_struct *oldmm, struct mm_struct *mm)
{
	mm->context.trampolines = oldmm->context.trampolines;
	mm->context.far_trampolines = oldmm->context.far_trampolines;
	return 0;
}

static inline void arch_unmap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
}

static inline bool arch_vma_access_permitted(struct vm_area_struct *vma, bool write, bool execute, bool foreign)
{
	return true;
}

#include <asm-generic/mmu_context.h>

#endif
