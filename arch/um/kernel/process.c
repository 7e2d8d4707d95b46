// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads: how they begin, switch, idle, run another program and end.
 */
#include <linux/cpu.h>
#include <linux/elf.h>
#include <linux/elf-randomize.h>
#include <linux/entry-common.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/stacktrace.h>
#include <linux/tick.h>
#include <asm/exec_hook.h>
#include <asm/switch_to.h>
#include <host/process.h>
#include "kernel.h"

/* What switch_stacks() pops for a thread that has not run yet. */
struct first_frame {
	unsigned long r15, r14, r13, r12, bx, bp;
	unsigned long ip;
	unsigned long end_of_frames[2];		/* a frame pointer of 0 ends stack traces */
};

void __noreturn first_run(struct task_struct *prev, int (*fn)(void *), void *argument)
{
	schedule_tail(prev);
	if (fn) {
		fn(argument);		/* a kernel thread returns from it only to run a program */
	} else if (atomic_read(&current->mm->mm_users) == 1) {
		/* After fork these two pages are what it touches first. */
		prefault_page(current_pt_regs()->sp, FAULT_WRITE);
		prefault_page(current_pt_regs()->ip, FAULT_FETCH);
	}
	syscall_exit_to_user_mode(current_pt_regs());
	guest_loop();
}

int copy_thread(struct task_struct *task, const struct kernel_clone_args *args)
{
	struct pt_regs *regs = task_pt_regs(task);
	struct first_frame *frame = (struct first_frame *)regs - 1;
	int error;

	memset(frame, 0, sizeof(*frame));
	frame->ip = (unsigned long)begin_thread;
	task->thread.sp = (unsigned long)frame;
	if (unlikely(args->fn)) {
		memset(regs, 0, sizeof(*regs));
		regs->cs = USER_CS;
		frame->bx = (unsigned long)args->fn;
		frame->r12 = (unsigned long)args->fn_arg;
		stack_guard(task);
		return 0;
	}
	*regs = *current_pt_regs();
	regs->ax = 0;
	if (!(args->flags & CLONE_VM))
		prefault_page(regs->sp, FAULT_WRITE);	/* the parent's stack, which the child shares now */
	if (args->stack)
		regs->sp = args->stack;
	if (args->flags & CLONE_SETTLS) {
		if (args->tls >= TASK_SIZE_MAX)
			return -EPERM;
		regs->fs = 0;
		regs->fs_base = args->tls;
	}
	error = xstate_copy(task, current);
	if (!error)
		error = reserve_for_child(task, args->flags);
	if (unlikely(error)) {
		exit_thread(task);
		return error;
	}
	stack_guard(task);	/* last: after an error Linux frees the stack without exit_thread() */
	return 0;
}

void (*exec_hook)(void);

void start_thread(struct pt_regs *regs, unsigned long ip, unsigned long sp)
{
	memset(regs, 0, sizeof(*regs));
	regs->ip = ip;
	regs->sp = sp;
	regs->cs = USER_CS;
	regs->ss = USER_DS;
	regs->flags = X86_EFLAGS_IF | X86_EFLAGS_FIXED;
	regs->orig_ax = -1;
	prefault_exec();
	prefault_page(ip, FAULT_FETCH);
	prefault_page(sp, FAULT_WRITE);
	prefault_page(sp - PAGE_SIZE, FAULT_WRITE);
	if (exec_hook)
		exec_hook();
}
EXPORT_SYMBOL(start_thread);

void flush_thread(void)
{
	if (xstate_reset(current))
		force_sig(SIGKILL);
	debug_reset(current);
}

void exit_thread(struct task_struct *task)
{
	stack_unguard(task);
	release_reserved(&task->thread);
	xstate_release(task);
}

/*
 * An idle virtual CPU stops its tick at once. Later 6.12 leave it on until it has fired once more,
 * which on hardware saves the reprogramming of a short sleep; here it would be one more wake-up of
 * the host for each that there is a reason for.
 */
void arch_cpu_idle_enter(void)
{
	if (!tick_nohz_tick_stopped())
		tick_nohz_idle_stop_tick();
}

void arch_cpu_idle(void)
{
	host_idle();
	tsc_follow();
}

unsigned long arch_align_stack(unsigned long sp)
{
	if (!(current->personality & ADDR_NO_RANDOMIZE) && randomize_va_space)
		sp -= get_random_u32_below(8192);
	return sp & ~0xfUL;
}

/* As on other 64-bit machines: the heap starts somewhere in the 32 MiB after the program. */
unsigned long arch_randomize_brk(struct mm_struct *mm)
{
	return randomize_page(mm->brk, SZ_32M);
}

static bool first_outside_scheduler(void *found, unsigned long ip)
{
	if (in_sched_functions(ip))
		return true;
	*(unsigned long *)found = ip;
	return false;
}

unsigned long __get_wchan(struct task_struct *task)
{
	unsigned long found = 0;

	arch_stack_walk(first_outside_scheduler, &found, task, NULL);
	return found;
}

void kernel_pause(void)
{
	schedule_timeout_uninterruptible(1);
}
