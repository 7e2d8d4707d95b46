/* SPDX-License-Identifier: GPL-2.0-only */
/* There is no I/O memory but what drivers emulate (lib/logic_iomem.c), and there are no ports. */
#ifndef __ASM_UM_IO_H
#define __ASM_UM_IO_H
#include <linux/types.h>
#include <asm/page.h>

/* An access to a port is a wild one, of a page that is never there; not NULL, of which clang lets nobody calculate. */
#define PCI_IOBASE ((void __iomem *)PAGE_SIZE)

#include <asm-generic/logic_io.h>
#include <asm-generic/io.h>
#endif
