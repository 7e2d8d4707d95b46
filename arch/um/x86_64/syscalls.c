// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system call table of x86-64, the calls that only this architecture has, and where mmap()
 * finds room. The table is generated from arch/x86/entry/syscalls/syscall_64.tbl.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/personality.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/syscalls.h>
#include <asm/syscall.h>

SYSCALL_DEFINE6(mmap, unsigned long, addr, unsigned long, len, unsigned long, prot, unsigned long, flags,
		unsigned long, fd, unsigned long, offset)
{
	if (offset & ~PAGE_MASK)
		return -EINVAL;
	return ksys_mmap_pgoff(addr, len, prot, flags, fd, offset >> PAGE_SHIFT);
}

/* There are no ports behind a guest: as a kernel built without them. */
SYSCALL_DEFINE3(ioperm, unsigned long, from, unsigned long, count, int, on)
{
	return -ENOSYS;
}

SYSCALL_DEFINE1(iopl, unsigned int, level)
{
	return -ENOSYS;
}

/*
 * MAP_32BIT is the gigabyte below 2 GiB, for code of the small model; what lies below is left to
 * brk.
 */
static unsigned long find_low(unsigned long addr, unsigned long len)
{
	struct vm_unmapped_area_info info = {
		.length = len,
		.low_limit = SZ_1G,
		.high_limit = SZ_2G,
	};
	struct vm_area_struct *vma;

	if (len > info.high_limit)
		return -ENOMEM;
	if (addr) {
		addr = PAGE_ALIGN(addr);
		vma = find_vma(current->mm, addr);
		if (addr <= info.high_limit - len && addr >= mmap_min_addr &&
		    (!vma || addr + len <= vm_start_gap(vma)))
			return addr;
	}
	if (current->flags & PF_RANDOMIZE)
		info.low_limit = randomize_page(info.low_limit, SZ_32M);
	return vm_unmapped_area(&info);
}

unsigned long arch_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len, unsigned long pgoff,
				     unsigned long flags, vm_flags_t vm_flags)
{
	if ((flags & MAP_32BIT) && !(flags & MAP_FIXED))
		return find_low(addr, len);
	return generic_get_unmapped_area(file, addr, len, pgoff, flags, vm_flags);
}

/* MAP_ABOVE4G only says where not to look; Linux would rather give low memory than none. */
static unsigned long find_above_4g(unsigned long len)
{
	struct vm_unmapped_area_info info = {
		.flags = VM_UNMAPPED_AREA_TOPDOWN,
		.length = len,
		.low_limit = SZ_4G,
		.high_limit = current->mm->mmap_base,
	};

	return vm_unmapped_area(&info);
}

unsigned long arch_get_unmapped_area_topdown(struct file *file, unsigned long addr, unsigned long len,
					     unsigned long pgoff, unsigned long flags, vm_flags_t vm_flags)
{
	unsigned long found;

	if (flags & MAP_FIXED)
		return addr;
	if (flags & MAP_32BIT)
		return find_low(addr, len);
	if (!addr && (flags & MAP_ABOVE4G)) {
		found = find_above_4g(len);
		if (!offset_in_page(found))
			return found;
	}
	return generic_get_unmapped_area_topdown(file, addr, len, pgoff, flags, vm_flags);
}

/* Declared nowhere else for those who, like us, have no wrappers around system calls. */
asmlinkage long sys_rt_sigreturn(void);
asmlinkage long sys_arch_prctl(int option, unsigned long argument);
asmlinkage long sys_modify_ldt(int function, void __user *pointer, unsigned long count);

#undef __SYSCALL
#define __SYSCALL(nr, entry)		[nr] = (void *)entry,
#define __SYSCALL_NORETURN(nr, entry)	__SYSCALL(nr, entry)
#define __SYSCALL_WITH_COMPAT(nr, entry, compat) __SYSCALL(nr, entry)

const sys_call_ptr_t sys_call_table[] = {
#include <asm/syscall_table_64.h>
};
