// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI over virtio: one PCI bus whose devices are virtio devices that speak <linux/virtio_pcidev.h>.
 *
 * 1. The bus is there from the start. Each virtio device that is probed takes a slot on it, has no other function than 0, and is found
 *    by a rescan.
 * 2. Accesses to configuration space and BARs are messages on the virtio device's first ring, each waited for: a PCI access
 *    may not sleep, and what it does must have been done when it returns. One message is under way at a time, under
 *    device->lock with interrupts off. A server that does not answer within a second makes the device read as all ones.
 * 3. BARs get addresses in a window that is no memory, beyond all RAM for 64-bit BARs. ioremap() of them goes through
 *    lib/logic_iomem.c, which calls us back with the offset of each access.
 * 4. Interrupts come as messages on the second ring; pci_irq.c makes MSIs and INTx of them.
 * 5. DMA is by guest physical address, as the server sees guest RAM whole.
 */
#include <linux/logic_iomem.h>
#include <linux/module.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pcidev.h>

#include <host/process.h>
#include <host/time.h>

#include "pci_virtio.h"
#include "virtio_uml.h"

#define SLOTS		32
#define CHUNK		512		/* bytes of data in one message */
#define INTERRUPTS	64		/* messages that the device may have under way */
#define PATIENCE_NS	NSEC_PER_SEC

struct message {
	struct virtio_pcidev_msg header;
	u8 data[CHUNK];
};

struct pcidev {
	struct virtio_device *vdev;
	struct virtqueue *commands, *interrupts;
	int slot;
	raw_spinlock_t lock;		/* commands, message and answer */
	bool dead;
	bool odd;			/* an answer had another size; has been said */
	struct message message;
	u8 answer[CHUNK];
	struct interrupt_message interrupt[INTERRUPTS], *arrived[INTERRUPTS];
};

static struct pcidev *slots[SLOTS];
static struct pci_host_bridge *bridge;

/* ---- messages ---- */

/* 0, -ETIMEDOUT, or -EIO: the ring or the server is lost, of which a line in the log has told. */
static int wait_for_answer(struct pcidev *device, unsigned int *length)
{
	u64 start = host_monotonic_ns();

	while (!virtqueue_get_buf(device->commands, length)) {
		if (virtqueue_is_broken(device->commands) || !virtio_uml_pause(device->vdev))
			return -EIO;
		if (host_monotonic_ns() - start > PATIENCE_NS)
			return -ETIMEDOUT;
	}
	return 0;
}

/* An answer of another size than was asked for is said once. The device goes on. */
static void check_length(struct pcidev *device, unsigned int length, unsigned int wanted)
{
	if (length == wanted || device->odd)
		return;
	device->odd = true;
	dev_warn(&device->vdev->dev,
		 "PCI device answers with %u bytes where %u are asked for%s\n", length, wanted,
		 length < wanted ? ": what is missing reads as ones" : "");
}

/* Sends device->message with extra bytes of data; wanted bytes come back in device->answer. Under device->lock. */
static bool pci_exchange(struct pcidev *device, unsigned int extra, unsigned int wanted)
{
	struct scatterlist out, in, *lists[] = { &out, &in };
	unsigned int length;
	int error;

	sg_init_one(&out, &device->message, sizeof(device->message.header) + extra);
	sg_init_one(&in, device->answer, wanted);
	if (device->dead || virtqueue_add_sgs(device->commands, lists, 1, wanted ? 1 : 0, device, GFP_ATOMIC) < 0)
		return false;
	virtqueue_kick(device->commands);
	error = wait_for_answer(device, &length);
	if (!error) {
		check_length(device, length, wanted);
		return true;
	}
	device->dead = true;	/* its late answer would be taken for another's */
	if (error == -ETIMEDOUT)
		dev_err(&device->vdev->dev,
			"PCI device does not answer within a second: it is dead\n");
	return false;
}

