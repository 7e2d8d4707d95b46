// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts: host signals set bits in the virtual CPU's irq_pending; bit n is Linux's interrupt n.
 *
 * They are taken in one of three places: after the engine stopped guest code (trap.c), where the
 * signal handler found kernel code with interrupts on (kernel_trap), and where interrupts are
 * enabled again while some are pending (replay_interrupts). All end in handle_interrupts(),
 * interrupts off.
 */
#include <linux/bug.h>
#include <linux/cpu.h>
#include <linux/entry-common.h>
#include <linux/extable.h>
#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/kdebug.h>
#include <linux/module.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <asm/irq_regs.h>
#include <asm/sections.h>
#include <host/irq.h>
#include <host/process.h>
#include "kernel.h"

EXPORT_SYMBOL(host_vcpus);	/* modules disable interrupts too */

static void run_handlers(void)
{
	struct vcpu *vcpu = this_vcpu();
	unsigned long pending;
	int irq;

	while ((pending = xchg(&vcpu->irq_pending, 0)))
		for_each_set_bit(irq, &pending, HOST_IRQ_COUNT)
			generic_handle_irq(irq);
}

void handle_interrupts(struct pt_regs *regs)
{
	irqentry_state_t state = irqentry_enter(regs);
	struct pt_regs *old = set_irq_regs(regs);

	irq_enter_rcu();
	run_handlers();
	irq_exit_rcu();
	set_irq_regs(old);
	irqentry_exit(regs, state);
}

/* Enables interrupts; what came in while they were off is handled first. */
static void enable_and_handle(struct pt_regs *regs)
{
	struct vcpu *vcpu = this_vcpu();

	for (;;) {
		WRITE_ONCE(vcpu->irq_enabled, 1);
		barrier();
		if (!READ_ONCE(vcpu->irq_pending))
			return;
		WRITE_ONCE(vcpu->irq_enabled, 0);
		barrier();
		if (!READ_ONCE(vcpu->irq_pending))	/* the signal handler was faster */
			continue;
		handle_interrupts(regs);
	}
}

/* Interrupts were enabled with some pending. Stands for an interrupt at the caller's place. */
noinline void replay_interrupts(void)
{
	struct vcpu *vcpu = this_vcpu();
	struct pt_regs regs = {
		.ip = _RET_IP_,
		.sp = (unsigned long)__builtin_frame_address(0) + 16,
		.bp = *(unsigned long *)__builtin_frame_address(0),
		.flags = X86_EFLAGS_IF,
	};

	WRITE_ONCE(vcpu->irq_enabled, 0);
	barrier();
	handle_interrupts(&regs);
	enable_and_handle(&regs);
}
EXPORT_SYMBOL(replay_interrupts);

/* ---- traps in kernel code; entry.S calls this on the interrupted stack, interrupts off ---- */

static bool fixup(struct pt_regs *regs)
{
	const struct exception_table_entry *entry = search_exception_tables(regs->ip);

	if (!entry)
		return false;
	regs->ip = (unsigned long)&entry->fixup + entry->fixup;
	return true;
}

#ifdef CONFIG_GENERIC_BUG
int is_valid_bugaddr(unsigned long ip)
{
	return kernel_text_is_at(ip);
}

/* Whether it was a WARN(), which has now said what it had to. */
static bool was_warning(struct kernel_trap *trap, struct pt_regs *regs)
{
	if (trap->signo != SIGILL || report_bug(regs->ip, regs) != BUG_TRAP_TYPE_WARN)
		return false;
	regs->ip += BUG_LENGTH;
	return true;
}
#else
static bool was_warning(struct kernel_trap *trap, struct pt_regs *regs)
{
	return false;
}
#endif

static const char *exception_name(struct kernel_trap *trap)
{
	if (stack_overflowed(trap->regs.sp))
		return stack_overflowed(trap->regs.sp);
	switch (trap->signo) {
	case SIGSEGV:
		return trap->trapno == 14 ? "page fault" : "general protection fault";
	case SIGBUS:
		return "bus error (is the host out of memory?)";
	case SIGILL:
		return "invalid instruction";
	case SIGFPE:
		return "arithmetic error";
	default:
		return "trap";
	}
}

static void end_task(void)
{
	make_task_dead(SIGSEGV);
}

static void die(struct kernel_trap *trap, struct pt_regs *regs)
{
	static int dying;

	bust_spinlocks(1);
	pr_emerg("Oops: %s in kernel code: address %016lx, ip %016lx (%pS) [#%d]\n", exception_name(trap), trap->address,
		 regs->ip, (void *)regs->ip, ++dying);
	show_regs(regs);
	bust_spinlocks(0);
	add_taint(TAINT_DIE, LOCKDEP_NOW_UNRELIABLE);
	if (in_interrupt() || !current->pid)
		panic("Fatal exception in interrupt");
	if (panic_on_oops)
		panic("Fatal exception");
	/*
	 * The task ends on its own stack, empty but for the guest's registers, wherever this runs.
	 */
	call_on_stack(end_task, PTR_ALIGN_DOWN((void *)current_pt_regs(), 16));
}

/*
 * A page of vmalloc space that is mapped when it is touched, a warning, or an access with a fixup.
 */
static bool was_repaired(struct kernel_trap *trap, struct pt_regs *regs)
{
	if (trap->signo == SIGSEGV &&
	    kernelmap_fault(trap->address, trap->error_code))
		return true;
	return was_warning(trap, regs) || fixup(regs);
}

void kernel_trap(struct kernel_trap *trap);
void kernel_trap(struct kernel_trap *trap)
{
	struct pt_regs *regs = (struct pt_regs *)&trap->regs;
	bool were_on = regs->flags & X86_EFLAGS_IF;

	if (!trap->signo) {
		handle_interrupts(regs);
		enable_and_handle(regs);
		return;
	}
	/* From the stack for overflows there is no way back. */
	if (stack_overflowed(regs->sp) || !was_repaired(trap, regs))
		die(trap, regs);
	if (were_on)
		enable_and_handle(regs);
}

int kernel_text_is_at(unsigned long ip)
{
	return (ip >= (unsigned long)_stext && ip < (unsigned long)_etext) ||
	       (ip >= (unsigned long)_sinittext && ip < (unsigned long)_einittext) ||
	       (ip >= HOST_MODULES_START && ip < HOST_MODULES_END);
}

/* ---- the interrupt controller: nothing to tell to anyone ---- */

static void nothing_to_tell(struct irq_data *data)
{
}

static struct irq_chip host_chip = {
	.name = "host",
	.irq_ack = nothing_to_tell,
	.irq_mask = nothing_to_tell,
	.irq_unmask = nothing_to_tell,
};

/*
 * The timer's is each virtual CPU's own. Such interrupts do not stir the random generator either,
 * which for ours would start one more timer; it has the host's random numbers.
 */
void __init init_IRQ(void)
{
	int irq;

	for (irq = 0; irq < HOST_IRQ_COUNT; irq++)
		irq_set_chip_and_handler(irq, &host_chip, handle_edge_irq);
	irq_set_percpu_devid(HOST_IRQ_TIMER);
	irq_set_handler(HOST_IRQ_TIMER, handle_percpu_devid_irq);
}

/* Numbers that drivers ask for start behind the host's. */
unsigned int arch_dynirq_lower_bound(unsigned int from)
{
	return max_t(unsigned int, from, HOST_IRQ_COUNT);
}
