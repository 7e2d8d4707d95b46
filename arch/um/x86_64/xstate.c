// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extended state of guest threads: who has it, and moving it between buffers and stub processes.
 *
 * asm/xstate.h says where the state can be. The one rule that everything here keeps:
 *
 *	task->thread.xstate_live == mm   if and only if   mm->context.xstate_owner == task
 *
 * so that neither pointer outlives its target: the task's end (xstate_release) and the stub's end
 * (xstate_leave) clear both. While xstate_live is NULL the buffer is the state; otherwise the
 * stub's registers are, and the buffer is what they were some time ago. Moving state is among the
 * dearest things this port does (11 KiB, a host call each way), so it stays in the stub until
 * somebody else needs it or the stub.
 *
 * The host refuses a whole area for one bad bit in it, so a buffer never holds one: features
 * outside of xstate_features, reserved header bytes and reserved MXCSR bits are removed wherever
 * state comes in. Features that a program must ask its kernel for (AMX tile data) are not offered:
 * the stub has not asked the host for them either.
 *
 * Runs on the thread of the virtual CPU; the pointers change with interrupts off.
 */
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/debug_regs.h>
#include <asm/elf.h>
#include <host/engine.h>
#include "xsave.h"

#define COMPONENTS	63	/* bit 63 of the mask means something else */
#define PKRU_DEFAULT	0x55555554	/* protection keys: all but key 0 closed, as Linux starts a program */

static struct {
	unsigned int offset, size;
} component[COMPONENTS];

unsigned long xstate_features = XSTATE_LEGACY;
unsigned int xstate_frame_size = sizeof(struct user_i387_struct);
unsigned int xstate_mxcsr_mask;
unsigned long elf_hwcap;

static struct kmem_cache *buffers;
static struct xsave_area *initial;	/* the state of a new program */

static void cpuid_count(unsigned int leaf, unsigned int subleaf, unsigned int regs[4])
{
	asm volatile("cpuid" : "=a" (regs[0]), "=b" (regs[1]), "=c" (regs[2]), "=d" (regs[3])
		     : "a" (leaf), "c" (subleaf));
}

unsigned int xstate_end_of(unsigned long features)
{
	unsigned int end = sizeof(struct xsave_area);
	int i;

	for (i = 2; i < COMPONENTS; i++)
		if (features & (1UL << i))
			end = max(end, component[i].offset + component[i].size);
	return end;
}

void xstate_complete(struct xsave_area *area)
{
	unsigned long present = area->header.xfeatures & xstate_features;
	int i;

	if (!(present & XSTATE_X87)) {
		memset(&area->fx, 0, offsetof(struct user_i387_struct, mxcsr));
		memset(area->fx.st_space, 0, sizeof(area->fx.st_space));
		area->fx.cwd = 0x37f;
	}
	if (!(present & XSTATE_SSE))
		memset(area->fx.xmm_space, 0, sizeof(area->fx.xmm_space));
	area->fx.mxcsr &= xstate_mxcsr_mask;
	area->fx.mxcsr_mask = xstate_mxcsr_mask;
	memset(area->fx.padding, 0, sizeof(area->fx.padding));
	for (i = 2; i < COMPONENTS; i++)
		if (xstate_features & ~present & (1UL << i))
			memset((char *)area + component[i].offset, 0, component[i].size);
	memset(&area->header, 0, sizeof(area->header));
	area->header.xfeatures = present | XSTATE_LEGACY;
}

/*
 * Zeroed, because the part behind xstate_frame_size is never written but can be read by debuggers.
 */
static struct xsave_area *buffer_of(struct task_struct *task)
{
	if (!task->thread.xstate) {
		task->thread.xstate = kmem_cache_zalloc(buffers, GFP_KERNEL);
		if (task->thread.xstate)
			memcpy(task->thread.xstate, initial, xstate_frame_size);
	}
	return task->thread.xstate;
}

/* The stub's registers are task's no longer. */
static void detach(struct task_struct *task)
{
	struct mm_struct *mm = task->thread.xstate_live;

	if (mm) {
		mm->context.xstate_owner = NULL;
		task->thread.xstate_live = NULL;
	}
}

/*
 * Brings the buffer of a live state up to date. A stub that cannot say has lost it; its process is
 * about to die.
 */
static void fetch(struct task_struct *task)
{
	struct mm_struct *mm = task->thread.xstate_live;
	struct xsave_area *area = task->thread.xstate;

	if (!mm || !mm->context.space)
		return;
	if (host_engine->get_xstate(mm->context.space, area)) {
		memcpy(area, initial, xstate_frame_size);
		return;
	}
	if (!host_xfeatures)
		area->header.xfeatures = XSTATE_LEGACY;
	xstate_complete(area);
}

void *xstate_read(struct task_struct *task)
{
	struct xsave_area *area = buffer_of(task);
	unsigned long flags;

	local_irq_save(flags);
	fetch(task);
	local_irq_restore(flags);
	return area;
}

struct xsave_area *xstate_overwrite(struct task_struct *task)
{
	struct xsave_area *area = buffer_of(task);
	unsigned long flags;

	local_irq_save(flags);
	if (area)
		detach(task);
	local_irq_restore(flags);
	return area;
}

