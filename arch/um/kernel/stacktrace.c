// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel stack traces, by frame pointers. The entry code lays out its frames so that they chain
 * through interrupts.
 */
#include <linux/kallsyms.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/sched/debug.h>
#include <linux/sched/task_stack.h>
#include <linux/stacktrace.h>
#include <asm/switch_to.h>
#include "kernel.h"

/*
 * What switch_stacks() leaves on the stack of a thread that does not run; the end of it looks like
 * any frame.
 */
struct switch_frame {
	unsigned long r15, r14, r13, r12, bx;
	unsigned long bp, ip;
};

struct frame {
	struct frame *next;
	unsigned long ip;
};

static bool is_within(const void *low, unsigned long size, const void *at)
{
	return at >= low && at + sizeof(struct frame) <= low + size && !((unsigned long)at & 7);
}

/* From the stack of soft interrupts a chain leads to the one that they interrupted. */
static bool on_stack(struct task_struct *task, const void *at)
{
	return is_within(task_stack_page(task), THREAD_SIZE, at) ||
	       (task == current && is_within(softirq_stack(), IRQ_STACK_SIZE, at));
}

static bool leads_on(const struct frame *frame)
{
	return frame->next > frame || is_within(softirq_stack(), IRQ_STACK_SIZE, frame);
}

void arch_stack_walk(stack_trace_consume_fn consume, void *cookie, struct task_struct *task, struct pt_regs *regs)
{
	struct frame *frame;

	if (regs) {
		if (!consume(cookie, regs->ip))
			return;
		frame = (struct frame *)regs->bp;
	} else if (task == current) {
		frame = __builtin_frame_address(0);
	} else {
		struct switch_frame *saved = (struct switch_frame *)task->thread.sp;

		frame = (struct frame *)&saved->bp;
	}
	for (; on_stack(task, frame); frame = frame->next) {
		if (!frame->ip || !__kernel_text_address(frame->ip) || !consume(cookie, frame->ip))
			return;
		if (!leads_on(frame))
			return;
	}
}

static bool print_entry(void *cookie, unsigned long ip)
{
	printk("%s [<%016lx>] %pS\n", (const char *)cookie, ip, (void *)ip);
	return true;
}

void show_stack(struct task_struct *task, unsigned long *sp, const char *level)
{
	if (!task)
		task = current;
	if (!try_get_task_stack(task))
		return;
	printk("%sCall Trace:\n", level);
	arch_stack_walk(print_entry, (void *)level, task, NULL);
	put_task_stack(task);
}

void show_regs(struct pt_regs *regs)
{
	show_regs_print_info(KERN_DEFAULT);
	pr_info("ip: %016lx (%pS) flags: %08lx\n", regs->ip, user_mode(regs) ? NULL : (void *)regs->ip, regs->flags);
	pr_info("ax: %016lx bx: %016lx cx: %016lx dx: %016lx\n", regs->ax, regs->bx, regs->cx, regs->dx);
	pr_info("si: %016lx di: %016lx bp: %016lx sp: %016lx\n", regs->si, regs->di, regs->bp, regs->sp);
	pr_info("r8: %016lx r9: %016lx r10: %016lx r11: %016lx\n", regs->r8, regs->r9, regs->r10, regs->r11);
	pr_info("r12: %016lx r13: %016lx r14: %016lx r15: %016lx\n", regs->r12, regs->r13, regs->r14, regs->r15);
	if (!user_mode(regs)) {
		printk("Call Trace:\n");
		arch_stack_walk(print_entry, KERN_DEFAULT, current, regs);
	}
}
