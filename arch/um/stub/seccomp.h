/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stub's pages under the seccomp engine, for its code (seccomp.S, seccomp_start.c) and for the
 * host side (seccomp_*.c). docs/reference/stub-pages.md has a table of each structure, which
 * docs.t compares with this file. From the base, a random address:
 *
 *	page 0		code, read and execute
 *	page 1		control, read only: the kernel writes them, the stub process cannot
 *	page 2		state, read and write: guest code can forge all of it
 *	page 3...	the signal stack, which holds one frame, and after it, on separate pages,
 *			the frame of a call; read and write
 *
 * All but the code are pages of one file that the kernel process maps as well.
 */
#ifndef STUB_SECCOMP_H
#define STUB_SECCOMP_H

#define STUB_PAGE	4096
#define STUB_CODE_OFFSET STUB_PAGE	/* of page 0 in the program's file */

/* Descriptors of a new stub process. Guest code ends up with none, the mapper with the first two. */
#define STUB_FD_RAM	0
#define STUB_FD_DONE	1	/* an eventfd: requests done */
#define STUB_FD_CONTROL	2	/* the file of control pages, states and signal stacks */
#define STUB_FD_IMAGE	3	/* the stub program */

/* struct stub_state: `owner`, which is a futex, says whose turn it is. */
#define STUB_RUNS	0	/* guest code */
#define STUB_TRAPPED	1	/* the kernel */
#define STUB_GONE	2	/* a child process ended: it may be this one (written by the kernel) */

#define STATE_STACK	512	/* the end of the stub's own stack, in the state's page */

#define CONTROL_MAX_REQUESTS	64

/* struct stub_control: how the guest thread goes back to guest code. */
#define BACK_HANDLER	0	/* it trapped: by rt_sigreturn */
#define BACK_CALL	1	/* it called: by a jump, with the registers in the state, extended state as it is */
#define BACK_CALL_FRAME	2	/* it called: by rt_sigreturn all the same */

/* Registers of a call: the first words of struct host_regs, the last of them the stack pointer. */
#define STUB_REGS	20

/* Exit statuses of a stub process that could not get ready: the call that failed. */
#define STUB_NO_CODE		2
#define STUB_NO_CONTROL		3
#define STUB_NO_ACTION		4
#define STUB_NO_STACK		5
#define STUB_NO_MASK		6
#define STUB_NO_MAPPER		10
#define STUB_NO_ROOM_BELOW	11
#define STUB_NO_ROOM_ABOVE	12
#define STUB_NO_FILTER		13
#define STUB_NO_MAPPER_FILTER	14

#define STUB_MAX_ERROR		133	/* the largest errno that is told from the others */

#ifndef __ASSEMBLER__

#include <stddef.h>

#include "call.h"

/* At the beginning of the code page: offsets in it. The calls are system call instructions that the guest thread may make. */
struct stub_entries {
	unsigned int trap, sys_wake, sys_wait, sys_fs, sys_gs, sys_return;
	unsigned int probe;		/* code that traps by a system call */
	unsigned int fast_entry;	/* where patched sites jump to */
	unsigned int told, back_end;	/* from when the kernel may have the turn of a call, to when guest code goes on */
	unsigned int sys_tsc;		/* one more of the calls */
};

/* Written by guest code, read once by the kernel, trusted by nobody. */
struct stub_state {
	unsigned int owner;		/* a futex: STUB_RUNS, STUB_TRAPPED or STUB_GONE */
	unsigned int kernel_sleeps;	/* in futex wait for the turn: wake it */
	unsigned int stub_sleeps;
	unsigned int unused;
	unsigned long fs_base, gs_base;	/* where guest code can change them */
	unsigned int ds, es, fs, gs;	/* selectors at the trap */
	unsigned long unused2, frame;	/* where the signal frame is; of use before there is guest code */
	unsigned int called;		/* the trap was a call: these are its registers */
	unsigned int kicked;		/* during a call */
	unsigned long unused3[7];
	unsigned long regs[STUB_REGS];
};

#define STUB_FILTER_MAX	80	/* instructions of a seccomp filter, at most */

/* What the program needs before guest code runs; lies where the first requests will. */
struct stub_setup {
	struct {
		unsigned long handler, flags, restorer, mask;
	} action;			/* as rt_sigaction(2) takes it; for all signals that are traps */
	struct {
		unsigned long base;
		int flags, padding;
		unsigned long size;
	} stack;			/* as sigaltstack(2) takes it */
	unsigned long all_signals, no_signals;
	unsigned long unmap[2][2];	/* address and length: all but ours */
	struct {
		unsigned short length;
		unsigned long filter;
	} guest_program, mapper_program;	/* as seccomp(2) takes them */
	unsigned long filter_flags;	/* and its flags for both */
	unsigned long filters[2][STUB_FILTER_MAX];	/* 8 bytes each */
};

struct stub_control {
	unsigned int sequence;		/* a futex: a new number starts the requests */
	unsigned int count;
	unsigned int spin_loops;	/* before guest code's thread sleeps */
	unsigned int fsgsbase;		/* the instructions for segment bases exist */
	unsigned long frame;		/* where rt_sigreturn finds the frame: the stack pointer for it */
	unsigned long fs_base, gs_base;
	unsigned int set_bases;		/* give the thread these two */
	unsigned int back;		/* BACK_* */
	unsigned int ds, es, fs, gs;	/* selectors to give it */
	unsigned long features;		/* of extended state, that a call stores */
	unsigned long call_xstate;	/* where */
	unsigned int tsc;		/* PR_TSC_*: a mode for the thread; 0: none */
	unsigned int unused;
	union {
		struct stub_syscall requests[CONTROL_MAX_REQUESTS];
		struct stub_setup setup;
	};
};

_Static_assert(sizeof(struct stub_control) <= STUB_PAGE, "one page");
_Static_assert(sizeof(struct stub_state) <= STATE_STACK - 16, "room for two words on the stack");

#endif
#endif
