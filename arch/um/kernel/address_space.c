// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a guest address space.
 *
 * fork and exec take its stub process from the host, so that they can fail with an error where the
 * host has none to give: after them there would be nobody to tell, only a process to kill. It
 * serves from when guest code first runs (hostmap_ready) and goes when the last user is gone
 * (arch_exit_mmap), before the first page is freed. So the unmapping that follows makes no host
 * call, and a stub that could not be trusted to stand still reaches no freed page.
 *
 * Runs on the thread of the virtual CPU.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <asm/mmu_context.h>
#include <host/engine.h>
#include <host/process.h>
#include "counters.h"
#include "kernel.h"

/*
 * Forgets the stub: what it knows of its thread moves out, and another address space may have it.
 */
void hostmap_give_back(struct mm_struct *mm)
{
	mm_context_t *context = &mm->context;
	unsigned long flags;

	if (context->reserved) {
		local_irq_save(flags);
		host_engine->destroy(context->reserved);
		context->reserved = NULL;
		local_irq_restore(flags);
	}
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

/* ---- reserved for children ---- */

/* What a caller of fork can be told: -ENOMEM, or -EAGAIN for all else that a host may lack. */
static int reserve(struct host_space **space, void *page)
{
	unsigned long flags;
	int error;

	local_irq_save(flags);
	error = host_engine->create(space, page, __pa(page));
	local_irq_restore(flags);
	if (likely(!error))
		return 0;
	*space = NULL;
	pr_warn_once("the host gives no more processes, or what they need (%s; see ulimit -u, pids.max): fork and exec fail\n",
		     host_error_text(error));
	return error == -ENOMEM ? -ENOMEM : -EAGAIN;
}

/*
 * The child of vfork is on its parent's stub until it runs a program, for which there must be
 * another one then.
 */
static int reserve_for_exec(struct thread_struct *child)
{
	int error = -ENOMEM;

	child->reserved_page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (child->reserved_page)
		error = reserve(&child->reserved, child->reserved_page);
	if (error)
		release_reserved(child);
	return error;
}

/**
 * reserve_for_child - sees to it that fork fails where the child could not run
 * Called for a child whose address space is made. Returns 0, -EAGAIN or -ENOMEM.
 */
int reserve_for_child(struct task_struct *child, unsigned long clone_flags)
{
	if (!(clone_flags & CLONE_VM))
		return reserve(&child->mm->context.reserved, child->mm->context.space_page);
	if (clone_flags & CLONE_VFORK)
		return reserve_for_exec(&child->thread);
	return 0;
}

/* What a task that ends has not used. */
void release_reserved(struct thread_struct *thread)
{
	unsigned long flags;

	if (likely(!thread->reserved_page))
		return;
	if (thread->reserved) {
		local_irq_save(flags);
		host_engine->destroy(thread->reserved);
		local_irq_restore(flags);
	}
	free_page((unsigned long)thread->reserved_page);
	thread->reserved = NULL;
	thread->reserved_page = NULL;
}

/*
 * Exec gives back the stub of the address space that it leaves, unless others are on it: that one
 * can serve again.
 */
static bool leaves_a_stub(const struct mm_struct *mm)
{
	return mm && mm->context.space && atomic_read(&mm->mm_users) <= get_nr_threads(current);
}

int init_new_context(struct task_struct *task, struct mm_struct *mm)
{
	mm_context_t *context = &mm->context;
	int error = 0;

	memset(context, 0, sizeof(*context));
	if (task == current && task->thread.reserved) {
		context->space_page = task->thread.reserved_page;
		context->reserved = task->thread.reserved;
		task->thread.reserved = NULL;
		task->thread.reserved_page = NULL;
		return 0;
	}
	context->space_page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!context->space_page)
		return -ENOMEM;
	/* A kernel thread may want an address space in which no program ever runs. */
	if (task == current && task->mm && !leaves_a_stub(task->mm))
		error = reserve(&context->reserved, context->space_page);
	if (error)
		free_page((unsigned long)context->space_page);
	return error;
}

/* ---- serving ---- */

void arch_exit_mmap(struct mm_struct *mm)
{
	hostmap_give_back(mm);
}

void destroy_context(struct mm_struct *mm)
{
	hostmap_give_back(mm);
	syscall_patch_free(mm);
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
		if (context->reserved) {
			context->space = context->reserved;
			context->reserved = NULL;
		} else {
			error = host_engine->create(&context->space, context->space_page, __pa(context->space_page));
			if (error)
				return error;
		}
		count_space();
		return hostmap_first(mm);
	}
	return hostmap_sync(mm);
}
