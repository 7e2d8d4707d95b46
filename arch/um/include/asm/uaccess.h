/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory, seen from the kernel: found through the guest's page tables and reached through the linear map.
 * A user address is never a pointer here (kernel/uaccess.c).
 */
#ifndef __ASM_UM_UACCESS_H
#define __ASM_UM_UACCESS_H

#include <linux/string.h>
#include <asm/asm.h>
#include <asm/extable.h>
#include <asm/processor.h>

unsigned long raw_copy_from_user(void *to, const void __user *from, unsigned long n);
unsigned long raw_copy_to_user(void __user *to, const void *from, unsigned long n);
unsigned long __clear_user(void __user *to, unsigned long n);
long strncpy_from_user(char *to, const char __user *from, long n);
long strnlen_user(const char __user *from, long n);

#define __clear_user __clear_user
#define INLINE_COPY_FROM_USER
#define INLINE_COPY_TO_USER

/* Kernel memory that may not be there: the exception table takes a fault to the label. */
#define __get_kernel_nofault(dst, src, type, label)				\
do {										\
	type __value;								\
	asm_goto_output("1: mov %[from], %[to]\n"				\
			_ASM_EXTABLE(1b, %l[label])				\
			: [to] "=q" (__value) : [from] "m" (*(type *)(src)) : : label); \
	*(type *)(dst) = __value;						\
} while (0)

#define __put_kernel_nofault(dst, src, type, label)				\
do {										\
	type __value = *(type *)(src);						\
	asm goto("1: mov %[from], %[to]\n"					\
		 _ASM_EXTABLE(1b, %l[label])					\
		 : : [from] "q" (__value), [to] "m" (*(type *)(dst)) : "memory" : label); \
} while (0)

#include <asm-generic/uaccess.h>

#endif
