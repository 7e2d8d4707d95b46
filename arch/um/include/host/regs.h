/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 2: registers. Both sides and the assembly agree on this one layout, which is the order of
 * struct user_regs_struct in <sys/user.h>, so that PTRACE_GETREGS and PTRACE_SETREGS move it as it is.
 * The kernel side's struct pt_regs has the same fields.
 */
#ifndef HOST_REGS_H
#define HOST_REGS_H

#define HOST_REG_WORDS 27

struct host_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss, fs_base, gs_base, ds, es, fs, gs;
};

#endif
