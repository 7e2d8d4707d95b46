/* SPDX-License-Identifier: GPL-2.0-only */
/* The two halves of PCI over virtio: pci_virtio.c has the bus, pci_irq.c its interrupts. */
#ifndef UM_PCI_VIRTIO_H
#define UM_PCI_VIRTIO_H

#include <linux/pci.h>
#include <linux/virtio_pcidev.h>

/* What a device writes to raise an interrupt. */
struct interrupt_message {
	struct virtio_pcidev_msg header;
	u8 data[8];
};

/* The domain that gives out MSIs, or NULL; the four numbers of INTA to INTD: 0 or -errno. */
struct irq_domain *pci_virtio_make_msi(void);
int pci_virtio_make_intx(void);
int pci_virtio_irq_of_pin(const struct pci_dev *pci, u8 slot, u8 pin);

/* Raises what a message of length bytes says. Interrupt context. */
void pci_virtio_deliver(const struct interrupt_message *message, unsigned int length);

#endif
