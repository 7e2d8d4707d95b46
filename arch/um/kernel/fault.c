// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of guest code, and of the kernel on its behalf.
 *
 * What hardware does when a translation is missing from the TLB is done first (touch_page): if the
 * guest's tables allow the access, set the accessed and dirty bits. Only then comes Linux's
 * handle_mm_fault(). Runs on the thread that faulted, interrupts on.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/perf_event.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <host/engine.h>
#include "counters.h"
#include "kernel.h"

int show_unhandled_signals = 1;

/* What an area must allow for an access, any of these flags. */
vm_flags_t fault_needs(unsigned long error_code)
{
	if (error_code & FAULT_WRITE)
		return VM_WRITE;
	if (error_code & FAULT_FETCH)
		return VM_EXEC;
	return VM_READ | VM_WRITE | VM_EXEC;	/* x86 can read what it can write or execute */
}

static int signal_for(vm_fault_t fault, int *code)
{
	if (fault & (VM_FAULT_SIGBUS | VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE)) {
		*code = BUS_ADRERR;
		return SIGBUS;
	}
	*code = SEGV_MAPERR;
	return SIGSEGV;
}

int fault_in(struct fault *fault, int *code)
{
	unsigned int flags = FAULT_FLAG_DEFAULT;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	vm_fault_t result;

	*code = SEGV_MAPERR;
	if (fault->address >= TASK_SIZE)
		return SIGSEGV;
	if (!mm || faulthandler_disabled())
		return -EFAULT;
	if (fault->error_code & FAULT_USER)
		flags |= FAULT_FLAG_USER;
	if (fault->error_code & FAULT_WRITE)
		flags |= FAULT_FLAG_WRITE;
	if (fault->error_code & FAULT_FETCH)
		flags |= FAULT_FLAG_INSTRUCTION;
retry:
	vma = lock_mm_and_find_vma(mm, fault->address, NULL);
	if (!vma)
		return fatal_signal_pending(current) ? -EFAULT : SIGSEGV;
	if (!(vma->vm_flags & fault_needs(fault->error_code))) {
		mmap_read_unlock(mm);
		*code = SEGV_ACCERR;
		return SIGSEGV;
	}
	result = handle_mm_fault(vma, fault->address, flags, NULL);
	if (result & VM_FAULT_COMPLETED)
		return 0;
	if (result & VM_FAULT_RETRY) {
		/* The kernel's own accesses end early only when the process dies. */
		if (fatal_signal_pending(current) || ((flags & FAULT_FLAG_USER) && signal_pending(current)))
			return -EFAULT;
		flags |= FAULT_FLAG_TRIED;
		goto retry;
	}
	mmap_read_unlock(mm);
	if (likely(!(result & VM_FAULT_ERROR)))
		return 0;
	if (result & VM_FAULT_OOM) {
		if (flags & FAULT_FLAG_USER)
			pagefault_out_of_memory();
		return -EFAULT;
	}
	return signal_for(result, code);
}

/* ---- guest code ---- */

/* The entry that maps address, a page's or a huge page's, its table locked; NULL: there is none. */
static pte_t *lock_entry(struct mm_struct *mm, unsigned long address, unsigned long *size, spinlock_t **lock)
{
	unsigned long next;
	pmd_t *pmd = table_at(mm, address, TASK_SIZE, &next);
	pte_t *at;

	if (unlikely(!pmd))
		return NULL;
	*size = PAGE_SIZE;
	if (likely(!pmd_leaf(*pmd))) {
		at = pte_offset_map_lock(mm, pmd, address, lock);
		if (likely(at))
			pte_unmap(at);	/* the lock is enough to keep the table */
		return at;
	}
	*lock = pmd_lock(mm, pmd);
	*size = PMD_SIZE;
	if (pmd_leaf(*pmd))
		return (pte_t *)pmd;
	spin_unlock(*lock);
	return NULL;
}

/**
 * touch_page - does what hardware does to an entry that allows an access
 * @address: guest address
 * @error_code: FAULT_WRITE and FAULT_FETCH tell the access
 * @lock: receives the table's lock, held, on success: the page stays until it is released
 * Returns where the byte is in the linear map, or NULL: the access is not allowed (yet).
 */
void *touch_page(struct mm_struct *mm, unsigned long address, unsigned long error_code, spinlock_t **lock)
{
	unsigned long size, wanted = _PAGE_PRESENT | _PAGE_USER, marks = _PAGE_ACCESSED;
	pte_t *at = lock_entry(mm, address, &size, lock);
	pte_t entry;

	if (unlikely(!at))
		return NULL;
	entry = ptep_get(at);
	if (error_code & FAULT_WRITE) {
		wanted |= _PAGE_RW;
		marks |= _PAGE_DIRTY | _PAGE_SOFT_DIRTY;
	}
	if (unlikely((pte_val(entry) & wanted) != wanted || ((error_code & FAULT_FETCH) && !pte_exec(entry)))) {
		spin_unlock(*lock);
		return NULL;
	}
	if (unlikely(~pte_val(entry) & marks & ~_PAGE_SOFT_DIRTY))
		set_pte(at, __pte(pte_val(entry) | marks));
	return pfn_to_virt(pte_pfn(entry)) + (address & (size - 1));
}

