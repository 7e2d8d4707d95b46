// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a guest address space: its stub process comes when guest code first runs (hostmap_ready) and goes when the last user
 * is gone (arch_exit_mmap), before the first page is freed. So the unmapping that follows makes no host call, and a stub that could
 * not be trusted to stand still reaches no freed page.
 *
 * Runs on the thread of the virtual CPU.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/mmu_context.h>
#include <asm/xstate.h>
#include <host/engine.h>
#include "counters.h"
#include "kernel.h"

/* Forgets the stub: what it knows of its thread moves out, and another address space may have it. */
void hostmap_give_back(struct mm_struct *mm)
{
	mm_context_t *context = &mm->context;
	unsigned long flags;

	if (!context->space)
		return;
	local_irq_save(flags);
	xstate_leave(mm);
	if (context->debug_id)		/* the stub may serve another address space next */
		host_engine->set_debug(context->space, 7, 0);
	host_engine->destroy(context->space);
	context->space = NULL;
	context->debug_id = 0;
	local_irq_restore(flags);
}

int init_new_context(struct task_struct *task, struct mm_struct *mm)
{
	memset(&mm->context, 0, sizeof(mm->context));
	mm->context.space_page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return mm->context.space_page ? 0 : -ENOMEM;
}

void arch_exit_mmap(struct mm_struct *mm)
{
	hostmap_give_back(mm);
}

void destroy_context(struct mm_struct *mm)
{
	hostmap_give_back(mm);
	call_sites_free(mm);
	free_page((unsigned long)mm->context.space_page);
	mm->context.space_page = NULL;
}

/**
 * hostmap_ready - sees to it that mm has a stub process and that its mappings are up to date
 * Returns 0 or -errno.
 */
int hostmap_ready(struct mm_struct *mm)
{
	mm_context_t *context = &mm->context;
	int error;

	if (unlikely(context->lost))
		return context->lost;
	if (unlikely(!context->space)) {
		error = host_engine->create(&context->space, context->space_page, __pa(context->space_page));
		if (error)
			return error;
		count_space();
		return hostmap_first(mm);
	}
	return hostmap_sync(mm);
}
