// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vDSO in guest address spaces: two data pages, [vvar], and right above them its code, [vdso],
 * whose last page is for trampolines (syscall_patch.c). They must lie within 2 GiB of the
 * libraries: right below the program interpreter, where those will follow; in a program without
 * one, somewhere below it. A program with one gets another page for trampolines, [trampolines],
 * below its own patched sites, once it has any.
 *
 * All are pages of guest RAM, which the image of ./linux is not: the data page is taken before
 * Linux first writes the time into it, the code is copied from the image. What a process sees of
 * the data depends on its time namespace:
 *
 *	page	in the initial one	in another one
 *	0	the system's data	the namespace's: offsets, and a mark that sends readers to page 1
 *	1	nothing (SIGBUS)	the system's data
 *
 * Pages of data are mapped by faults, so joining a namespace only drops them (vdso_join_timens).
 * Runs in the context of the process.
 */
#include <linux/binfmts.h>
#include <linux/elf.h>
#include <linux/init.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/security.h>
#include <linux/sched.h>
#include <linux/time_namespace.h>
#include <vdso/datapage.h>
#include <asm/machine.h>
#include <asm/vdso/vsyscall.h>
#include "syscall_patch.h"

#define DATA_PAGES	2
#define MAX_CODE_PAGES	4

struct vdso_data *vdso_data;
extern const char vdso_image[], vdso_image_end[];

static struct page *code[MAX_CODE_PAGES + 2];
static unsigned long code_size;		/* with the page for trampolines; 0: there is no vDSO */
static bool wanted = true;

static int __init take_vdso(char *value)
{
	wanted = option_switch("vdso", value);
	return 0;
}
early_param("vdso", take_vdso);

void __init vdso_data_setup(void)
{
	vdso_data = memblock_alloc(PAGE_SIZE, PAGE_SIZE);
	if (!vdso_data)
		panic("no memory for the data page of the vDSO");
	BUILD_BUG_ON(CS_BASES * sizeof(*vdso_data) > PAGE_SIZE);
}

static int trampolines_moved(const struct vm_special_mapping *mapping, struct vm_area_struct *area)
{
	syscall_patch_drop_trampolines(area->vm_mm);
	return 0;
}

static void trampolines_unmapped(const struct vm_special_mapping *mapping, struct vm_area_struct *area)
{
	syscall_patch_drop_trampolines(area->vm_mm);
}

static struct vm_special_mapping trampolines_mapping = {
	.name = "[trampolines]", .mremap = trampolines_moved, .close = trampolines_unmapped
};

static const struct vm_special_mapping code_mapping = {
	.name = "[vdso]", .pages = code, .mremap = trampolines_moved, .close = trampolines_unmapped
};

static int __init vdso_code_setup(void)
{
	unsigned long length = vdso_image_end - vdso_image, at;
	struct page *page;

	if (WARN_ON(length > MAX_CODE_PAGES * PAGE_SIZE))
		return -E2BIG;
	for (at = 0; at < PAGE_ALIGN(length) + PAGE_SIZE; at += PAGE_SIZE) {
		page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!page)
			return -ENOMEM;
		if (at < length)
			memcpy(page_address(page), vdso_image + at, min(length - at, PAGE_SIZE));
		code[at / PAGE_SIZE] = page;
	}
	trampolines_mapping.pages = &code[at / PAGE_SIZE - 1];
	if (wanted)
		code_size = at;
	return 0;
}
subsys_initcall(vdso_code_setup);

static vm_fault_t data_fault(const struct vm_special_mapping *mapping, struct vm_area_struct *vma, struct vm_fault *fault)
{
	unsigned long system = virt_to_pfn(vdso_data);
	struct page *own = find_timens_vvar_page(vma);

	if (fault->pgoff == 0)
		return vmf_insert_pfn(vma, fault->address, own ? page_to_pfn(own) : system);
	return own && fault->pgoff == 1 ? vmf_insert_pfn(vma, fault->address, system) : VM_FAULT_SIGBUS;
}

static const struct vm_special_mapping data_mapping = { .name = "[vvar]", .fault = data_fault };

#ifdef CONFIG_TIME_NS
struct vdso_data *arch_get_vdso_data(void *page)
{
	return page;
}

