/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The code of a stub process under the seccomp engine: one page, position independent, at a random address, with its control page and
 * its state in the pages behind it (seccomp.h). Two threads run it:
 *
 *  - the guest thread, whose signal handler is stub_trap. It says that it trapped, waits for its turn and returns to guest code by
 *    rt_sigreturn. Or it called: stub_fast_entry is where patched sites of guest programs jump to (x86_64/syscall_patch.c), which is a trap without a
 *    signal, and from which it goes back by a jump where its registers allow. Its filter allows the system call instructions at the stub_sys_ labels below, with the arguments that they have
 *    here, and makes a trap of any other;
 *  - the mapper, which performs requests (mmap, munmap, mprotect) and reports to an eventfd. It never runs guest code, and what it
 *    works with is its registers and pages that guest code cannot write: no stack.
 *
 * Guest code may jump to any instruction here with any registers. So everything after a wait is computed anew from constants and from the
 * control page, and nothing here is worth more to guest code than a trap: to claim one, to wait, to return to registers of its own choice.
 */
#include "seccomp.h"
#include "stub_offsets.h"

#define AT_CONTROL(field)	stub_code + STUB_PAGE + CONTROL_##field(%rip)
#define AT_STATE(field)		stub_code + 2 * STUB_PAGE + STATE_##field(%rip)

#define AT_REG(name)		stub_code + 2 * STUB_PAGE + STATE_regs + REG_##name(%rip)
#define AT_SETUP(field)		stub_code + STUB_PAGE + CONTROL_setup + SETUP_##field(%rip)

#define NR_write	1
#define NR_close	3
#define NR_munmap	11
#define NR_rt_sigprocmask 14
#define NR_rt_sigreturn	15
#define NR_getpid	39
#define NR_clone	56
#define NR_prctl	157
#define NR_arch_prctl	158
#define NR_futex	202
#define NR_exit_group	231
#define NR_seccomp	317
#define SIGUSR1		10
#define FUTEX_WAIT	0
#define FUTEX_WAKE	1
#define SIG_SETMASK	2
#define SET_FS		0x1002
#define SET_GS		0x1001
#define SET_TSC		26		/* PR_SET_TSC */
#define CLONE_FLAGS	0x50b00		/* VM, FS, SIGHAND, THREAD, SYSVSEM; not FILES */
#define FILTER		1		/* SECCOMP_SET_MODE_FILTER */

.macro call_seccomp			/* %rdx: the program */
	movl	$NR_seccomp, %eax
	movl	$FILTER, %edi
	movl	AT_SETUP(filter_flags), %esi
	syscall
.endm

	.section .code, "ax"
	.globl	stub_code, stub_enter
stub_code:				/* struct stub_entries */
	.long	stub_trap - stub_code, stub_sys_wake - stub_code, stub_sys_wait - stub_code, stub_sys_fs - stub_code
	.long	stub_sys_gs - stub_code, stub_sys_return - stub_code, stub_probe - stub_code
	.long	stub_fast_entry - stub_code, stub_told - stub_code, stub_back_end - stub_code
	.long	stub_sys_tsc - stub_code

/* ---- the guest thread; entered as a signal handler, all signals blocked ---- */

stub_trap:
	cld
	cmpl	$SIGUSR1, %edi
	je	2f
1:	movq	%rsp, AT_STATE(frame)
	movl	$0, AT_STATE(called)
	jmp	tell

	/*
	 * A kick. In a call that is still to be told, or whose turn the kernel has, it must not be a trap of its own: it is noted for the way
	 * back. Once the turn is given it is one, and the kernel knows what it gave.
	 */
2:	movq	FRAME_ip(%rdx), %rax
	leaq	stub_fast_entry(%rip), %rcx
	subq	%rcx, %rax
	cmpq	$stub_back_end - stub_fast_entry, %rax
	jae	1b
	cmpq	$stub_told - stub_fast_entry, %rax
	jb	3f
	cmpl	$STUB_TRAPPED, AT_STATE(owner)
	jne	1b
3:	movl	$1, AT_STATE(kicked)
	addq	$8, %rsp
	movl	$NR_rt_sigreturn, %eax
	jmp	stub_sys_return

/*
 * ---- a call: %rcx is where it goes on, all other registers are the caller's ----
 * Guest code's stack is not touched. Extended state is stored for the kernel and stays in the registers.
 */
stub_fast_entry:
	movq	%rsp, AT_REG(sp)
	leaq	AT_STATE(STACK), %rsp
	pushfq
	popq	AT_REG(flags)
	movq	%rcx, AT_REG(ip)
	movq	%rax, AT_REG(ax)
	movq	%rbx, AT_REG(bx)
	movq	%rdx, AT_REG(dx)
	movq	%rsi, AT_REG(si)
	movq	%rdi, AT_REG(di)
	movq	%rbp, AT_REG(bp)
	movq	%r8, AT_REG(r8)
	movq	%r9, AT_REG(r9)
	movq	%r10, AT_REG(r10)
	movq	%r12, AT_REG(r12)
	movq	%r13, AT_REG(r13)
	movq	%r14, AT_REG(r14)
	movq	%r15, AT_REG(r15)
	movl	AT_CONTROL(features), %eax
	movl	4 + AT_CONTROL(features), %edx
	movq	AT_CONTROL(call_xstate), %rcx
	xsaveopt64 (%rcx)
	stmxcsr	24(%rcx)		/* left out where all else of SSE is in its first state */
	movl	$1, AT_STATE(called)
	cld

