/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_SWITCH_TO_H
#define __ASM_UM_SWITCH_TO_H

#include <asm/current.h>

/* x86_64/entry.S: saves the callee-saved registers on prev's stack and goes on on next's; returns who ran before. */
struct task_struct *switch_stacks(struct task_struct *prev, struct task_struct *next);

/* Interrupts are off, so nobody sees current and the stack disagree. */
#define switch_to(prev, next, last)			\
do {							\
	raw_cpu_write(current_task, (next));		\
	(last) = switch_stacks((prev), (next));		\
} while (0)

#endif
