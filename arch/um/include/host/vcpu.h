/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 1: virtual CPUs and their interrupts.
 *
 * A virtual CPU is a host thread. Host signals are its interrupts, with a soft mask: the kernel side
 * disables them by a store to irq_enabled, and by calling replay_interrupts() after it enabled
 * them again while irq_pending is not zero. No host call in either.
 *
 * The host's signal handler runs on a signal stack of its own and does only this:
 *  - guest code is running (in_guest): make it stop; the engine's run() then returns TRAP_INTERRUPT;
 *  - the interrupted instruction is kernel-side code and irq_enabled is set: clear irq_enabled and let the
 *    thread continue at kernel_trap_entry, with the interrupted registers in a struct kernel_trap
 *    below its stack pointer;
 *  - it is host-side code (libc included): come back some microseconds later. So host-side code is never
 *    re-entered, and the functions of the contract need not be reentrant.
 */
#ifndef HOST_VCPU_H
#define HOST_VCPU_H

/* Bit n of irq_pending is interrupt n; <host/irq.h> has the numbers. */
#define HOST_IRQ_COUNT 16

struct vcpu {
	unsigned long irq_enabled;	/* written by the kernel side and, to 0, by the signal handler */
	unsigned long irq_pending;	/* bits set by host threads and handlers, cleared by the kernel side */
	int in_guest;			/* host side: guest code is running or about to */
	int host_thread;		/* host thread id */
	int host_cpu;			/* host CPU that this thread and its stubs are pinned to, or -1 */
};

#define HOST_MAX_VCPUS 1
extern struct vcpu host_vcpus[HOST_MAX_VCPUS];

/* The virtual CPU whose thread runs this. */
static inline struct vcpu *this_vcpu(void)
{
	return &host_vcpus[0];
}

/*
 * Sleeps until an interrupt is pending. Called by the idle task with interrupts soft-disabled; returns at
 * once when irq_pending is not zero. vCPU thread; sleeps.
 */
void host_idle(void);

/*
 * Makes a virtual CPU notice interrupt irq. Any host thread, kernel side included; does not sleep.
 */
void host_raise(struct vcpu *vcpu, int irq);

#endif