tell:	movl	%ds, %eax
	movl	%eax, AT_STATE(ds)
	movl	%es, %eax
	movl	%eax, AT_STATE(es)
	movl	%fs, %eax
	movl	%eax, AT_STATE(fs)
	movl	%gs, %eax
	movl	%eax, AT_STATE(gs)
	cmpl	$0, AT_CONTROL(fsgsbase)
	je	1f
	rdfsbase %rax
	movq	%rax, AT_STATE(fs_base)
	rdgsbase %rax
	movq	%rax, AT_STATE(gs_base)
1:	movl	$STUB_TRAPPED, %eax
	xchgl	%eax, AT_STATE(owner)
stub_told:
	cmpl	$0, AT_STATE(kernel_sleeps)
	je	2f
	movl	$NR_futex, %eax
	leaq	AT_STATE(owner), %rdi
	movl	$FUTEX_WAKE, %esi
	movl	$1, %edx
	xorl	%r10d, %r10d
stub_sys_wake:
	syscall
2:	movl	AT_CONTROL(spin_loops), %ecx
	incl	%ecx			/* once in any case: who was woken may be done already */
3:	cmpl	$STUB_TRAPPED, AT_STATE(owner)
	jne	resume
	decl	%ecx
	jz	4f
	pause
	jmp	3b
4:	movl	$1, %eax
	xchgl	%eax, AT_STATE(stub_sleeps)
	movl	$NR_futex, %eax
	leaq	AT_STATE(owner), %rdi
	movl	$FUTEX_WAIT, %esi
	movl	$STUB_TRAPPED, %edx
	xorl	%r10d, %r10d
stub_sys_wait:
	syscall
	cmpl	$STUB_TRAPPED, AT_STATE(owner)
	je	4b
resume:	movl	$0, AT_STATE(stub_sleeps)

	/* Selectors first: to load one of fs or gs loads its base too. */
	movl	%ds, %eax
	movl	AT_CONTROL(ds), %edx
	cmpl	%eax, %edx
	je	1f
	movl	%edx, %ds
1:	movl	%es, %eax
	movl	AT_CONTROL(es), %edx
	cmpl	%eax, %edx
	je	1f
	movl	%edx, %es
1:	movl	%fs, %eax
	movl	AT_CONTROL(fs), %edx
	cmpl	%eax, %edx
	je	1f
	movl	%edx, %fs
1:	movl	%gs, %eax
	movl	AT_CONTROL(gs), %edx
	cmpl	%eax, %edx
	je	1f
	movl	%edx, %gs
1:	cmpl	$0, AT_CONTROL(set_bases)
	je	5f
	cmpl	$0, AT_CONTROL(fsgsbase)
	je	1f
	movq	AT_CONTROL(fs_base), %rax
	wrfsbase %rax
	movq	AT_CONTROL(gs_base), %rax
	wrgsbase %rax
	jmp	5f
1:	movl	$NR_arch_prctl, %eax
	movl	$SET_FS, %edi
	movq	AT_CONTROL(fs_base), %rsi
stub_sys_fs:
	syscall
	movl	$NR_arch_prctl, %eax
	movl	$SET_GS, %edi
	movq	AT_CONTROL(gs_base), %rsi
stub_sys_gs:
	syscall
5:	movl	AT_CONTROL(tsc), %esi
	testl	%esi, %esi
	jz	9f
	movl	$NR_prctl, %eax
	movl	$SET_TSC, %edi
stub_sys_tsc:
	syscall
9:	movl	AT_CONTROL(back), %eax
	testl	%eax, %eax		/* BACK_HANDLER */
	jz	6f
	cmpl	$0, AT_STATE(kicked)
	jne	7f
	cmpl	$BACK_CALL, %eax
	je	8f
6:	movq	AT_CONTROL(frame), %rsp
	movl	$NR_rt_sigreturn, %eax
stub_sys_return:
	syscall
7:	ud2				/* the kick comes as a trap here */
8:	movq	AT_REG(flags), %r11
	leaq	AT_STATE(STACK), %rsp
	pushq	%r11
	popfq
	movq	AT_REG(ax), %rax
	movq	AT_REG(bx), %rbx
	movq	AT_REG(dx), %rdx
	movq	AT_REG(si), %rsi
	movq	AT_REG(di), %rdi
	movq	AT_REG(bp), %rbp
	movq	AT_REG(r8), %r8
	movq	AT_REG(r9), %r9
	movq	AT_REG(r10), %r10
	movq	AT_REG(r12), %r12
	movq	AT_REG(r13), %r13
	movq	AT_REG(r14), %r14
	movq	AT_REG(r15), %r15
	movq	AT_REG(sp), %rsp
	movq	AT_REG(ip), %rcx
	jmp	*%rcx
