/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changing stacks, and the way in and out of kernel code that a host signal interrupted. Frame
 * pointers chain through all of it, for stack traces.
 */
#include <linux/linkage.h>
#include <asm/asm-offsets.h>
#include <asm/thread_info.h>

	.text

/*
 * struct task_struct *switch_stacks(prev, next): the frame is struct switch_frame of
 * kernel/stacktrace.c.
 */
SYM_FUNC_START(switch_stacks)
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, TASK_THREAD_SP(%rdi)
	movq	TASK_THREAD_SP(%rsi), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	movq	%rdi, %rax
	ret
SYM_FUNC_END(switch_stacks)

/* void call_on_stack(function, top): frame pointers lead back to the stack that it came from. */
SYM_FUNC_START(call_on_stack)
	pushq	%rbp
	movq	%rsp, %rbp
	movq	%rsi, %rsp
	call	*%rdi
	movq	%rbp, %rsp
	popq	%rbp
	ret
SYM_FUNC_END(call_on_stack)

/*
 * The first thing a new thread does: struct first_frame of kernel/process.c put its function and
 * argument here.
 */
SYM_FUNC_START(begin_thread)
	movq	%rax, %rdi
	movq	%rbx, %rsi
	movq	%r12, %rdx
	xorl	%ebp, %ebp
	andq	$-16, %rsp
	call	first_run
	ud2
SYM_FUNC_END(begin_thread)

/*
 * void kernel_start(command_line): leaves the host's stack for the initial task's, with room for
 * its struct pt_regs.
 */
SYM_FUNC_START(kernel_start)
	leaq	init_stack + THREAD_SIZE - 256(%rip), %rsp
	xorl	%ebp, %ebp
	call	start_linux
	ud2
SYM_FUNC_END(kernel_start)

/*
 * The signal handler let the thread continue here, with %rsp and %rdi at a struct kernel_trap below
 * the interrupted stack pointer, and %rbp at a frame that leads back to the interrupted one.
 * Between the two lie three words that are ours: flags, bp, ip. Interrupts may come again from when
 * kernel_trap() enabled them, so nothing above %rsp may be needed after %rsp moved past it: one
 * load moves it to the three words.
 */
SYM_FUNC_START(kernel_trap_entry)
	call	kernel_trap
	movq	REGS_sp(%rsp), %rcx
	subq	$24, %rcx
	movq	%rcx, REGS_sp(%rsp)
	movq	REGS_flags(%rsp), %rax
	movq	%rax, (%rcx)
	movq	REGS_bp(%rsp), %rax
	movq	%rax, 8(%rcx)
	movq	REGS_ip(%rsp), %rax
	movq	%rax, 16(%rcx)
	movq	REGS_r15(%rsp), %r15
	movq	REGS_r14(%rsp), %r14
	movq	REGS_r13(%rsp), %r13
	movq	REGS_r12(%rsp), %r12
	movq	REGS_bx(%rsp), %rbx
	movq	REGS_r11(%rsp), %r11
	movq	REGS_r10(%rsp), %r10
	movq	REGS_r9(%rsp), %r9
	movq	REGS_r8(%rsp), %r8
	movq	REGS_ax(%rsp), %rax
	movq	REGS_cx(%rsp), %rcx
	movq	REGS_dx(%rsp), %rdx
	movq	REGS_si(%rsp), %rsi
	movq	REGS_di(%rsp), %rdi
	movq	REGS_sp(%rsp), %rsp
	popfq
	popq	%rbp
	ret
SYM_FUNC_END(kernel_trap_entry)
