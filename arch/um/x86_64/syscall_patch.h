/* SPDX-License-Identifier: GPL-2.0-only */
/* Call sites, as far as only this folder knows of them. See asm/machine.h for the others. */
#ifndef UM_CALL_SITES_H
#define UM_CALL_SITES_H

#include <linux/mm_types.h>

/* syscall_patch.c */
void call_sites_stop(struct mm_struct *mm);
void call_sites_lose_thunks(struct mm_struct *mm);

/* vdso_map.c: the pages of thunks */
unsigned long vdso_map_thunks(struct mm_struct *mm, unsigned long address);
bool vdso_has_thunks(struct mm_struct *mm, unsigned long address);

#endif
