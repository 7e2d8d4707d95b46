/* SPDX-License-Identifier: GPL-2.0-only */
/* Interrupts are host signals with a soft mask: see host/vcpu.h. */
#ifndef __ASM_UM_IRQFLAGS_H
#define __ASM_UM_IRQFLAGS_H

#include <linux/compiler.h>
#include <host/vcpu.h>

void replay_interrupts(void);

static __always_inline unsigned long arch_local_save_flags(void)
{
	return READ_ONCE(this_vcpu()->irq_enabled);
}

static __always_inline void arch_local_irq_disable(void)
{
	WRITE_ONCE(this_vcpu()->irq_enabled, 0);
	barrier();
}

static __always_inline void arch_local_irq_enable(void)
{
	barrier();
	WRITE_ONCE(this_vcpu()->irq_enabled, 1);
	barrier();
	if (unlikely(READ_ONCE(this_vcpu()->irq_pending)))
		replay_interrupts();
}

static __always_inline unsigned long arch_local_irq_save(void)
{
	unsigned long flags = arch_local_save_flags();

	arch_local_irq_disable();
	return flags;
}

static __always_inline void arch_local_irq_restore(unsigned long flags)
{
	if (flags)
		arch_local_irq_enable();
	else
		arch_local_irq_disable();
}

static __always_inline bool arch_irqs_disabled_flags(unsigned long flags)
{
	return !flags;
}

static __always_inline bool arch_irqs_disabled(void)
{
	return !arch_local_save_flags();
}

#endif
