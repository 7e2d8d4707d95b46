/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef UM_PRCTL_H
#define UM_PRCTL_H

struct task_struct;

/*
 * arch_prctl() on behalf of task, which is current or stopped. -EINVAL: an option that only the
 * caller itself can use.
 */
long arch_prctl(struct task_struct *task, int option, unsigned long argument);

#endif
