/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_IRQ_H
#define __ASM_UM_IRQ_H
#include <host/vcpu.h>
#define NR_IRQS HOST_IRQ_COUNT
#include <asm-generic/irq.h>
#endif
