/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 4: guest RAM and the kernel's own mappings of it. Guest RAM is one file
 * without a name; the offset of a page in it is its guest physical address. All of it is mapped,
 * lazily, at HOST_RAM_BASE.
 */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

/*
 * The kernel process's address space. Chosen to stay clear of where the host puts libc's mappings.
 */
#define HOST_IMAGE_BASE		0x60000000UL		/* ./linux itself; small code model */
#define HOST_MODULES_START	0x20000000UL		/* loadable modules, in reach of 32-bit offsets */
#define HOST_MODULES_END	0x5f000000UL
#define HOST_RAM_BASE		0x100000000000UL	/* linear map, up to 16 TiB */
#define HOST_VMALLOC_START	0x200000000000UL
#define HOST_VMALLOC_END	0x2f0000000000UL
#define HOST_MEMMAP_START	0x2f8000000000UL	/* descriptions of pages, struct page */
#define HOST_MEMMAP_END		0x2fc000000000UL

/*
 * Bytes, page aligned, and set before Linux starts: guest RAM that is there from the start (mem=),
 * the most that this instance may ever have (maxmem=), and the file, which has room for that. More
 * than at the start comes in steps of HOST_RAM_STEP at multiples of it.
 */
extern unsigned long host_ram_start_size, host_ram_most, host_ram_size;
#define HOST_RAM_STEP	(128UL << 20)

/* Exit status of ./linux when the host cannot give a page of guest RAM: as by SIGBUS, 7. */
#define HOST_RAM_LOST		(128 + 7)

/*
 * Maps guest RAM [offset, offset + length) at address in the kernel process (vmalloc, modules and
 * the descriptions of pages).
 * prot: PROT_ bits. -ENOMEM when the host has no more areas for us. Does not sleep.
 */
int host_kernel_map(unsigned long address, unsigned long length, unsigned long offset, int prot);
int host_kernel_unmap(unsigned long address, unsigned long length);

/*
 * Makes a page of guest RAM read-only in the linear map, and writable again. 0 or -errno: it is
 * writable still. A host that refuses the second ends ./linux with a line.
 */
int host_ram_protect(const void *page);
void host_ram_unprotect(void *page);

/* Gives pages of guest RAM back to the host; they read as zero afterwards. */
int host_ram_discard(unsigned long offset, unsigned long length);
/*
 * Asks for one huge page of the host for a block of guest RAM, HOST_RAM_BLOCK bytes at a multiple
 * of that. What is in it stays, the rest reads as zero. -errno: it cannot or does not, and the
 * pages that are there stay as they are. -EAGAIN: one of them is in use just now, by a transfer for
 * example; -EALREADY: the host was not asked, since it refused lately or took long. On the thread
 * of a virtual CPU; may take milliseconds.
 */
#define HOST_RAM_BLOCK	(2UL << 20)
int host_ram_make_huge(unsigned long offset);
/*
 * Whether the host has no pages there: they read as zero, and will be made when they are touched.
 */
int host_ram_is_hole(unsigned long offset, unsigned long length);

#endif
