// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest RAM: one memory zone in the linear map. The kernel image is not in it.
 *
 * Pages 0 to host_ram_start_size are there from the start, others come later (ram_hotplug.c). So
 * the descriptions of pages (struct page) are an array with gaps, at HOST_MEMMAP_START. Pages of
 * guest RAM hold it, which the host maps there as well. The linear map is not used for it.
 */
#include <linux/init.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <asm/sections.h>
#include <host/engine.h>
#include <host/memory.h>
#include <host/process.h>
#include "kernel.h"

pgd_t swapper_pg_dir[PTRS_PER_PGD] __page_aligned_bss;
unsigned long *empty_zero_page;
EXPORT_SYMBOL(empty_zero_page);
EXPORT_SYMBOL(host_task_size);

void __init memory_setup(void)
{
	memblock_add(0, host_ram_start_size);
	/* Physical address 0 stands for "none" in too many places to hand it out. */
	memblock_reserve(0, PAGE_SIZE);
	min_low_pfn = 0;
	max_low_pfn = max_pfn = host_ram_start_size >> PAGE_SHIFT;
	high_memory = __va(host_ram_start_size);
	paging_init();
}

void __init paging_init(void)
{
	unsigned long ends[MAX_NR_ZONES] = { [ZONE_NORMAL] = max_low_pfn };

	empty_zero_page = memblock_alloc(PAGE_SIZE, PAGE_SIZE);
	if (!empty_zero_page)
		panic("no memory for the zero page");
	ram_populate_init();
	sparse_init();
	free_area_init(ends);
}

/*
 * Descriptions of the pages of a section, at [start, end).
 * @altmap: where their memory is to come from, in memory that is being added; NULL: at the start.
 */
int __meminit vmemmap_populate(unsigned long start, unsigned long end, int node,
			       struct vmem_altmap *altmap)
{
	void *memory = vmemmap_alloc_block_buf(end - start, node, altmap);

	int error;

	if (!memory)
		return -ENOMEM;
	error = host_kernel_map(start, end - start, __pa(memory), PROT_READ | PROT_WRITE);
	if (error && !slab_is_available())
		host_fatal("the host maps no more of guest RAM (%s): Linux cannot start",
			   host_error_text(error));
	return error;
}

void __init mem_init(void)
{
	memblock_free_all();
}

/*
 * The image is not guest RAM, so there is nothing to give to Linux; stray uses of init code fault
 * from here on.
 */
void free_initmem(void)
{
	host_image_discard(__init_begin, __init_end - __init_begin);
}

#ifdef CONFIG_STRICT_KERNEL_RWX
extern const char __start_all_rodata[];

/*
 * All constants, the system call table and what Linux has set up for good, those of the host side
 * too.
 */
void mark_rodata_ro(void)
{
	int error = host_image_protect(__start_all_rodata, __end_rodata - __start_all_rodata);

	if (error)
		pr_warn("The host does not write-protect the kernel's constants: %pe\n", ERR_PTR(error));
}
#endif

/**
 * table_at - finds the lowest table that covers an address
 * @end: where the caller's range ends
 * @next: receives where the range of that table ends, or where the next one may begin; at most @end
 * Returns the entry that points to the table, or maps a huge page (pmd_leaf), or NULL: there is
 * none.
 */
pmd_t *table_at(struct mm_struct *mm, unsigned long address, unsigned long end, unsigned long *next)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d = p4d_offset(pgd, address);
	pud_t *pud;
	pmd_t *pmd;

	*next = pgd_addr_end(address, end);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	*next = pud_addr_end(address, end);
	if (pud_none(*pud))
		return NULL;
	pmd = pmd_offset(pud, address);
	*next = pmd_addr_end(address, end);
	return pmd_none(*pmd) ? NULL : pmd;
}

static const pgprot_t protection_map[16] = {
	[VM_NONE]					= PAGE_NONE,
	[VM_READ]					= PAGE_READONLY,
	[VM_WRITE]					= PAGE_COPY,
	[VM_WRITE | VM_READ]				= PAGE_COPY,
	[VM_EXEC]					= PAGE_READONLY_EXEC,
	[VM_EXEC | VM_READ]				= PAGE_READONLY_EXEC,
	[VM_EXEC | VM_WRITE]				= PAGE_COPY_EXEC,
	[VM_EXEC | VM_WRITE | VM_READ]			= PAGE_COPY_EXEC,
	[VM_SHARED]					= PAGE_NONE,
	[VM_SHARED | VM_READ]				= PAGE_READONLY,
	[VM_SHARED | VM_WRITE]				= PAGE_SHARED,
	[VM_SHARED | VM_WRITE | VM_READ]		= PAGE_SHARED,
	[VM_SHARED | VM_EXEC]				= PAGE_READONLY_EXEC,
	[VM_SHARED | VM_EXEC | VM_READ]			= PAGE_READONLY_EXEC,
	[VM_SHARED | VM_EXEC | VM_WRITE]		= PAGE_SHARED_EXEC,
	[VM_SHARED | VM_EXEC | VM_WRITE | VM_READ]	= PAGE_SHARED_EXEC,
};
DECLARE_VM_GET_PAGE_PROT
