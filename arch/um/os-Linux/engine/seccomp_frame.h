/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The signal frame that the host makes on x86-64, as it lies in memory that we share with a stub
 * process (Linux: arch/x86/include/uapi/asm/sigcontext.h and ucontext.h). libc's ucontext_t has
 * another size of the signal mask.
 */
#ifndef SECCOMP_FRAME_H
#define SECCOMP_FRAME_H

struct signal_context {
	unsigned long r8, r9, r10, r11, r12, r13, r14, r15;
	unsigned long di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	unsigned short cs, gs, fs, ss;
	unsigned long error_code, trapno, old_mask, cr2;
	/* address of the extended state in the stub process; it lies behind this structure */
	unsigned long fpstate;
	unsigned long reserved[8];
};

struct signal_frame {
	unsigned long restorer;
	struct {
		unsigned long flags, link;
		unsigned long stack[3];
		struct signal_context regs;
		unsigned long mask;
	} context;
	struct {
		int signo, error, code, padding;
		unsigned long address;
		int syscall;
		unsigned int arch;
	} info;
};

#define LEGACY_SIZE	512	/* of x87 and SSE state, with which every frame's extended state begins (FXSAVE) */

/* The bytes of extended state that the host uses for itself (struct _fpx_sw_bytes). */
#define FRAME_SW_OFFSET	464
#define FRAME_SW_MAGIC	0x46505853
struct frame_sw_bytes {
	unsigned int magic, extended_size;
	unsigned long features;
	unsigned int size, padding[7];
};

#endif
