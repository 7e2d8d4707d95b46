/* SPDX-License-Identifier: GPL-2.0-only */
/* The running task hangs off the per-CPU area. */
#ifndef __ASM_UM_CURRENT_H
#define __ASM_UM_CURRENT_H

#ifndef __ASSEMBLY__
#include <asm/percpu.h>

struct task_struct;

DECLARE_PER_CPU(struct task_struct *, current_task);

static __always_inline struct task_struct *get_current(void)
{
	return raw_cpu_read(current_task);
}

#define current get_current()
#endif
#endif
