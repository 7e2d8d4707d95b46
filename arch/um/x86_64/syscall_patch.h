/* SPDX-License-Identifier: GPL-2.0-only */
/* Patched sites, as far as only this folder knows of them. See asm/machine.h for the others. */
#ifndef UM_SYSCALL_PATCH_H
#define UM_SYSCALL_PATCH_H

#include <linux/mm_types.h>

/* syscall_patch.c */
void syscall_patch_stop(struct mm_struct *mm);
void syscall_patch_drop_trampolines(struct mm_struct *mm);

/* vdso_map.c: the pages of trampolines */
unsigned long vdso_map_trampolines(struct mm_struct *mm, unsigned long address);
bool vdso_has_trampolines(struct mm_struct *mm, unsigned long address);

#endif
