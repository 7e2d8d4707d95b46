/* SPDX-License-Identifier: GPL-2.0-only */
/* Registers of a guest thread, or of interrupted kernel code (then cs is 0). Same layout as struct host_regs. */
#ifndef __ASM_UM_PTRACE_H
#define __ASM_UM_PTRACE_H

#include <uapi/asm/ptrace.h>

#ifndef __ASSEMBLY__

#include <asm/segments.h>

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax;
	unsigned long ip, cs, flags, sp, ss;
	unsigned long fs_base, gs_base, ds, es, fs, gs;
};

struct task_struct;

#define user_mode(regs)			((regs)->cs != 0)
#define kernel_stack_pointer(regs)	((regs)->sp)
#define user_stack_pointer(regs)	((regs)->sp)
#define instruction_pointer(regs)	((regs)->ip)
#define profile_pc(regs)		((regs)->ip)
#define frame_pointer(regs)		((regs)->bp)
#define GET_IP(regs)			((regs)->ip)

static inline unsigned long regs_return_value(struct pt_regs *regs)
{
	return regs->ax;
}

static inline void regs_set_return_value(struct pt_regs *regs, unsigned long value)
{
	regs->ax = value;
}

static inline void instruction_pointer_set(struct pt_regs *regs, unsigned long value)
{
	regs->ip = value;
}

static inline void user_stack_pointer_set(struct pt_regs *regs, unsigned long value)
{
	regs->sp = value;
}

/* Interrupted kernel code had interrupts on unless it trapped: the flags of kernel registers carry the soft mask as IF. */
static inline bool regs_irqs_disabled(struct pt_regs *regs)
{
	return !(regs->flags & X86_EFLAGS_IF);
}

/* Registers by name and kernel stack entries, for the kernel's own tracers. See x86_64/regset.c */
#define MAX_REG_OFFSET (offsetof(struct pt_regs, gs))
int regs_query_register_offset(const char *name);
const char *regs_query_register_name(unsigned int offset);
unsigned long regs_get_kernel_stack_nth(struct pt_regs *regs, unsigned int n);
int regs_within_kernel_stack(struct pt_regs *regs, unsigned long address);

static inline unsigned long regs_get_register(struct pt_regs *regs, unsigned int offset)
{
	return offset > MAX_REG_OFFSET ? 0 : *(unsigned long *)((unsigned long)regs + offset);
}

#define arch_has_single_step()	(1)
#define ARCH_HAS_USER_SINGLE_STEP_REPORT
#define current_pt_regs()	task_pt_regs(current)
#define current_user_stack_pointer() (current_pt_regs()->sp)

#endif
#endif
