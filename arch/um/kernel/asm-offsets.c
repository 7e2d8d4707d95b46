// SPDX-License-Identifier: GPL-2.0-only
/* Offsets of structure fields for assembly; Kbuild turns this into asm-offsets.h. */
#include <linux/kbuild.h>
#include <linux/sched.h>
#include <host/process.h>

int main(void)
{
	OFFSET(TASK_THREAD_SP, task_struct, thread.sp);
	DEFINE(KERNEL_TRAP_SIZE, sizeof(struct kernel_trap));
	OFFSET(REGS_r15, host_regs, r15);
	OFFSET(REGS_r14, host_regs, r14);
	OFFSET(REGS_r13, host_regs, r13);
	OFFSET(REGS_r12, host_regs, r12);
	OFFSET(REGS_bp, host_regs, bp);
	OFFSET(REGS_bx, host_regs, bx);
	OFFSET(REGS_r11, host_regs, r11);
	OFFSET(REGS_r10, host_regs, r10);
	OFFSET(REGS_r9, host_regs, r9);
	OFFSET(REGS_r8, host_regs, r8);
	OFFSET(REGS_ax, host_regs, ax);
	OFFSET(REGS_cx, host_regs, cx);
	OFFSET(REGS_dx, host_regs, dx);
	OFFSET(REGS_si, host_regs, si);
	OFFSET(REGS_di, host_regs, di);
	OFFSET(REGS_ip, host_regs, ip);
	OFFSET(REGS_flags, host_regs, flags);
	OFFSET(REGS_sp, host_regs, sp);
	return 0;
}