/* The entry allows the access and only the host did not know. */
static bool was_miss(struct fault *fault)
{
	struct mm_struct *mm = current->mm;
	spinlock_t *lock;
	unsigned long flags;
	int error;

	if (!touch_page(mm, fault->address, fault->error_code, &lock))
		return false;
	spin_unlock(lock);
	count_trap(misses);
	local_irq_save(flags);
	error = hostmap_refill(mm, fault->address);
	local_irq_restore(flags);
	if (unlikely(error))
		do_group_exit(SIGKILL);		/* no signal, which the first process would ignore */
	return true;
}

/*
 * Under ptrace the host tells the address and whether it had a mapping there, not what was tried. A
 * fetch is known by the instruction pointer: the page that holds it may not be executed. Otherwise
 * a mapping that was there and did not suffice was written to; and where there was none, the
 * instruction says. A wrong guess "read" costs one more fault, with a mapping then.
 */
static unsigned long guess_access(struct pt_regs *regs, unsigned long address, bool had_mapping)
{
	unsigned char code[15];
	unsigned long distance = address - regs->ip;
	spinlock_t *lock;
	size_t length;

	if (distance < sizeof(code)) {
		if (!touch_page(current->mm, address, FAULT_FETCH, &lock))
			return FAULT_FETCH;
		spin_unlock(lock);
		if (!had_mapping)
			return FAULT_FETCH;	/* it may have been a data access: then it faults once more */
	}
	if (had_mapping)
		return FAULT_WRITE;
	length = sizeof(code) - raw_copy_from_user(code, (void __user *)regs->ip, sizeof(code));
	switch (instruction_writes(code, length)) {
	case ACCESS_WRITES:
		return FAULT_WRITE;
	case ACCESS_BOTH:	/* one of its two places: the string destination or the stack is written */
		return address - regs->di < 8 || regs->sp - address - 1 < 8 ? FAULT_WRITE : 0;
	default:
		return 0;
	}
}

/*
 * As the processor would find it in the guest's page tables. Linux says so of the kernel's half,
 * too.
 */
static bool is_present(unsigned long address)
{
	unsigned long size;
	spinlock_t *lock;
	bool present;
	pte_t *at;

	if (address >= BIT(47) - PAGE_SIZE)
		return true;
	at = address < TASK_SIZE ? lock_entry(current->mm, address, &size, &lock) : NULL;
	if (!at)
		return false;
	present = pte_val(ptep_get(at)) & _PAGE_PRESENT;
	spin_unlock(lock);
	return present;
}

static void send_fault_signal(struct pt_regs *regs, struct fault *fault, int signal, int code)
{
	struct thread_struct *thread = &current->thread;

	thread->cr2 = fault->address;
	thread->trap_nr = 14;
	thread->error_code = (fault->error_code & ~FAULT_PRESENT) | FAULT_USER;
	if (is_present(fault->address))
		thread->error_code |= FAULT_PRESENT;
	if (show_unhandled_signals && unhandled_signal(current, signal) && printk_ratelimit())
		pr_info("%s[%d]: fault at %lx ip %lx sp %lx error %lx\n", current->comm, task_pid_nr(current),
			fault->address, regs->ip, regs->sp, thread->error_code);
	force_sig_fault(signal, code, (void __user *)fault->address);
}

/* A page fault of guest code. Interrupts on. */
void user_fault(struct pt_regs *regs, struct host_trap *trap)
{
	struct fault fault = { trap->address, FAULT_USER };
	int code, signal;

	if (vsyscall_emulate(regs, trap->address))
		return;
	if (trap->error_code & HOST_FAULT_GUESS)
		fault.error_code |= guess_access(regs, trap->address, trap->error_code & HOST_FAULT_PRESENT);
	else
		fault.error_code = trap->error_code | FAULT_USER;
	if (fault.address < TASK_SIZE && was_miss(&fault))
		return;
	signal = fault_in(&fault, &code);
	if (signal > 0)
		send_fault_signal(regs, &fault, signal, code);
	else if (!signal && fault.error_code & FAULT_WRITE)
		prefault_data(fault.address);
	else if (!signal)
		prefault_cached(fault.address);
}

/*
 * The host says that it cannot give a page that it has mapped for guest code. Guest code can claim
 * that, so what decides is whether we can touch the page: if not, ./linux ends here, and if so, it
 * is there now. The program tries again.
 */
void ram_fault(unsigned long address)
{
	spinlock_t *lock;
	void *at;

	count_trap(faults);
	if (address >= TASK_SIZE)
		return;
	at = touch_page(current->mm, address, 0, &lock);
	if (!at)
		return;
	__atomic_or_fetch((char *)at, 0, __ATOMIC_RELAXED);
	spin_unlock(lock);
}
