/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The code that lies in every guest address space: a freestanding program of one page, position independent, without
 * a stack and without libc (so without restartable sequences, which would kill the process once its memory is gone).
 *
 * ptrace engine. The tracer starts it at stub_batch with
 *	%rbx	address of the requests: an array of struct stub_syscall
 *	%r12	how many there are, at least 1
 * It performs them as host system calls and stops at the int3 with %r12 the number of requests not done and %rax the last result.
 * It stops early at the first that fails.
 *
 * Guest code that jumps here makes no host call: under ptrace every system call instruction that the tracer did not
 * start itself is intercepted.
 */
#include "stub_offsets.h"

	.text
	.globl	stub_batch
stub_batch:
	movq	REQUEST_number(%rbx), %rax
	movq	REQUEST_arguments(%rbx), %rdi
	movq	REQUEST_arguments + 8(%rbx), %rsi
	movq	REQUEST_arguments + 16(%rbx), %rdx
	movq	REQUEST_arguments + 24(%rbx), %r10
	movq	REQUEST_arguments + 32(%rbx), %r8
	movq	REQUEST_arguments + 40(%rbx), %r9
	syscall
	cmpq	$-4095, %rax
	jae	1f
	addq	$REQUEST_SIZE, %rbx
	decq	%r12
	jnz	stub_batch
1:	int3
	.section .note.GNU-stack, "", @progbits
