/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of arch/um/kernel only. Those of the processor have <asm/machine.h>. */
#ifndef UM_KERNEL_H
#define UM_KERNEL_H

#include <linux/errno.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>
#include <asm/machine.h>

struct pt_regs;
struct task_struct;
struct thread_struct;
struct mm_struct;
struct host_trap;

/* setup.c */
void speak_at_last(void);

/* memory.c */
void memory_setup(void);
pmd_t *table_at(struct mm_struct *mm, unsigned long address, unsigned long end, unsigned long *next);
void paging_init(void);

/* hostmap.c */
int hostmap_sync(struct mm_struct *mm);
int hostmap_first(struct mm_struct *mm);
int hostmap_refill(struct mm_struct *mm, unsigned long address);

/* stack.c */
#define IRQ_STACK_SIZE	16384
void stack_guard(struct task_struct *task);
void stack_unguard(struct task_struct *task);
void *softirq_stack(void);
const char *stack_overflowed(unsigned long sp);

/* options.c */
void option_flag(const char *name, const char *value);
int option_choice(const char *name, const char *value, const char *const *choices, const char *all);

/* address_space.c */
int hostmap_ready(struct mm_struct *mm);
void hostmap_give_back(struct mm_struct *mm);
int reserve_for_child(struct task_struct *child, unsigned long clone_flags);
void release_reserved(struct thread_struct *thread);

/* ram_populate.c */
void ram_populate_init(void);
void ram_unbacked(unsigned long pfn, unsigned long count);
void ram_gone(unsigned long pfn, unsigned long count);
void ram_back(unsigned long pfn, unsigned long count);
extern struct task_struct *ram_taker;

/* ram_hotplug.c: adds a step of guest RAM, 0 or -errno; bytes that were added. */
#ifdef CONFIG_MEMORY_HOTPLUG
int ram_add_step(void);
unsigned long ram_added(void);
#else
static inline int ram_add_step(void) { return -EOPNOTSUPP; }
static inline unsigned long ram_added(void) { return 0; }
#endif

/* kernelmap.c */
bool kernelmap_fault(unsigned long address, unsigned long access);

/* fault.c */
struct fault {
	unsigned long address;
	unsigned long error_code;	/* x86: 1 present, 2 write, 4 user, 16 fetch */
};

enum { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4, FAULT_FETCH = 16 };

/*
 * Makes the page accessible as error_code asks. 0, or the signal to send, with *code its si_code;
 * -EFAULT: no signal due.
 */
int fault_in(struct fault *fault, int *code);
void *touch_page(struct mm_struct *mm, unsigned long address, unsigned long error_code, spinlock_t **lock);
vm_flags_t fault_needs(unsigned long error_code);
void user_fault(struct pt_regs *regs, struct host_trap *trap);
void ram_fault(unsigned long address);

/* prefault.c */
void prefault_page(unsigned long address, unsigned long error_code);
void prefault_cached(unsigned long address);
void prefault_data(unsigned long address);
void prefault_exec(void);

/* trap.c */
void __noreturn guest_loop(void);

/* irq.c */
void handle_interrupts(struct pt_regs *regs);

/* reboot.c */
extern int exit_code;

#endif
