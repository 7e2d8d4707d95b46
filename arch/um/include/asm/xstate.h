/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Extended state (x87, SSE, AVX, AVX-512, AMX...) of guest threads, of a size known at run time only.
 *
 * A thread's state is live in the stub process where it last ran, until another thread of the same address space
 * runs there or somebody needs to see it. task->thread.xstate is the buffer (host_xstate_size bytes, standard XSAVE form,
 * NULL for kernel threads); task->thread.xstate_live names the mm whose stub holds something newer;
 * mm->context.xstate_owner is the task whose state is in the stub.
 */
#ifndef __ASM_UM_XSTATE_H
#define __ASM_UM_XSTATE_H

#include <linux/types.h>

struct task_struct;
struct mm_struct;

/* Brings the buffer up to date and returns it, for reading. NULL: out of memory. Kernel threads have none until asked. */
void *xstate_read(struct task_struct *task);
/* As xstate_read; the caller changes the buffer, and the thread goes on with what is in it. */
void *xstate_write(struct task_struct *task);
/* Makes the buffer the state of a new program. Returns 0 or -ENOMEM. */
int xstate_reset(struct task_struct *task);
/* Copies src's state to the new task dst. Returns 0 or -ENOMEM. */
int xstate_copy(struct task_struct *dst, struct task_struct *src);
/* Is it the x87 unit that has an exception pending? Otherwise a floating point error was one of SSE. */
bool xstate_x87_error(struct task_struct *task);
/* The task goes away. */
void xstate_release(struct task_struct *task);
/* Before guest code runs: the stub of current->mm gets the state of current, if it has not got it. 0 or -errno. */
int xstate_load(void);
/* The stub of mm is about to go: whoever lives there comes to his buffer (or is forgotten, if he is dying). */
void xstate_leave(struct mm_struct *mm);

#endif
