/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The code that lies in every guest address space: a freestanding program of one page, position independent, without
 * a stack and without libc (so without restartable sequences, which would kill the process once its memory is gone).
 *
 * ptrace engine. The tracer starts it at stub_batch with
 *	%rbx	address of the requests: an array of { number, six arguments }, 56 bytes each
 *	%r12	how many there are, at least 1
 * It performs them as host system calls and stops at the int3 with %r12 the number of requests not done and %rax the last result.
 * It stops early at the first that fails.
 *
 * Guest code that jumps here makes no host call: under ptrace every system call instruction that the tracer did not
 * start itself is intercepted.
 */
	.text
	.globl	stub_batch
stub_batch:
	movq	(%rbx), %rax
	movq	8(%rbx), %rdi
	movq	16(%rbx), %rsi
	movq	24(%rbx), %rdx
	movq	32(%rbx), %r10
	movq	40(%rbx), %r8
	movq	48(%rbx), %r9
	syscall
	cmpq	$-4095, %rax
	jae	1f
	addq	$56, %rbx
	decq	%r12
	jnz	stub_batch
1:	int3
	.section .note.GNU-stack, "", @progbits
