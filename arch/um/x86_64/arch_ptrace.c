// SPDX-License-Identifier: GPL-2.0-only
/*
 * What ptrace() can do to a thread of x86-64 besides what it can everywhere: the user area,
 * register sets by their old names, single steps, hardware breakpoints.
 *
 * A step is a request to the engine (thread.single_step), not the trap flag: that one stays the
 * program's own, so a debugger's step shows up in no register. A step over a system call ends when
 * it returns, which the generic exit code reports.
 *
 * Breakpoints live in the stub's debug registers. They are addresses of the guest, checked to be
 * such: a breakpoint on the stub's own pages would stop code that must not be stopped. Runs in the
 * context of the debugger, its target stopped.
 */
#include <linux/audit.h>
#include <linux/ptrace.h>
#include <linux/regset.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#include <linux/user.h>
#include <asm/debug_regs.h>
#include <asm/prctl.h>
#include <asm/trapnr.h>
#include <host/engine.h>
#include <uapi/asm/debugreg.h>
#include "syscall_patch.h"
#include "prctl.h"
#include "regset.h"

#define BREAKPOINTS	4
#define DR7_ENABLES	0xffUL		/* two bits for each breakpoint */
#define DR7_SETTINGS	(~0xfc00UL & 0xffffffffUL)

void user_enable_single_step(struct task_struct *task)
{
	syscall_patch_stop(task->mm);
	task->thread.single_step = true;
	set_task_syscall_work(task, SYSCALL_EXIT_TRAP);
}

void user_disable_single_step(struct task_struct *task)
{
	task->thread.single_step = false;
	clear_task_syscall_work(task, SYSCALL_EXIT_TRAP);
}

void user_single_step_report(struct pt_regs *regs)
{
	current->thread.trap_nr = X86_TRAP_DB;
	current->thread.error_code = 0;
	force_sig_fault(SIGTRAP, TRAP_BRKPT, (void __user *)regs->ip);
}

void ptrace_disable(struct task_struct *task)
{
	user_disable_single_step(task);
}

/* Whatever changed: no stub has these registers now. */
static void debug_changed(struct task_struct *task)
{
	static unsigned long last_id;

	task->thread.debug_id = task->thread.debug[7] & DR7_ENABLES ? ++last_id : 0;
}

void debug_reset(struct task_struct *task)
{
	memset(task->thread.debug, 0, sizeof(task->thread.debug));
	task->thread.debug_id = 0;
}

/*
 * The host's error, if it has no more breakpoints to give, comes up here and not when the debugger
 * set one.
 */
int debug_push(void)
{
	struct host_space *space = current->mm->context.space;
	unsigned long *debug = current->thread.debug;
	int i, error;

	error = host_engine->set_debug(space, 7, 0);
	for (i = 0; i < BREAKPOINTS && !error && current->thread.debug_id; i++)
		error = host_engine->set_debug(space, i, debug[i]);
	if (!error && current->thread.debug_id)
		error = host_engine->set_debug(space, 7, debug[7] & DR7_SETTINGS);
	if (!error)
		current->mm->context.debug_id = current->thread.debug_id;
	return error;
}

unsigned long debug_trapped(struct task_struct *task)
{
	unsigned long dr6 = 0;

	if (!task->thread.debug_id || host_engine->get_debug(task->mm->context.space, 6, &dr6))
		return 0;
	task->thread.debug[6] = (dr6 ^ DR6_RESERVED) & (DR_TRAP_BITS | DR_STEP);
	return task->thread.debug[6];
}

/*
 * One breakpoint's settings in DR7: two bits of kind (execute, write, I/O, access), two of length
 * (1, 2, 8, 4).
 */
static bool breakpoint_valid(unsigned long address, unsigned int kind, unsigned int length_bits)
{
	static const unsigned char lengths[] = { 1, 2, 8, 4 };
	unsigned int length = lengths[length_bits];

	if (kind == 2 || (kind == 0 && length != 1))
		return false;
	return !(address & (length - 1)) && address <= TASK_SIZE - length;
}

