/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls of a guest thread, as tracers, auditing, seccomp and the trap loop see them: the number in orig_ax
 * (-1: not in a system call), the arguments in di, si, dx, r10, r8, r9, the result in ax.
 */
#ifndef __ASM_UM_SYSCALL_H
#define __ASM_UM_SYSCALL_H

#include <linux/err.h>
#include <linux/nospec.h>
#include <asm/ptrace.h>
#include <asm/unistd.h>
#include <uapi/linux/audit.h>

struct task_struct;

typedef long (*sys_call_ptr_t)(unsigned long, unsigned long, unsigned long,
			       unsigned long, unsigned long, unsigned long);
extern const sys_call_ptr_t sys_call_table[];

/* Runs system call nr with the arguments in regs. Returns the value for ax; -ENOSYS for what the table does not have. */
static inline long do_syscall(struct pt_regs *regs, unsigned int nr)
{
	if (unlikely(nr >= NR_syscalls))
		return -ENOSYS;
	nr = array_index_nospec(nr, NR_syscalls);
	return sys_call_table[nr](regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9);
}

/* Only the low half of orig_ax counts, as in the processor's own entry code. */
static inline int syscall_get_nr(struct task_struct *task, struct pt_regs *regs)
{
	return regs->orig_ax;
}

static inline void syscall_rollback(struct task_struct *task, struct pt_regs *regs)
{
	regs->ax = regs->orig_ax;
}

static inline long syscall_get_error(struct task_struct *task, struct pt_regs *regs)
{
	return IS_ERR_VALUE(regs->ax) ? regs->ax : 0;
}

static inline long syscall_get_return_value(struct task_struct *task, struct pt_regs *regs)
{
	return regs->ax;
}

static inline void syscall_set_return_value(struct task_struct *task, struct pt_regs *regs, int error, long value)
{
	regs->ax = error ? (long)error : value;
}

static inline void syscall_get_arguments(struct task_struct *task, struct pt_regs *regs, unsigned long *args)
{
	args[0] = regs->di;
	args[1] = regs->si;
	args[2] = regs->dx;
	args[3] = regs->r10;
	args[4] = regs->r8;
	args[5] = regs->r9;
}

static inline int syscall_get_arch(struct task_struct *task)
{
	return AUDIT_ARCH_X86_64;
}

#endif