stub_back_end:

/*
 * ---- the beginning; no stack from here on ----
 * The control page still holds struct stub_setup. What fails ends the process with a number for its exit status.
 */
stub_enter:
	movl	$NR_clone, %eax
	movl	$CLONE_FLAGS, %edi
	xorl	%esi, %esi
	xorl	%edx, %edx
	xorl	%r10d, %r10d
	xorl	%r8d, %r8d
	syscall
	movl	$STUB_NO_MAPPER, %r12d
	testq	%rax, %rax
	jz	stub_mapper
	js	fail
	movq	%rax, %rbp		/* the kernel reads the mapper's thread id there */
	movl	$NR_munmap, %eax
	movq	AT_SETUP(unmap), %rdi
	movq	AT_SETUP(unmap + 8), %rsi
	syscall
	movl	$STUB_NO_ROOM_BELOW, %r12d
	testq	%rax, %rax
	jnz	fail
	movl	$NR_munmap, %eax
	movq	AT_SETUP(unmap + 16), %rdi
	movq	AT_SETUP(unmap + 24), %rsi
	syscall
	movl	$STUB_NO_ROOM_ABOVE, %r12d
	testq	%rax, %rax
	jnz	fail
	movl	$STUB_FD_IMAGE, %ebx
1:	movl	$NR_close, %eax
	movl	%ebx, %edi
	syscall
	decl	%ebx
	jns	1b
	movl	$NR_rt_sigprocmask, %eax
	movl	$SIG_SETMASK, %edi
	leaq	AT_SETUP(no_signals), %rsi
	xorl	%edx, %edx
	movl	$8, %r10d
	syscall
	leaq	AT_SETUP(guest_program), %rdx
	call_seccomp
	movl	$STUB_NO_FILTER, %r12d
	testq	%rax, %rax
	jnz	fail
stub_probe:				/* the first trap */
	movl	$NR_getpid, %eax
	syscall
fail:	movl	$NR_exit_group, %eax
	movl	%r12d, %edi
	syscall
	ud2

/* ---- the mapper ---- */

stub_mapper:
	movl	$NR_close, %eax
	movl	$STUB_FD_IMAGE, %edi
	syscall
	movl	$NR_close, %eax
	movl	$STUB_FD_CONTROL, %edi
	syscall
	leaq	AT_SETUP(mapper_program), %rdx
	call_seccomp
	movl	$STUB_NO_MAPPER_FILTER, %r12d
	testq	%rax, %rax
	jnz	fail
	xorl	%r12d, %r12d		/* the last sequence number seen */
	xorl	%r14d, %r14d
	jmp	5f			/* says that it is there */
1:	movl	AT_CONTROL(sequence), %eax
	cmpl	%eax, %r12d
	jne	2f
	movl	$NR_futex, %eax
	leaq	AT_CONTROL(sequence), %rdi
	movl	$FUTEX_WAIT, %esi
	movl	%r12d, %edx
	xorl	%r10d, %r10d
	syscall
	jmp	1b
2:	movl	%eax, %r12d
	movl	AT_CONTROL(count), %r13d
	leaq	stub_code + STUB_PAGE + CONTROL_requests(%rip), %rbx
	xorl	%r14d, %r14d
3:	testl	%r13d, %r13d
	jz	5f
	movq	REQUEST_number(%rbx), %rax
	movq	REQUEST_arguments(%rbx), %rdi
	movq	REQUEST_arguments + 8(%rbx), %rsi
	movq	REQUEST_arguments + 16(%rbx), %rdx
	movq	REQUEST_arguments + 24(%rbx), %r10
	movq	REQUEST_arguments + 32(%rbx), %r8
	movq	REQUEST_arguments + 40(%rbx), %r9
	syscall
	cmpq	$-4095, %rax
	jae	4f
	addq	$REQUEST_SIZE, %rbx
	decl	%r13d
	jmp	3b
4:	negl	%eax
	movl	$STUB_MAX_ERROR, %r14d
	cmpl	%r14d, %eax
	cmovbl	%eax, %r14d
5:	movl	$NR_write, %eax
	movl	$STUB_FD_DONE, %edi
	leaq	reports(%rip), %rsi
	leaq	(%rsi,%r14,8), %rsi
	movl	$8, %edx
	syscall
	jmp	1b

/* What is added to the eventfd: the error plus one. */
	.balign	8
reports:
	.set	i, 1
	.rept	STUB_MAX_ERROR + 1
	.quad	i
	.set	i, i + 1
	.endr
	.globl	stub_code_end
stub_code_end:
	.section .note.GNU-stack, "", @progbits
