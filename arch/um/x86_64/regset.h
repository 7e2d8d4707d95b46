/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Register sets, by their index in the view of task_user_regset_view(), and single general
 * registers.
 */
#ifndef UM_REGSET_H
#define UM_REGSET_H

struct task_struct;

enum { REGSET_GENERAL, REGSET_FX, REGSET_XSAVE };

/*
 * offset: a multiple of 8 within struct user_regs_struct. -EIO: the register cannot have this
 * value.
 */
unsigned long regs_get_field(struct task_struct *task, unsigned long offset);
int regs_set_field(struct task_struct *task, unsigned long offset, unsigned long value);

#endif