int vdso_join_timens(struct task_struct *task, struct time_namespace *ns)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(at, task->mm, 0);

	mmap_read_lock(task->mm);
	for_each_vma(at, vma)
		if (vma_is_special_mapping(vma, &data_mapping))
			zap_vma_pages(vma);
	mmap_read_unlock(task->mm);
	return 0;
}
#endif

/* At random somewhere in the GiB below what is mapped lowest, which is the program. */
static unsigned long place_below_program(struct mm_struct *mm, unsigned long size)
{
	struct vm_area_struct *lowest = find_vma(mm, 0);
	unsigned long end = lowest ? lowest->vm_start : 0, first = PAGE_ALIGN(max(dac_mmap_min_addr, mmap_min_addr));

	if (end > first + SZ_1G)
		first = end - SZ_1G;
	if (first + size >= end)
		return 0;
	return current->flags & PF_RANDOMIZE ? randomize_page(first, end - size - first) : end - size;
}

static long map_all(struct mm_struct *mm, unsigned long at)
{
	struct vm_area_struct *vma;
	unsigned long code_at = at + DATA_PAGES * PAGE_SIZE;

	if (IS_ERR_VALUE(at))
		return at;
	vma = _install_special_mapping(mm, at, DATA_PAGES * PAGE_SIZE, VM_READ | VM_MAYREAD | VM_IO | VM_DONTDUMP | VM_PFNMAP,
				       &data_mapping);
	if (IS_ERR(vma))
		return PTR_ERR(vma);
	/* May be written, by debuggers that set breakpoints in it: in a copy. */
	vma = _install_special_mapping(mm, code_at, code_size, VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC,
				       &code_mapping);
	if (IS_ERR(vma)) {
		do_munmap(mm, at, DATA_PAGES * PAGE_SIZE, NULL);
		return PTR_ERR(vma);
	}
	mm->context.trampolines = code_at + code_size - PAGE_SIZE;
	return 0;
}

/* The page at address is still what exec made it. The mmap lock is held. */
bool vdso_has_trampolines(struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *area = vma_lookup(mm, address);

	return area &&
		(vma_is_special_mapping(area, &code_mapping) ||
		 vma_is_special_mapping(area, &trampolines_mapping)) &&
		(area->vm_flags & (VM_EXEC | VM_WRITE)) == VM_EXEC;
}

/**
 * vdso_map_trampolines - maps an empty page for trampolines, below the program at address and as
 * near as it can be, at most 1 GiB
 *
 * Returns its address, or 0. The mmap lock is held for writing.
 */
unsigned long vdso_map_trampolines(struct mm_struct *mm, unsigned long address)
{
	unsigned long first = PAGE_ALIGN(max(dac_mmap_min_addr, mmap_min_addr)), at;
	struct vm_unmapped_area_info info = {
		.flags = VM_UNMAPPED_AREA_TOPDOWN,
		.length = PAGE_SIZE,
		.low_limit = max(address > SZ_1G ? address - SZ_1G : 0, first),
		.high_limit = address & PAGE_MASK,
	};

	at = vm_unmapped_area(&info);
	if (offset_in_page(at) || IS_ERR(_install_special_mapping(mm, at, PAGE_SIZE, VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC,
								   &trampolines_mapping)))
		return 0;
	return at;
}

/* For the auxiliary vector, hence soon after exec has mapped it: few areas to look at. */
unsigned long vdso_address(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	unsigned long address = 0;
	VMA_ITERATOR(at, mm, 0);

	mmap_read_lock(mm);
	for_each_vma(at, vma)
		if (vma_is_special_mapping(vma, &code_mapping))
			address = vma->vm_start;
	mmap_read_unlock(mm);
	return address;
}

/* Called by exec, before the auxiliary vector is made. */
int arch_setup_additional_pages(struct linux_binprm *bprm, int uses_interpreter)
{
	struct mm_struct *mm = current->mm;
	unsigned long size = DATA_PAGES * PAGE_SIZE + code_size;
	long error;

	if (!code_size)
		return 0;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	error = map_all(mm, get_unmapped_area(NULL, uses_interpreter ? 0 : place_below_program(mm, size), size, 0, 0));
	mmap_write_unlock(mm);
	return error;
}
