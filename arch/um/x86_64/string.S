/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving and filling memory with the string instructions; short moves with two overlapping words.
 */
#include <linux/linkage.h>
#include <linux/export.h>

	.text

SYM_FUNC_START(memcpy)
	movq	%rdi, %rax
	cmpq	$16, %rdx
	ja	.Llong
	cmpq	$8, %rdx
	jae	.Lwords
	movq	%rdx, %rcx
	rep movsb
	ret
.Lwords:
	movq	(%rsi), %r8
	movq	-8(%rsi,%rdx), %r9
	movq	%r8, (%rdi)
	movq	%r9, -8(%rdi,%rdx)
	ret
.Llong:
	movq	%rdx, %rcx
	rep movsb
	ret
SYM_FUNC_END(memcpy)
SYM_FUNC_ALIAS(__memcpy, memcpy)
EXPORT_SYMBOL(memcpy)
EXPORT_SYMBOL(__memcpy)

SYM_FUNC_START(memmove)
	movq	%rdi, %rax
	movq	%rdi, %rcx
	subq	%rsi, %rcx
	cmpq	%rdx, %rcx
	jb	.Lbackward
	movq	%rdx, %rcx
	rep movsb
	ret
.Lbackward:
	cmpq	$8, %rdx
	jb	.Lbytes
	subq	$8, %rdx
	movq	(%rsi,%rdx), %r8
	movq	%r8, (%rdi,%rdx)
	jmp	.Lbackward
.Lbytes:
	testq	%rdx, %rdx
	jz	.Ldone
	subq	$1, %rdx
	movb	(%rsi,%rdx), %r8b
	movb	%r8b, (%rdi,%rdx)
	jmp	.Lbytes
.Ldone:
	ret
SYM_FUNC_END(memmove)
SYM_FUNC_ALIAS(__memmove, memmove)
EXPORT_SYMBOL(memmove)
EXPORT_SYMBOL(__memmove)

SYM_FUNC_START(memset)
	movq	%rdi, %r8
	movl	%esi, %eax
	movq	%rdx, %rcx
	rep stosb
	movq	%r8, %rax
	ret
SYM_FUNC_END(memset)
SYM_FUNC_ALIAS(__memset, memset)
EXPORT_SYMBOL(memset)
EXPORT_SYMBOL(__memset)

SYM_FUNC_START(clear_page)
	xorl	%eax, %eax
	movl	$512, %ecx
	rep stosq
	ret
SYM_FUNC_END(clear_page)
EXPORT_SYMBOL(clear_page)

SYM_FUNC_START(copy_page)
	movl	$512, %ecx
	rep movsq
	ret
SYM_FUNC_END(copy_page)
EXPORT_SYMBOL(copy_page)
