/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_PROCESSOR_H
#define __ASM_UM_PROCESSOR_H

#include <asm/ptrace.h>
#include <asm/cpufeature.h>
#include <asm/page.h>
#include <asm/percpu.h>
#include <asm/vdso/processor.h>
#include <linux/cache.h>
#include <linux/math64.h>

struct task_struct;
struct mm_struct;

/* What a thread has besides pt_regs (which lie at the top of its kernel stack). */
struct thread_struct {
	unsigned long sp;		/* kernel stack pointer while switched out */

	/* Extended state: in the buffer, or newer in the stub of the address space xstate_live. See x86_64/xstate.c */
	void *xstate;
	struct mm_struct *xstate_live;

	/* The last fault, for the signal frame */
	unsigned long cr2, error_code, trap_nr;

	unsigned long debug[8];		/* debug registers as a debugger set them */
	unsigned long debug_id;		/* names this state of them; 0: none is on. See asm/debug_regs.h */
	bool stack_guarded;		/* see kernel/stack.c */
	bool single_step;		/* a debugger steps this thread */

	/* A child of vfork: a stub for the program that it will run, and that one's page. See kernel/address_space.c */
	struct host_space *reserved;
	void *reserved_page;
};

#define INIT_THREAD { }

extern unsigned long host_task_size;
#define TASK_SIZE		host_task_size
#define TASK_SIZE_MAX		host_task_size
#define TASK_SIZE_OF(task)	host_task_size
#define STACK_TOP		host_task_size
#define STACK_TOP_MAX		host_task_size
#define TASK_UNMAPPED_BASE	PAGE_ALIGN(TASK_SIZE / 3)

#define task_pt_regs(task) \
	((struct pt_regs *)(task_stack_page(task) + THREAD_SIZE - 16) - 1)
#define KSTK_EIP(task)		(task_pt_regs(task)->ip)
#define KSTK_ESP(task)		(task_pt_regs(task)->sp)

/* A macro, since task_stack_page() is not known yet. */
#define on_thread_stack() \
	((unsigned long)__builtin_frame_address(0) - (unsigned long)task_stack_page(current) < THREAD_SIZE)

unsigned long arch_align_stack(unsigned long sp);
#define arch_randomize_brk arch_randomize_brk
void start_thread(struct pt_regs *regs, unsigned long ip, unsigned long sp);
unsigned long __get_wchan(struct task_struct *task);

/* x86_64/prctl.c, for kernel/sys.c and kernel/seccomp.c */
int get_tsc_mode(unsigned long address);
int set_tsc_mode(unsigned int mode);
void disable_TSC(void);
#define GET_TSC_CTL(address)	get_tsc_mode(address)
#define SET_TSC_CTL(mode)	set_tsc_mode(mode)

#endif
