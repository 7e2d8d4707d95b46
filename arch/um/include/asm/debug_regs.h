/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hardware breakpoints of guest threads. task->thread.debug[] is what a debugger wrote, DR6 with set bits for what
 * happened. Every state of a thread's registers has a number, debug_id (0: no breakpoint is on), and mm->context.debug_id
 * is the number of what the stub process has: they differ, the registers must be loaded. See x86_64/arch_ptrace.c.
 */
#ifndef __ASM_UM_DEBUG_REGS_H
#define __ASM_UM_DEBUG_REGS_H

#include <linux/mm_types.h>
#include <linux/sched.h>

int debug_push(void);

/* Before guest code runs: the stub of current->mm gets the breakpoints of current. 0 or -errno. */
static inline int debug_load(void)
{
	if (likely(current->mm->context.debug_id == current->thread.debug_id))
		return 0;
	return debug_push();
}

/* After a debug exception of current, before its signal: DR6 says which breakpoints it was. Returns DR6, 0 for a step by a debugger. */
unsigned long debug_trapped(struct task_struct *task);

/* A new program or a new thread has no breakpoints. */
void debug_reset(struct task_struct *task);

#endif
