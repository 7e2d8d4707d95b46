// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vsyscall page: three functions at fixed addresses at the very top, which old programs call
 * instead of making system calls: gettimeofday, time and getcpu, 1024 bytes from each other. Here
 * as in Linux's default mode ("xonly") there is no such page: calling into it faults, the fault
 * handler does the work and returns to the caller; reading it is a plain fault. /proc/<pid>/maps
 * shows the page.
 *
 * Runs in the context of the thread that faulted.
 */
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/seccomp.h>
#include <linux/syscalls.h>
#include <linux/time.h>
#include <linux/uaccess.h>
#include <asm/gate.h>
#include <asm/ptrace.h>
#include <asm/trapnr.h>
#include <asm/unistd.h>
#include <uapi/asm/vsyscall.h>

enum { GETTIMEOFDAY, TIME, GETCPU, FUNCTIONS };

static const int syscall_of[FUNCTIONS] = { __NR_gettimeofday, __NR_time, __NR_getcpu };

static void complain(struct pt_regs *regs, const char *what)
{
	if (show_unhandled_signals)
		printk_ratelimited(KERN_INFO "%s[%d] vsyscall: %s ip:%lx sp:%lx di:%lx si:%lx\n", current->comm,
				   task_pid_nr(current), what, regs->ip, regs->sp, regs->di, regs->si);
}

static bool vsyscall_fail(struct pt_regs *regs, const char *what)
{
	complain(regs, what);
	force_sig(SIGSEGV);
	return true;
}

static int function_at(unsigned long address)
{
	int function = (address & 0xc00) >> 10;

	return (address & 0x3ff) || function >= FUNCTIONS ? -1 : function;
}

/*
 * Seccomp sees these as system calls. True: go on; otherwise a filter has put its own result into
 * ax, or killed.
 */
static bool allowed(struct pt_regs *regs, int nr, bool *killed)
{
	unsigned long ip = regs->ip;
	int skip;

	regs->orig_ax = nr;
	regs->ax = -ENOSYS;
	skip = secure_computing();
	*killed = (!skip && regs->orig_ax != nr) || regs->ip != ip;
	regs->orig_ax = -1;
	return !skip;
}

static long vsyscall_call(struct pt_regs *regs, int function)
{
	switch (function) {
	case GETTIMEOFDAY:
		return sys_gettimeofday((struct __kernel_old_timeval __user *)regs->di,
					(struct timezone __user *)regs->si);
	case TIME:
		return sys_time((__kernel_old_time_t __user *)regs->di);
	default:
		return sys_getcpu((unsigned int __user *)regs->di, (unsigned int __user *)regs->si, NULL);
	}
}

/* As the ret instruction of the page would have. */
static void return_to(struct pt_regs *regs, unsigned long caller)
{
	regs->ip = caller;
	regs->sp += sizeof(long);
}

/*
 * vsyscall_emulate - does what a call into the page asked for
 * @address: where the fault was
 * Returns false if this was no call into the page: the fault is an ordinary one.
 */
bool vsyscall_emulate(struct pt_regs *regs, unsigned long address)
{
	unsigned long caller;
	int function;
	bool killed;
	long result;

	if ((address & PAGE_MASK) != VSYSCALL_ADDR || address != regs->ip)
		return false;
	function = function_at(address);
	if (function < 0)
		return vsyscall_fail(regs, "no function at this address");
	if (get_user(caller, (unsigned long __user *)regs->sp))
		return vsyscall_fail(regs, "no return address");
	if (allowed(regs, syscall_of[function], &killed)) {
		result = vsyscall_call(regs, function);
		if (result == -EFAULT)
			return vsyscall_fail(regs, "bad pointer");
		regs->ax = result;
	}
	if (killed) {
		force_exit_sig(SIGSYS);
		return true;
	}
	return_to(regs, caller);
	return true;
}

static const char *gate_name(struct vm_area_struct *vma)
{
	return "[vsyscall]";
}

static const struct vm_operations_struct gate_operations = {
	.name = gate_name,
};

static struct vm_area_struct gate __ro_after_init = {
	.vm_start = VSYSCALL_ADDR,
	.vm_end = VSYSCALL_ADDR + PAGE_SIZE,
	.vm_flags = VM_EXEC,
	.vm_ops = &gate_operations,
};

struct vm_area_struct *get_gate_vma(struct mm_struct *mm)
{
	return &gate;
}

int in_gate_area_no_mm(unsigned long address)
{
	return (address & PAGE_MASK) == VSYSCALL_ADDR;
}

int in_gate_area(struct mm_struct *mm, unsigned long address)
{
	return in_gate_area_no_mm(address);
}