static bool breakpoints_valid(const unsigned long *debug, unsigned long dr7)
{
	unsigned int settings;
	int i;

	for (i = 0; i < BREAKPOINTS; i++) {
		settings = dr7 >> (16 + 4 * i);
		if ((dr7 >> (2 * i) & 3) && !breakpoint_valid(debug[i], settings & 3, settings >> 2 & 3))
			return false;
	}
	return true;
}

static int set_debug_address(struct task_struct *task, int n, unsigned long address)
{
	unsigned long old = task->thread.debug[n];

	if (address >= TASK_SIZE)
		return -EINVAL;
	task->thread.debug[n] = address;
	if (breakpoints_valid(task->thread.debug, task->thread.debug[7]))
		return 0;
	task->thread.debug[n] = old;
	return -EINVAL;
}

static int set_debug_register(struct task_struct *task, int n, unsigned long value)
{
	int error = 0;

	if (n < BREAKPOINTS)
		error = set_debug_address(task, n, value);
	else if (n == 6)
		task->thread.debug[6] = value ^ DR6_RESERVED;
	else if (n != 7)
		error = -EIO;
	else if (!breakpoints_valid(task->thread.debug, value))
		error = -EINVAL;
	else
		task->thread.debug[7] = value;
	if (!error)
		debug_changed(task);
	if (task->thread.debug_id)
		syscall_patch_stop(task->mm);	/* a breakpoint may be at an instruction that they leave out */
	return error;
}

static unsigned long get_debug_register(struct task_struct *task, int n)
{
	if (n == 6)
		return task->thread.debug[6] ^ DR6_RESERVED;
	return task->thread.debug[n];
}

static bool is_debug_offset(unsigned long offset)
{
	return offset >= offsetof(struct user, u_debugreg[0]) && offset <= offsetof(struct user, u_debugreg[7]);
}

static int debug_number(unsigned long offset)
{
	return array_index_nospec((offset - offsetof(struct user, u_debugreg[0])) / sizeof(long), 8);
}

/* The user area: general registers and debug registers are real, the rest reads as 0. */
static int peek_user(struct task_struct *task, unsigned long offset, unsigned long __user *to)
{
	unsigned long value = 0;

	if ((offset & 7) || offset >= sizeof(struct user))
		return -EIO;
	if (offset < sizeof(struct user_regs_struct))
		value = regs_get_field(task, offset);
	else if (is_debug_offset(offset))
		value = get_debug_register(task, debug_number(offset));
	return put_user(value, to);
}

static int poke_user(struct task_struct *task, unsigned long offset, unsigned long value)
{
	if ((offset & 7) || offset >= sizeof(struct user))
		return -EIO;
	if (offset < sizeof(struct user_regs_struct))
		return regs_set_field(task, offset, value);
	if (is_debug_offset(offset))
		return set_debug_register(task, debug_number(offset), value);
	return -EIO;
}

long arch_ptrace(struct task_struct *task, long request, unsigned long addr, unsigned long data)
{
	const struct user_regset_view *view = task_user_regset_view(task);
	void __user *user = (void __user *)data;

	switch (request) {
	case PTRACE_PEEKUSR:
		return peek_user(task, addr, user);
	case PTRACE_POKEUSR:
		return poke_user(task, addr, data);
	case PTRACE_GETREGS:
		return copy_regset_to_user(task, view, REGSET_GENERAL, 0, sizeof(struct user_regs_struct), user);
	case PTRACE_SETREGS:
		return copy_regset_from_user(task, view, REGSET_GENERAL, 0, sizeof(struct user_regs_struct), user);
	case PTRACE_GETFPREGS:
		return copy_regset_to_user(task, view, REGSET_FX, 0, sizeof(struct user_i387_struct), user);
	case PTRACE_SETFPREGS:
		return copy_regset_from_user(task, view, REGSET_FX, 0, sizeof(struct user_i387_struct), user);
	case PTRACE_ARCH_PRCTL:
		return arch_prctl(task, data, addr);
	default:
		return ptrace_request(task, request, addr, data);
	}
}
