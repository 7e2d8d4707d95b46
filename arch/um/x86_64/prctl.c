// SPDX-License-Identifier: GPL-2.0-only
/*
 * arch_prctl(): the bases of fs and gs, and what extended state a program may have. Of prctl():
 * PR_SET_TSC.
 *
 * Tile data of AMX is the only state that natively must be asked for; the stub process has not
 * asked the host for it and cannot, so it is not among what is supported, and asking for it gets
 * the answer of a processor without it. Runs in the context of the caller.
 */
#include <linux/prctl.h>
#include <linux/sched/task_stack.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/prctl.h>
#include <asm/processor.h>
#include <host/engine.h>
#include "prctl.h"
#include "xsave.h"

/*
 * A selector of 0 says that the base was set by hand, so that nobody looks it up in a descriptor
 * table.
 */
static int set_base(unsigned long *base, unsigned long *selector, unsigned long value)
{
	if (value >= TASK_SIZE)
		return -EPERM;
	*selector = 0;
	*base = value;
	return 0;
}

long arch_prctl(struct task_struct *task, int option, unsigned long argument)
{
	struct pt_regs *regs = task_pt_regs(task);
	unsigned long __user *user = (unsigned long __user *)argument;

	switch (option) {
	case ARCH_SET_FS:
		return set_base(&regs->fs_base, &regs->fs, argument);
	case ARCH_SET_GS:
		return set_base(&regs->gs_base, &regs->gs, argument);
	case ARCH_GET_FS:
		return put_user(regs->fs_base, user);
	case ARCH_GET_GS:
		return put_user(regs->gs_base, user);
	default:
		return -EINVAL;
	}
}

/* Only tile data can be asked for. */
static int request_feature(unsigned long feature)
{
	return feature > ARCH_XCOMP_TILEDATA ? -EINVAL : -EOPNOTSUPP;
}

SYSCALL_DEFINE2(arch_prctl, int, option, unsigned long, argument)
{
	switch (option) {
	case ARCH_GET_CPUID:
		return 1;	/* the CPUID instruction works */
	case ARCH_SET_CPUID:
		return -ENODEV;	/* and cannot be made to fault */
	case ARCH_GET_XCOMP_SUPP:
	case ARCH_GET_XCOMP_PERM:
	case ARCH_GET_XCOMP_GUEST_PERM:
		return put_user(xstate_features, (unsigned long __user *)argument);
	case ARCH_REQ_XCOMP_PERM:
	case ARCH_REQ_XCOMP_GUEST_PERM:
		return request_feature(argument);
	default:
		return arch_prctl(current, option, argument);
	}
}

/* ---- prctl(PR_SET_TSC): the thread's rdtsc faults, in the vDSO too; fork and exec keep it ---- */

int get_tsc_mode(unsigned long address)
{
	unsigned int mode = test_thread_flag(TIF_NOTSC) ? PR_TSC_SIGSEGV : PR_TSC_ENABLE;

	return put_user(mode, (unsigned int __user *)address);
}

/* Strict seccomp wants it: as far as the host lets us. */
void disable_TSC(void)
{
	if (!host_tsc_can_fault())
		set_thread_flag(TIF_NOTSC);
}

int set_tsc_mode(unsigned int mode)
{
	int error;

	if (mode == PR_TSC_ENABLE) {
		clear_thread_flag(TIF_NOTSC);
		return 0;
	}
	if (mode != PR_TSC_SIGSEGV)
		return -EINVAL;
	error = host_tsc_can_fault();
	if (!error)
		set_thread_flag(TIF_NOTSC);
	return error;
}
