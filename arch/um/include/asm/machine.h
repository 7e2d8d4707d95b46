/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between arch/um/kernel and the folder of the processor, arch/um/x86_64. Each side
 * includes this header and none of the other side's own; scripts/check-rooms holds them to it.
 *
 * A port to another processor provides the first part and may call the second. With it come the
 * headers that generic Linux asks for by name (asm/ptrace.h, asm/elf.h, asm/syscall.h and so on).
 */
#ifndef __ASM_UM_MACHINE_H
#define __ASM_UM_MACHINE_H

#include <linux/mm_types.h>
#include <linux/types.h>
#include <asm/insn_writes.h>		/* kinds of memory access of an instruction */
#include <asm/debug_regs.h>	/* hardware breakpoints */
#include <asm/gate.h>		/* pages of the kernel that programs call without a trap */
#include <asm/xstate.h>		/* extended state */

struct pt_regs;
struct task_struct;

/*
 * Provided by the processor's folder
 */

/* entry.S: runs function on the stack that ends at top. */
void call_on_stack(void (*function)(void), void *top);
/* entry.S: the return address of a new thread's first frame; calls first_run(). */
void begin_thread(void);

/* syscall_patch.c: system call instructions that were changed into jumps to the stub */
void syscall_patch_seen(unsigned long ip, unsigned long number);
void syscall_patch_roll_back(struct pt_regs *regs, bool stepping);
bool syscall_patch_fault(unsigned long address);
unsigned long syscall_patch_pfn(struct mm_struct *mm, unsigned long address, unsigned long pfn);
bool syscall_patch_covers(struct mm_struct *mm, unsigned long address);
void syscall_patch_zap(struct mm_struct *mm, unsigned long start, unsigned long end);
void syscall_patch_free(struct mm_struct *mm);

/* tsc.c: the processor's clock, and the host's where the processor has none to trust */
u64 clock_ns(void);
void tsc_setup(void);
void tsc_follow(void);

/* vdso_map.c */
void vdso_data_setup(void);

/*
 * Provided by arch/um/kernel
 */

/* process.c: the first steps of a new thread, from begin_thread */
void __noreturn first_run(struct task_struct *prev, int (*fn)(void *), void *argument);

/* setup.c: the kernel's beginning, on its first stack */
void __noreturn start_linux(const char *line);

/* hostmap.c: the host must map this page again, since its content is in another place now */
void hostmap_again(struct mm_struct *mm, unsigned long address);

/* counters.c */
void count_patched_site(void);

/* options.c: whether value is 1 or on, not 0 or off. Ends ./linux for any other word. */
bool option_switch(const char *name, const char *value);

#endif
