// SPDX-License-Identifier: GPL-2.0-only
/*
 * A PCI device that Linux's own driver for testing them (pci_endpoint_test) has found: memory BARs,
 * interrupts of all three kinds, DMA.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <linux/pcitest.h>

#include "check.h"

#ifndef PCITEST_INTX_IRQ		/* as it is called since Linux 6.11 */
#define PCITEST_INTX_IRQ PCITEST_LEGACY_IRQ
#endif
#define DEVICE "/dev/pci-endpoint-test.0"

enum { INTX, MSI, MSIX };

static int device;

static void bars(void)
{
	check_equal(ioctl(device, PCITEST_BAR, 0), 1,
		    "BAR 0, with registers, keeps what is written");
	check_equal(ioctl(device, PCITEST_BAR, 1), 1, "BAR 1, smaller than a page, too");
	check_equal(ioctl(device, PCITEST_BAR, 2), 1, "BAR 2, of 64 KiB");
	check_equal(ioctl(device, PCITEST_BAR, 4), 1, "BAR 4, of 2 MiB, with a 64-bit address");
}

static int vectors(unsigned long request, int count)
{
	for (int i = 1; i <= count; i++)
		if (ioctl(device, request, i) != 1) {
			say("# interrupt %d does not come, or as another one\n", i);
			return 0;
		}
	return 1;
}

static int copies(unsigned long request)
{
	static const unsigned long sizes[] = { 1, 1024, 1025, 4097, 1024000 };

	for (int i = 0; i < 5; i++) {
		struct pci_endpoint_test_xfer_param transfer = { .size = sizes[i] };

		if (ioctl(device, request, &transfer) != 1) {
			say("# with %lu bytes\n", sizes[i]);
			return 0;
		}
	}
	return 1;
}

/* The driver waits for the end of a transfer without limit: none where interrupts do not come. */
static void dma(int interrupts)
{
	if (!interrupts)
		return;
	check(copies(PCITEST_WRITE), "the device reads guest RAM");
	check(copies(PCITEST_READ), "the device writes guest RAM");
	check(copies(PCITEST_COPY), "the device copies within guest RAM");
}

int main(void)
{
	device = open(DEVICE, O_RDWR);
	if (device < 0) {
		check_skip("a PCI endpoint", "there is no " DEVICE);
		return check_done();
	}
	bars();
	check_equal(ioctl(device, PCITEST_SET_IRQTYPE, INTX), 1, "the device gets a line, INTA");
	dma(check(vectors(PCITEST_INTX_IRQ, 1), "and interrupts by it"));
	check_equal(ioctl(device, PCITEST_SET_IRQTYPE, MSI), 1, "the device gets messages (MSI)");
	dma(check(vectors(PCITEST_MSI, 32), "and interrupts by each of 32"));
	check_equal(ioctl(device, PCITEST_SET_IRQTYPE, MSIX), 1,
		    "the device gets messages by a table in a BAR (MSI-X)");
	dma(check(vectors(PCITEST_MSIX, 64), "and interrupts by each of 64"));
	check_equal(ioctl(device, PCITEST_CLEAR_IRQ), 1, "it gives them back");
	return check_done();
}
