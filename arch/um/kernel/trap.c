// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a guest thread: run guest code, see why it stopped, serve it, go on.
 *
 *   guest_loop -> engine->run -> syscall | fault | exception | interrupt -> the generic entry code, which also
 *   delivers signals and schedules -> hostmap_ready -> engine->run ...
 *
 * Runs at the bottom of every user thread's kernel stack. Interrupts are off between the exit work
 * of one trap and the entry work of the next.
 */
#include <linux/entry-common.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <asm/syscall.h>
#include <host/engine.h>
#include <host/process.h>
#include "counters.h"
#include "kernel.h"

static_assert(sizeof(struct pt_regs) == sizeof(struct host_regs));
static_assert(offsetof(struct pt_regs, fs_base) == offsetof(struct host_regs, fs_base));

#define INT80_LENGTH 2

static void handle_syscall(struct pt_regs *regs, bool by_instruction)
{
	unsigned long ip = regs->ip;
	long nr = regs->orig_ax;

	count_trap(syscalls);
	regs->ax = -ENOSYS;
	nr = syscall_enter_from_user_mode(regs, nr);
	if (by_instruction)
		syscall_patch_seen(ip, nr);
	else
		count_trap(fast_syscalls);
	if (nr != -1)
		regs->ax = do_syscall(regs, nr);
	syscall_exit_to_user_mode(regs);
}

static int trap_number(struct host_trap *trap)
{
	if (trap->vector >= 0)
		return trap->vector;
	switch (trap->signo) {
	case SIGFPE:
		return trap->code == FPE_INTDIV ? 0 : xstate_x87_error(current) ? 16 : 19;
	case SIGTRAP:
		return trap->code == TRAP_TRACE || trap->code == TRAP_HWBKPT ? 1 : 3;
	case SIGILL:
		return 6;
	case SIGBUS:
		return trap->code == BUS_ADRALN ? 17 : 12;
	default:
		return 13;
	}
}

static void handle_exception(struct pt_regs *regs, struct host_trap *trap)
{
	struct thread_struct *thread = &current->thread;

	count_trap(exceptions);
	thread->trap_nr = trap_number(trap);
	thread->error_code = trap->error_code;
	thread->cr2 = 0;
	if (trap->signo == SIGTRAP && trap->code == TRAP_HWBKPT)
		debug_trapped(current);
	if (trap->signo == SIGSEGV)
		force_sig(SIGSEGV);		/* SI_KERNEL, as for a general protection fault */
	else if (trap->signo == SIGTRAP && trap->code == SI_KERNEL)
		force_sig(SIGTRAP);		/* int3 */
	else
		force_sig_fault(trap->signo, trap->code, (void __user *)trap->address);
}

/*
 * int $0x80 is the 32-bit entry, which there is none of: x86-64 without it raises a general
 * protection fault at the instruction.
 */
static void handle_compat_syscall(struct pt_regs *regs)
{
	count_trap(exceptions);
	regs->ip -= INT80_LENGTH;
	current->thread.trap_nr = 13;
	current->thread.error_code = 0x80 * 8 + 2;	/* entry 0x80 of the interrupt table */
	force_sig(SIGSEGV);
}

static void handle_trap(struct pt_regs *regs, struct host_trap *trap)
{
	if (likely(trap->kind == TRAP_FAST_SYSCALL || trap->kind == TRAP_SYSCALL)) {
		handle_syscall(regs, trap->kind == TRAP_SYSCALL);
		return;
	}
	regs->orig_ax = -1;
	syscall_patch_roll_back(regs, trap->kind == TRAP_EXCEPTION);
	if (trap->kind == TRAP_INTERRUPT) {
		count_trap(interrupts);
		handle_interrupts(regs);
		return;
	}
	irqentry_enter_from_user_mode(regs);
	local_irq_enable();
	if (trap->kind == TRAP_FAULT) {
		count_trap(faults);
		if (!syscall_patch_fault(trap->address))
			user_fault(regs, trap);
	} else if (trap->kind == TRAP_RAM) {
		ram_fault(trap->address);
	} else if (trap->kind == TRAP_EXCEPTION) {
		handle_exception(regs, trap);
	} else if (trap->kind == TRAP_COMPAT_SYSCALL) {
		handle_compat_syscall(regs);
	} else {
		pr_warn_ratelimited("%s[%d]: its stub process was killed on the host\n", current->comm, task_pid_nr(current));
		do_group_exit(SIGKILL);		/* no signal, which the first process would ignore */
	}
	local_irq_disable();
	irqentry_exit_to_user_mode(regs);
}

/* A thread whose stub process cannot be made or kept dies; the kernel goes on. */
static void __noreturn no_stub(struct pt_regs *regs, int error)
{
	irqentry_enter_from_user_mode(regs);
	local_irq_enable();
	pr_err_ratelimited("%s[%d]: killed: the host gives no stub process (%s)\n",
			   current->comm, task_pid_nr(current), host_error_text(error));
	do_group_exit(SIGKILL);
}

static int how_to_run(void)
{
	return (current->thread.single_step ? HOST_STEP : 0) |
	       (test_thread_flag(TIF_NOTSC) ? HOST_NO_TSC : 0);
}

void __noreturn guest_loop(void)
{
	struct pt_regs *regs = current_pt_regs();

	for (;;) {
		struct host_trap trap;
		int error;

		error = hostmap_ready(current->mm);
		if (!error)
			error = xstate_load();
		if (!error)
			error = debug_load();
		if (unlikely(error))
			no_stub(regs, error);
		host_engine->run(current->mm->context.space, (struct host_regs *)regs,
				 how_to_run(), &trap);
		handle_trap(regs, &trap);
	}
}
