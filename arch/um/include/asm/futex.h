/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_FUTEX_H
#define __ASM_UM_FUTEX_H

#include <linux/types.h>

/*
 * Atomic operations on a guest word, done on its alias in the linear map with the entry's table locked
 * (kernel/uaccess.c). Called with page faults disabled; -EFAULT where the word is not there, and the caller faults it in.
 */
int arch_futex_atomic_op_inuser(int op, int operand, int *old, u32 __user *uaddr);
int futex_atomic_cmpxchg_inatomic(u32 *current_value, u32 __user *uaddr, u32 old, u32 new);

#endif
