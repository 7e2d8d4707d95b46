// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register sets of guest threads, as debuggers get and set them and as core files hold them:
 * general registers, the FXSAVE area, the XSAVE area. Layouts are those of native x86-64
 * (asm/user.h); the size of the last is known at run time only.
 *
 * What a debugger writes is checked as if the program itself had set it: nothing here may give a
 * thread registers that the host would refuse, or a code segment, base or flag that it could not
 * have had otherwise. The target is stopped, or is current when it dumps core. Runs in the context
 * of the one who asks.
 */
#include <linux/elf.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/regset.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/user.h>
#include <host/engine.h>
#include "regset.h"
#include "xsave.h"

/* Flags that a debugger may change. */
#define DEBUGGER_FLAGS	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | \
			 X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_RF | X86_EFLAGS_AC | X86_EFLAGS_NT)

#define FIELD(name)	offsetof(struct user_regs_struct, name)

static_assert(sizeof(struct pt_regs) == sizeof(struct user_regs_struct));

static unsigned long *field_at(struct task_struct *task, unsigned long offset)
{
	return (unsigned long *)((char *)task_pt_regs(task) + offset);
}

unsigned long regs_get_field(struct task_struct *task, unsigned long offset)
{
	return *field_at(task, offset);
}

/*
 * A data segment: none, or one of the user's privilege. The host loads 0 in place of one that does
 * not exist.
 */
static int set_data_segment(unsigned long *field, u16 selector)
{
	if (selector && (selector & 3) != 3)
		return -EIO;
	*field = selector;
	return 0;
}

/*
 * Code and stack segment stay what they are: other values mean 32-bit code, which there is none of.
 */
static int set_fixed_segment(unsigned long *field, u16 selector, u16 usual)
{
	if (selector != usual && selector != *field)
		return -EIO;
	*field = selector;
	return 0;
}

int regs_set_field(struct task_struct *task, unsigned long offset, unsigned long value)
{
	unsigned long *field = field_at(task, offset);

	switch (offset) {
	case FIELD(cs):
		return set_fixed_segment(field, value, USER_CS);
	case FIELD(ss):
		return set_fixed_segment(field, value, USER_DS);
	case FIELD(ds):
	case FIELD(es):
	case FIELD(fs):
	case FIELD(gs):
		return set_data_segment(field, value);
	case FIELD(flags):
		*field = (*field & ~DEBUGGER_FLAGS) | (value & DEBUGGER_FLAGS);
		return 0;
	case FIELD(fs_base):
	case FIELD(gs_base):
		if (value >= TASK_SIZE)
			return -EIO;
		break;
	}
	*field = value;
	return 0;
}

static int general_get(struct task_struct *task, const struct user_regset *set, struct membuf to)
{
	return membuf_write(&to, task_pt_regs(task), sizeof(struct user_regs_struct));
}

static int general_set(struct task_struct *task, const struct user_regset *set, unsigned int pos, unsigned int count,
		       const void *kbuf, const void __user *ubuf)
{
	unsigned long value;
	unsigned int at;
	int error;

	while (count >= sizeof(value)) {
		at = pos;
		error = user_regset_copyin(&pos, &count, &kbuf, &ubuf, &value, at, at + sizeof(value));
		if (!error)
			error = regs_set_field(task, at, value);
		if (error)
			return error;
	}
	return 0;
}

static int fx_get(struct task_struct *task, const struct user_regset *set, struct membuf to)
{
	struct xsave_area *area = xstate_read(task);

	if (!area)
		return -ENOMEM;
	membuf_write(&to, area, offsetof(struct xsave_area, sw));
	return membuf_zero(&to, sizeof(area->sw));
}

static int fx_set(struct task_struct *task, const struct user_regset *set, unsigned int pos, unsigned int count,
		  const void *kbuf, const void __user *ubuf)
{
	struct user_i387_struct fx;
	struct xsave_area *area;
	int error;

	if (pos || count != sizeof(fx))
		return -EINVAL;
	error = user_regset_copyin(&pos, &count, &kbuf, &ubuf, &fx, 0, sizeof(fx));
	if (error)
		return error;
	if (fx.mxcsr & ~xstate_mxcsr_mask)
		return -EINVAL;
	area = xstate_write(task);
	if (!area)
		return -ENOMEM;
	area->fx = fx;
	area->header.xfeatures |= XSTATE_LEGACY;
	xstate_complete(area);
	return 0;
}

static int xsave_active(struct task_struct *task, const struct user_regset *set)
{
	return host_xfeatures ? set->n : 0;
}

/*
 * The first of the software's bytes says which features the processor has on, for a debugger
 * elsewhere.
 */
