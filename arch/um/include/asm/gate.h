/* SPDX-License-Identifier: GPL-2.0-only */
/* The page of the vsyscalls, which every x86-64 process sees in its map. See x86_64/vsyscall.c. */
#ifndef __ASM_UM_GATE_H
#define __ASM_UM_GATE_H
#define __HAVE_ARCH_GATE_AREA 1

#ifndef __ASSEMBLY__
#include <linux/types.h>

struct pt_regs;

/* Does what a call into the page asked for; false: the fault was elsewhere. x86_64/vsyscall.c */
bool vsyscall_emulate(struct pt_regs *regs, unsigned long address);
#endif
#endif
