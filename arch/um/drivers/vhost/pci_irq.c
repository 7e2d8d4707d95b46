// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of the PCI bus of pci_virtio.c. A device sends a message: an MSI is the write that it would do, to MSI_ADDRESS with
 * the number in the hardware domain, which we gave out; INTA to INTD are four numbers shared by all devices. Messages are
 * delivered on the virtual CPU, in interrupt context, and say nothing that is believed: a number that nobody asked for is dropped.
 */
#include <linux/bitmap.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/unaligned.h>

#include "pci_virtio.h"

#define MSI_COUNT	96		/* with INTx, what asm/irq.h makes room for */
#define MSI_ADDRESS	0xfee00000	/* where MSI writes go; a name, nothing lies there */

static struct irq_domain *hardware_domain;
static int intx_base;

static void nothing_to_do(struct irq_data *data)
{
}

static void compose_msi(struct irq_data *data, struct msi_msg *message)
{
	message->address_lo = MSI_ADDRESS;
	message->address_hi = 0;
	message->data = data->hwirq;
}

static struct irq_chip hardware_chip = {
	.name = "PCI over virtio",
	.irq_ack = nothing_to_do,
	.irq_mask = nothing_to_do,
	.irq_unmask = nothing_to_do,
	.irq_compose_msi_msg = compose_msi,
};

static DECLARE_BITMAP(msi_used, MSI_COUNT);
static DEFINE_MUTEX(msi_mutex);

/* Several at once are for multiple-message MSI: a power of two, aligned to itself. */
static int msi_alloc(struct irq_domain *domain, unsigned int irq, unsigned int count, void *unused)
{
	int first;

	mutex_lock(&msi_mutex);
	first = bitmap_find_free_region(msi_used, MSI_COUNT, order_base_2(count));
	mutex_unlock(&msi_mutex);
	if (first < 0)
		return -ENOSPC;
	for (unsigned int i = 0; i < count; i++)
		irq_domain_set_info(domain, irq + i, first + i, &hardware_chip, NULL, handle_simple_irq, NULL, NULL);
	return 0;
}

static void msi_release(struct irq_domain *domain, unsigned int irq, unsigned int count)
{
	mutex_lock(&msi_mutex);
	bitmap_release_region(msi_used, irq_domain_get_irq_data(domain, irq)->hwirq, order_base_2(count));
	mutex_unlock(&msi_mutex);
}

static const struct irq_domain_ops hardware_ops = { .alloc = msi_alloc, .free = msi_release };

static struct irq_chip msi_chip = {
	.name = "PCI-MSI",
	.irq_ack = irq_chip_ack_parent,
	.irq_mask = pci_msi_mask_irq,
	.irq_unmask = pci_msi_unmask_irq,
};

static struct msi_domain_info msi_info = {
	.flags = MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS | MSI_FLAG_PCI_MSIX | MSI_FLAG_MULTI_PCI_MSI,
	.chip = &msi_chip,
};

struct irq_domain * __init pci_virtio_make_msi(void)
{
	struct fwnode_handle *name = irq_domain_alloc_named_fwnode("pci-virtio");
	struct irq_domain *domain;

	if (!name)
		return NULL;
	hardware_domain = irq_domain_create_linear(name, MSI_COUNT, &hardware_ops, NULL);
	domain = hardware_domain ? pci_msi_create_irq_domain(name, &msi_info, hardware_domain) : NULL;
	if (domain)
		return domain;
	if (hardware_domain)
		irq_domain_remove(hardware_domain);
	irq_domain_free_fwnode(name);
	return NULL;
}

int __init pci_virtio_make_intx(void)
{
	int base = irq_alloc_descs(-1, 0, PCI_NUM_INTX, NUMA_NO_NODE);

	for (int pin = 0; base >= 0 && pin < PCI_NUM_INTX; pin++) {
		irq_set_chip_and_handler(base + pin, &hardware_chip, handle_simple_irq);
		irq_modify_status(base + pin, IRQ_NOREQUEST, 0);
	}
	intx_base = base;
	return base < 0 ? base : 0;
}

int pci_virtio_irq_of_pin(const struct pci_dev *pci, u8 slot, u8 pin)
{
	return intx_base + pin - 1;
}

void pci_virtio_deliver(const struct interrupt_message *message, unsigned int length)
{
	const struct virtio_pcidev_msg *header = &message->header;
	u32 number;

	if (length < sizeof(*header))
		return;
	switch (header->op) {
	case VIRTIO_PCIDEV_OP_INT:
		if (header->addr >= 1 && header->addr <= PCI_NUM_INTX)
			generic_handle_irq(intx_base + header->addr - 1);
		break;
	case VIRTIO_PCIDEV_OP_MSI:
		if (header->addr != MSI_ADDRESS || (header->size != 2 && header->size != 4) ||
		    length < sizeof(*header) + header->size)
			break;
		number = header->size == 2 ? get_unaligned_le16(message->data) : get_unaligned_le32(message->data);
		if (number < MSI_COUNT)
			generic_handle_domain_irq(hardware_domain, number);
		break;
	default:	/* PME: we never put devices to sleep */
		break;
	}
}
