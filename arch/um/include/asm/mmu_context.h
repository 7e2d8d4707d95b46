/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_MMU_CONTEXT_H
#define __ASM_UM_MMU_CONTEXT_H

#include <linux/mm_types.h>

/* The stub process is made when guest code first runs, so switching costs nothing here. */
int init_new_context(struct task_struct *task, struct mm_struct *mm);
#define init_new_context init_new_context
void destroy_context(struct mm_struct *mm);
#define destroy_context destroy_context

static inline void switch_mm(struct mm_struct *prev, struct mm_struct *next, struct task_struct *task)
{
}

#include <asm-generic/mmu_context.h>
#include <asm-generic/mm_hooks.h>

#endif