void *xstate_write(struct task_struct *task)
{
	return xstate_read(task) ? xstate_overwrite(task) : NULL;
}

int xstate_reset(struct task_struct *task)
{
	struct xsave_area *area = xstate_overwrite(task);

	if (!area)
		return -ENOMEM;
	memcpy(area, initial, xstate_frame_size);
	return 0;
}

int xstate_copy(struct task_struct *dst, struct task_struct *src)
{
	struct xsave_area *to = buffer_of(dst);

	if (!to)
		return -ENOMEM;
	if (src->thread.xstate)
		memcpy(to, xstate_read(src), xstate_frame_size);
	return 0;
}

/* Bit 7 of the status word sums up the exceptions that the control word lets through. */
bool xstate_x87_error(struct task_struct *task)
{
	struct xsave_area *area = xstate_read(task);

	return area && (area->fx.swd & 0x80);
}

void xstate_release(struct task_struct *task)
{
	unsigned long flags;

	local_irq_save(flags);
	detach(task);
	local_irq_restore(flags);
	if (task->thread.xstate)
		kmem_cache_free(buffers, task->thread.xstate);
	task->thread.xstate = NULL;
}

/* Takes the stub of mm from whoever has it and gives it to current. */
static int load_own_xstate(struct mm_struct *mm)
{
	struct task_struct *owner = mm->context.xstate_owner;
	int error;

	if (owner) {
		if (!(owner->flags & PF_EXITING))
			fetch(owner);
		detach(owner);
	}
	fetch(current);		/* from another address space; only ever after kernel code changed current->mm */
	detach(current);
	error = host_engine->set_xstate(mm->context.space, current->thread.xstate);
	if (error)
		return error;
	mm->context.xstate_owner = current;
	current->thread.xstate_live = mm;
	return 0;
}

int xstate_load(void)
{
	struct mm_struct *mm = current->mm;
	unsigned long flags;
	int error;

	if (likely(mm->context.xstate_owner == current))
		return 0;
	if (!buffer_of(current))
		return -ENOMEM;
	local_irq_save(flags);
	error = load_own_xstate(mm);
	local_irq_restore(flags);
	return error;
}

/*
 * A program that exits or that another replaces needs its state no more, which saves the host call.
 */
void xstate_leave(struct mm_struct *mm)
{
	struct task_struct *owner = mm->context.xstate_owner;
	unsigned long flags;

	if (!owner)
		return;
	local_irq_save(flags);
	if (!(owner->flags & PF_EXITING) && !owner->in_execve)
		fetch(owner);
	detach(owner);
	local_irq_restore(flags);
}

int arch_dup_task_struct(struct task_struct *dst, struct task_struct *src)
{
	memcpy(dst, src, arch_task_struct_size);
	dst->thread.xstate = NULL;
	dst->thread.xstate_live = NULL;
	dst->thread.single_step = false;
	dst->thread.stack_guarded = false;
	dst->thread.reserved = NULL;
	dst->thread.reserved_page = NULL;
	debug_reset(dst);
	return 0;
}

void arch_release_task_struct(struct task_struct *task)
{
	xstate_release(task);
}

static void __init find_components(void)
{
	unsigned int regs[4];
	int i;

	if (!host_xfeatures)
		return;
	xstate_features = host_xfeatures & ~XSTATE_TILEDATA;
	for (i = 2; i < COMPONENTS; i++) {
		if (!(host_xfeatures & (1UL << i)))
			continue;
		cpuid_count(13, i, regs);
		component[i].size = regs[0];
		component[i].offset = regs[1];
	}
	xstate_frame_size = xstate_end_of(xstate_features);
	if (WARN_ON(xstate_frame_size > host_xstate_size)) {
		xstate_features = XSTATE_LEGACY;
		xstate_frame_size = sizeof(struct xsave_area);
	}
}

/* FXSAVE tells which bits of MXCSR exist; 0 stands for the first processors' set. */
static void __init find_mxcsr_mask(void)
{
	static struct user_i387_struct image __aligned(16) __initdata;

	asm volatile("fxsave %0" : "=m" (image));
	xstate_mxcsr_mask = image.mxcsr_mask ? image.mxcsr_mask : 0xffbf;
}

static void __init make_initial(void)
{
	initial = kmem_cache_zalloc(buffers, GFP_KERNEL | __GFP_NOFAIL);
	initial->fx.mxcsr = MXCSR_DEFAULT;
	xstate_complete(initial);
	if (xstate_features & XSTATE_PKRU) {
		*(u32 *)((char *)initial + component[9].offset) = PKRU_DEFAULT;
		initial->header.xfeatures |= XSTATE_PKRU;
	}
}

/* Called once slabs work, before there is a second task. */
void __init arch_task_cache_init(void)
{
	unsigned int size = max_t(unsigned int, host_xstate_size, sizeof(struct xsave_area));
	unsigned int regs[4];

	cpuid_count(1, 0, regs);
	elf_hwcap = regs[3];
	find_components();
	find_mxcsr_mask();
	buffers = kmem_cache_create_usercopy("xstate", size, 64, SLAB_PANIC | SLAB_ACCOUNT, 0, size, NULL);
	make_initial();
}