static int xsave_get(struct task_struct *task, const struct user_regset *set, struct membuf to)
{
	struct xsave_area *area;
	u64 xcr0 = host_xfeatures;

	if (!host_xfeatures)
		return -ENODEV;
	area = xstate_read(task);
	if (!area)
		return -ENOMEM;
	membuf_write(&to, area, offsetof(struct xsave_area, sw));
	membuf_write(&to, &xcr0, sizeof(xcr0));
	membuf_zero(&to, sizeof(area->sw) - sizeof(xcr0));
	return membuf_write(&to, &area->header, host_xstate_size - offsetof(struct xsave_area, header));
}

static bool xsave_acceptable(const struct xsave_area *area)
{
	return !(area->header.xfeatures & ~xstate_features) &&
	       !memchr_inv(area->header.reserved1, 0, sizeof(area->header.reserved1)) &&
	       !memchr_inv(area->header.reserved2, 0, sizeof(area->header.reserved2)) &&
	       (!(area->header.xfeatures & (XSTATE_LEGACY | XSTATE_AVX)) || !(area->fx.mxcsr & ~xstate_mxcsr_mask));
}

/*
 * Replaces a whole area by another that was read in full before, so that an error leaves the state
 * as it was.
 */
static int xsave_replace(struct task_struct *task, const struct xsave_area *from)
{
	struct xsave_area *area;

	if (!xsave_acceptable(from))
		return -EINVAL;
	area = xstate_overwrite(task);
	if (!area)
		return -ENOMEM;
	memcpy(area, from, xstate_frame_size);
	if (!(from->header.xfeatures & (XSTATE_LEGACY | XSTATE_AVX)))
		area->fx.mxcsr = MXCSR_DEFAULT;
	xstate_complete(area);
	return 0;
}

static int xsave_set(struct task_struct *task, const struct user_regset *set, unsigned int pos, unsigned int count,
		     const void *kbuf, const void __user *ubuf)
{
	struct xsave_area *copy;
	int error;

	if (!host_xfeatures)
		return -ENODEV;
	if (pos || count != host_xstate_size)
		return -EFAULT;
	copy = kvmalloc(count, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	error = user_regset_copyin(&pos, &count, &kbuf, &ubuf, copy, 0, count);
	if (!error)
		error = xsave_replace(task, copy);
	kvfree(copy);
	return error;
}

static struct user_regset regsets[] __ro_after_init = {
	[REGSET_GENERAL] = {
		.core_note_type = NT_PRSTATUS,
		.n = sizeof(struct user_regs_struct) / sizeof(long),
		.size = sizeof(long),
		.align = sizeof(long),
		.regset_get = general_get,
		.set = general_set,
	},
	[REGSET_FX] = {
		.core_note_type = NT_PRFPREG,
		.n = sizeof(struct user_i387_struct) / sizeof(long),
		.size = sizeof(long),
		.align = sizeof(long),
		.regset_get = fx_get,
		.set = fx_set,
	},
	[REGSET_XSAVE] = {
		.core_note_type = NT_X86_XSTATE,
		.size = sizeof(u64),
		.align = sizeof(u64),
		.active = xsave_active,
		.regset_get = xsave_get,
		.set = xsave_set,
	},
};

static const struct user_regset_view view = {
	.name = "x86_64",
	.e_machine = EM_X86_64,
	.regsets = regsets,
	.n = ARRAY_SIZE(regsets),
};

const struct user_regset_view *task_user_regset_view(struct task_struct *task)
{
	return &view;
}

#define NAMED(name) { #name, offsetof(struct pt_regs, name) }

static const struct {
	const char *name;
	unsigned int offset;
} names[] = {
	NAMED(r15), NAMED(r14), NAMED(r13), NAMED(r12), NAMED(bp), NAMED(bx), NAMED(r11), NAMED(r10), NAMED(r9), NAMED(r8),
	NAMED(ax), NAMED(cx), NAMED(dx), NAMED(si), NAMED(di), NAMED(orig_ax), NAMED(ip), NAMED(cs), NAMED(flags),
	NAMED(sp), NAMED(ss),
};

int regs_query_register_offset(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].name, name))
			return names[i].offset;
	return -EINVAL;
}

const char *regs_query_register_name(unsigned int offset)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].offset == offset)
			return names[i].name;
	return NULL;
}

int regs_within_kernel_stack(struct pt_regs *regs, unsigned long address)
{
	return (address & ~(THREAD_SIZE - 1)) == (regs->sp & ~(THREAD_SIZE - 1));
}

/* Returns 0 for an entry outside of the stack. */
unsigned long regs_get_kernel_stack_nth(struct pt_regs *regs, unsigned int n)
{
	unsigned long *entry = (unsigned long *)regs->sp + n;
	unsigned long value;

	if (!regs_within_kernel_stack(regs, (unsigned long)entry) ||
	    copy_from_kernel_nofault(&value, entry, sizeof(value)))
		return 0;
	return value;
}

static int __init regset_init(void)
{
	regsets[REGSET_XSAVE].n = host_xstate_size / sizeof(u64);
	return 0;
}
early_initcall(regset_init);
