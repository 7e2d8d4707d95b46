/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One PCI bus, made by drivers/pci_virtio.c. BARs are messages, not memory: guest programs cannot map them, hence
 * nothing about mmap here.
 */
#ifndef __ASM_UM_PCI_H
#define __ASM_UM_PCI_H
#define PCIBIOS_MIN_IO		0
#define PCIBIOS_MIN_MEM		0
#define pcibios_assign_all_busses() 1
#endif
