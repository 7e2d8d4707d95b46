// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guard pages of kernel stacks. Code that runs out of stack faults on one, which is an oops, before
 * it overwrites other memory. The lowest page of a task's stack is read-only, since Linux reads a
 * mark there. The page below a stack of soft interrupts is inaccessible.
 */
#include <linux/atomic.h>
#include <linux/init.h>
#include <linux/init_task.h>
#include <linux/interrupt.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <asm/softirq_stack.h>
#include <host/memory.h>
#include <host/process.h>
#include "kernel.h"

/* ---- of tasks ---- */

/*
 * Each costs two of the areas that the host allows the kernel process, 65,530 by default, which
 * mappings of vmalloc space need, too. Further tasks do without.
 */
#define GUARDS_AT_MOST	4096

static atomic_t guards;

/* Before the task runs. A host that refuses it leaves the task without a guard page. */
void stack_guard(struct task_struct *task)
{
	if (!atomic_add_unless(&guards, 1, GUARDS_AT_MOST))
		return;
	if (host_ram_protect(task_stack_page(task)))
		atomic_dec(&guards);
	else
		task->thread.stack_guarded = true;
}

/*
 * When the task ends: Linux frees the stack without telling us, with a list's head in its lowest
 * page.
 */
void stack_unguard(struct task_struct *task)
{
	if (!task->thread.stack_guarded)
		return;
	task->thread.stack_guarded = false;
	host_ram_unprotect(task_stack_page(task));
	atomic_dec(&guards);
}

/* ---- of soft interrupts, on a stack of their own, whatever depth they interrupted ---- */

static char softirq_stacks[NR_CPUS][PAGE_SIZE + IRQ_STACK_SIZE] __aligned(PAGE_SIZE)
	__section(".bss..guarded_stacks");	/* the name keeps it out of the file */

void *softirq_stack(void)
{
	return softirq_stacks[raw_smp_processor_id()] + PAGE_SIZE;
}

#ifdef CONFIG_SOFTIRQ_ON_OWN_STACK
void do_softirq_own_stack(void)
{
	call_on_stack(__do_softirq, softirq_stack() + IRQ_STACK_SIZE);
}
#endif

static int __init guard_stacks(void)
{
	for (int cpu = 0; cpu < NR_CPUS; cpu++)
		host_image_discard(softirq_stacks[cpu], PAGE_SIZE);
	if (host_image_protect(task_stack_page(&init_task), PAGE_SIZE))
		pr_warn("The host does not write-protect the end of the first task's stack\n");
	return 0;
}
early_initcall(guard_stacks);

/* ---- both ---- */

static unsigned long task_guard(void)
{
	return (unsigned long)task_stack_page(current);
}

static unsigned long softirq_guard(void)
{
	return (unsigned long)softirq_stack() - PAGE_SIZE;
}

/*
 * Names the stack of the current task or CPU that has no room left for a trap below sp, or NULL.
 * Further below than a guard page the difference is very large: frames are smaller than that.
 */
const char *stack_overflowed(unsigned long sp)
{
	const unsigned long needed = PAGE_SIZE + sizeof(struct kernel_trap) + 64;

	if (sp - task_guard() < needed)
		return "stack overflow";
	if (sp - softirq_guard() < needed)
		return "stack overflow of soft interrupts";
	return NULL;
}

int kernel_stack_has_room(unsigned long sp)
{
	return !stack_overflowed(sp);
}
