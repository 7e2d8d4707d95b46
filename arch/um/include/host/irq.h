/* SPDX-License-Identifier: GPL-2.0-only */
/* The contract: the numbers of interrupts. Number n is bit n of irq_pending in struct vcpu. */
#ifndef HOST_IRQ_H
#define HOST_IRQ_H

enum {
	HOST_IRQ_TIMER,
	HOST_IRQ_CONSOLE,
	HOST_IRQ_BLOCK,
	HOST_IRQ_VIRTIO,
	HOST_IRQ_DISK_SIZE,	/* a disk may have become larger */
	HOST_IRQ_WALL_CLOCK,	/* the host's CLOCK_REALTIME was set */
	HOST_IRQ_MCONSOLE,	/* a request from the management console */
	HOST_IRQ_EXEC,		/* something happened on the socket exec */
};

#endif