static void read_register(struct pcidev *device, u8 op, u8 bar, u64 address, void *data, unsigned int size)
{
	unsigned long flags;
	bool done;

	raw_spin_lock_irqsave(&device->lock, flags);
	device->message.header = (struct virtio_pcidev_msg) { .op = op, .bar = bar, .size = size, .addr = address };
	memset(device->answer, 0xff, size);	/* what a short answer leaves */
	done = pci_exchange(device, 0, size);
	if (done)
		memcpy(data, device->answer, size);
	else
		memset(data, 0xff, size);
	raw_spin_unlock_irqrestore(&device->lock, flags);
}

/* size is what is written, length the bytes of data that say what. */
static void write_register(struct pcidev *device, u8 op, u8 bar, u64 address, unsigned int size, const void *data,
			   unsigned int length)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&device->lock, flags);
	device->message.header = (struct virtio_pcidev_msg) { .op = op, .bar = bar, .size = size, .addr = address };
	memcpy(device->message.data, data, length);
	pci_exchange(device, length, 0);
	raw_spin_unlock_irqrestore(&device->lock, flags);
}

/* ---- configuration space ---- */

static struct pcidev *device_at(struct pci_bus *bus, unsigned int devfn)
{
	return pci_is_root_bus(bus) && !PCI_FUNC(devfn) ? slots[PCI_SLOT(devfn)] : NULL;
}

static int config_read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	struct pcidev *device = device_at(bus, devfn);
	__le32 data = 0;

	if (!device)
		return PCIBIOS_DEVICE_NOT_FOUND;
	read_register(device, VIRTIO_PCIDEV_OP_CFG_READ, 0, where, &data, size);
	*value = le32_to_cpu(data);
	return PCIBIOS_SUCCESSFUL;
}

static int config_write(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 value)
{
	struct pcidev *device = device_at(bus, devfn);
	__le32 data = cpu_to_le32(value);

	if (!device)
		return PCIBIOS_DEVICE_NOT_FOUND;
	write_register(device, VIRTIO_PCIDEV_OP_CFG_WRITE, 0, where, size, &data, size);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops config_ops = { .read = config_read, .write = config_write };

/* ---- BARs ---- */

/* One ioremap(). */
struct mapping {
	int slot;
	u8 bar;
	u64 base;	/* offset in the BAR */
};

static unsigned long mmio_read(void *data, unsigned int offset, int size)
{
	struct mapping *mapping = data;
	__le64 value = 0;

	if (!slots[mapping->slot])
		return ~0UL;
	read_register(slots[mapping->slot], VIRTIO_PCIDEV_OP_MMIO_READ, mapping->bar, mapping->base + offset, &value, size);
	return le64_to_cpu(value);
}

static void mmio_write(void *data, unsigned int offset, int size, unsigned long value)
{
	struct mapping *mapping = data;
	__le64 bytes = cpu_to_le64(value);

	if (slots[mapping->slot])
		write_register(slots[mapping->slot], VIRTIO_PCIDEV_OP_MMIO_WRITE, mapping->bar, mapping->base + offset, size,
			       &bytes, size);
}

static void mmio_set(void *data, unsigned int offset, u8 value, int size)
{
	struct mapping *mapping = data;

	if (slots[mapping->slot])
		write_register(slots[mapping->slot], VIRTIO_PCIDEV_OP_MMIO_MEMSET, mapping->bar, mapping->base + offset, size,
			       &value, 1);
}

static void mmio_copy_from(void *data, void *buffer, unsigned int offset, int size)
{
	struct mapping *mapping = data;

	for (int done = 0, part; done < size; done += part) {
		part = min(size - done, CHUNK);
		if (!slots[mapping->slot])
			memset(buffer + done, 0xff, part);
		else
			read_register(slots[mapping->slot], VIRTIO_PCIDEV_OP_MMIO_READ, mapping->bar,
				      mapping->base + offset + done, buffer + done, part);
	}
}

static void mmio_copy_to(void *data, unsigned int offset, const void *buffer, int size)
{
	struct mapping *mapping = data;

	for (int done = 0, part; done < size && slots[mapping->slot]; done += part) {
		part = min(size - done, CHUNK);
		write_register(slots[mapping->slot], VIRTIO_PCIDEV_OP_MMIO_WRITE, mapping->bar,
			       mapping->base + offset + done, part, buffer + done, part);
	}
}

static void mmio_unmap(void *data)
{
	kfree(data);
}

static const struct logic_iomem_ops mmio_ops = {
	.read = mmio_read,
	.write = mmio_write,
	.set = mmio_set,
	.copy_from = mmio_copy_from,
	.copy_to = mmio_copy_to,
	.unmap = mmio_unmap,
};

/* Finds the BAR that holds all of [start, start + size). */
static struct mapping *find_bar(resource_size_t start, size_t size)
{
	struct mapping *mapping = NULL;
	struct resource *resource;
	struct pci_dev *pci = NULL;
	int bar;

	while (!mapping && (pci = pci_get_device(PCI_ANY_ID, PCI_ANY_ID, pci)) != NULL)
		for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
			resource = pci_resource_n(pci, bar);
			if (!(resource->flags & IORESOURCE_MEM) || start < resource->start ||
			    start + size - 1 > resource->end)
				continue;
			mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);
			if (mapping)
				*mapping = (struct mapping) { PCI_SLOT(pci->devfn), bar, start - resource->start };
			break;
		}
	pci_dev_put(pci);
	return mapping;
}

