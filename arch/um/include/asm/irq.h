/* SPDX-License-Identifier: GPL-2.0-only */
/* Interrupt numbers: the host's (<host/vcpu.h>), then those that drivers hand out (MSI and INTx of PCI). */
#ifndef __ASM_UM_IRQ_H
#define __ASM_UM_IRQ_H
#include <host/vcpu.h>
#define NR_IRQS (HOST_IRQ_COUNT + (IS_ENABLED(CONFIG_PCI) ? 128 : 0))
#include <asm-generic/irq.h>
#endif