static long map_window(resource_size_t window, unsigned long offset, size_t size, const struct logic_iomem_ops **ops, void **data)
{
	struct mapping *mapping;

	if (size > SZ_16M)	/* what lib/logic_iomem.c has addresses for */
		return -ENOSPC;
	mapping = find_bar(window + offset, size);
	if (!mapping)
		return -ENOENT;
	*ops = &mmio_ops;
	*data = mapping;
	return 0;
}

/* 32-bit BARs can only have addresses that RAM may have as well; nobody is confused, as ioremap() and RAM never meet. */
static struct resource windows[] = {
	{ .name = "PCI over virtio", .start = 0xc0000000, .end = 0xfdffffff, .flags = IORESOURCE_MEM },
	{ .name = "PCI over virtio, 64-bit", .start = 1UL << 44, .end = (1UL << 45) - 1,
	  .flags = IORESOURCE_MEM | IORESOURCE_MEM_64 | IORESOURCE_PREFETCH },
};

static long map_low(unsigned long offset, size_t size, const struct logic_iomem_ops **ops, void **data)
{
	return map_window(windows[0].start, offset, size, ops, data);
}

static long map_high(unsigned long offset, size_t size, const struct logic_iomem_ops **ops, void **data)
{
	return map_window(windows[1].start, offset, size, ops, data);
}

static const struct logic_iomem_region_ops window_ops[] = { { .map = map_low }, { .map = map_high } };

/* ---- interrupt messages ---- */

static int offer_buffer(struct pcidev *device, struct interrupt_message *message)
{
	struct scatterlist in;

	sg_init_one(&in, message, sizeof(*message));
	return virtqueue_add_inbuf(device->interrupts, &in, 1, message, GFP_ATOMIC);
}

/* No buffer goes back before all were looked at: a server that never pauses does not keep us here. */
static void interrupts_arrived(struct virtqueue *vq)
{
	struct pcidev *device = vq->vdev->priv;
	struct interrupt_message *message, copy;
	unsigned int length, count = 0;

	while ((message = virtqueue_get_buf(vq, &length))) {
		copy = *message;
		device->arrived[count++] = message;
		pci_virtio_deliver(&copy, min_t(unsigned int, length, sizeof(copy)));
	}
	while (count)
		offer_buffer(device, device->arrived[--count]);
	virtqueue_kick(vq);
}

/* ---- the virtio devices ---- */

static int pci_take_slot(struct pcidev *device)
{
	for (int slot = 0; slot < SLOTS; slot++)
		if (!slots[slot]) {
			slots[slot] = device;
			return slot;
		}
	return -ENOSPC;
}

static int find_queues(struct pcidev *device)
{
	struct virtqueue_info infos[] = { { "cmd", NULL }, { "irq", interrupts_arrived } };
	struct virtqueue *queues[2];
	int error = virtio_find_vqs(device->vdev, 2, queues, infos, NULL);

	if (error)
		return error;
	device->commands = queues[0];
	device->interrupts = queues[1];
	for (int i = 0; i < INTERRUPTS; i++)
		if (offer_buffer(device, &device->interrupt[i]))
			break;
	return 0;
}

/* Looks for the device in its slot. Under the lock for rescans. */
static void rescan(struct pcidev *device)
{
	struct pci_dev *pci;

	pci_rescan_bus(bridge->bus);
	pci = pci_get_slot(bridge->bus, PCI_DEVFN(device->slot, 0));
	if (!pci && !device->dead)
		dev_warn(&device->vdev->dev,
			 "the server shows no PCI device: its vendor and device ids read as none\n");
	pci_dev_put(pci);
}

static int pcidev_probe(struct virtio_device *vdev)
{
	struct pcidev *device;
	int error;

	if (!bridge)
		return -ENODEV;
	device = kzalloc(sizeof(*device), GFP_KERNEL);
	if (!device)
		return -ENOMEM;
	device->vdev = vdev;
	vdev->priv = device;
	raw_spin_lock_init(&device->lock);
	error = find_queues(device);
	if (error)
		goto free;
	virtio_device_ready(vdev);
	virtqueue_kick(device->interrupts);
	pci_lock_rescan_remove();
	device->slot = pci_take_slot(device);
	if (device->slot >= 0)
		rescan(device);
	pci_unlock_rescan_remove();
	if (device->slot >= 0)
		return 0;
	error = device->slot;
	virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev);
free:
	kfree(device);
	return error;
}

static void pcidev_remove(struct virtio_device *vdev)
{
	struct pcidev *device = vdev->priv;
	struct pci_dev *pci;

	pci_lock_rescan_remove();
	pci = pci_get_slot(bridge->bus, PCI_DEVFN(device->slot, 0));
	if (pci)
		pci_stop_and_remove_bus_device(pci);
	pci_dev_put(pci);
	slots[device->slot] = NULL;
	pci_unlock_rescan_remove();
	virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev);
	kfree(device);
}

static const struct virtio_device_id ids[] = {
	{ CONFIG_UML_PCI_OVER_VIRTIO_DEVICE_ID, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static struct virtio_driver pcidev_driver = {
	.driver.name = "pci-virtio",
	.id_table = ids,
	.probe = pcidev_probe,
	.remove = pcidev_remove,
};

/* ---- the bus ---- */

static struct resource bus_numbers = { .name = "PCI bus", .start = 0, .end = 0, .flags = IORESOURCE_BUS };

static int __init make_bus(void)
{
	struct irq_domain *msi = pci_virtio_make_msi();
	int error;

	if (!msi || pci_virtio_make_intx() < 0)
		return -ENOMEM;
	bridge = pci_alloc_host_bridge(0);
	if (!bridge)
		return -ENOMEM;
	for (int i = 0; i < ARRAY_SIZE(windows); i++) {
		error = logic_iomem_add_region(&windows[i], &window_ops[i]);
		if (error)
			goto free;
		pci_add_resource(&bridge->windows, &windows[i]);
	}
	pci_add_resource(&bridge->windows, &bus_numbers);
	bridge->ops = &config_ops;
	bridge->map_irq = pci_virtio_irq_of_pin;
	bridge->swizzle_irq = pci_common_swizzle;
	dev_set_msi_domain(&bridge->dev, msi);
	error = pci_scan_root_bus_bridge(bridge);
	if (error)
		goto free;
	pci_bus_add_devices(bridge->bus);
	return 0;
free:
	pci_free_host_bridge(bridge);
	bridge = NULL;
	return error;
}

static int __init pci_virtio_init(void)
{
	int error = make_bus();

	if (error) {
		pr_err("PCI over virtio: no bus: %s\n", host_error_text(error));
		return error;
	}
	return register_virtio_driver(&pcidev_driver);
}
device_initcall(pci_virtio_init);
