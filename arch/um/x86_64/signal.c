// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals of guest programs: the frame on the user's stack that a handler starts with, and the way
 * back from it.
 *
 * The frame is bit for bit that of native x86-64 Linux, because debuggers, unwinders, language
 * runtimes and sandboxes read and write it. From high addresses to low:
 *
 *	the interrupted stack	(less the 128 bytes below it that belong to the interrupted function), or the alternate one
 *	extended state		64-byte aligned, an XSAVE area of xstate_frame_size bytes and FP_XSTATE_MAGIC2
 *	struct rt_sigframe	so that the stack pointer is 8 below a multiple of 16, as after a call
 *
 * Everything that comes back from the user's stack is copied first, checked, then used; a frame
 * that the processor would not accept ends in SIGSEGV. Runs in the context of the thread that gets
 * the signal, interrupts on.
 */
#include <linux/entry-common.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/rseq.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/sigframe.h>
#include <asm/syscall.h>
#include <asm/xstate.h>
#include <host/engine.h>
#include "xsave.h"

#define RED_ZONE	128
#define XSTATE_ALIGN	64
#define STACK_ALIGN	16

/* Flags that a program may change by returning from a handler. */
#define USER_FLAGS	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | \
			 X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_RF | X86_EFLAGS_AC)

/* Bytes of extended state in a frame of an area of that size. */
static unsigned long xstate_in_frame(unsigned long area_size)
{
	return host_xfeatures ? area_size + FP_XSTATE_MAGIC2_SIZE : area_size;
}

/*
 * As natively this counts all that the processor has, though the frames here leave out what no
 * program can enable.
 */
unsigned long get_sigframe_size(void)
{
	return round_up(sizeof(struct rt_sigframe) + STACK_ALIGN - 1 +
			xstate_in_frame(host_xstate_size) + XSTATE_ALIGN - 1, STACK_ALIGN);
}

/*
 * Where the frame goes. *xstate: where its extended state goes. NULL: the alternate stack is too
 * small, and writing below it would overwrite something else.
 */
static struct rt_sigframe __user *place_frame(struct ksignal *ksig, unsigned long stack, unsigned long *xstate)
{
	bool alternate = on_sig_stack(stack);
	unsigned long sp = stack - RED_ZONE;

	if ((ksig->ka.sa.sa_flags & SA_ONSTACK) && !sas_ss_flags(sp)) {
		sp = current->sas_ss_sp + current->sas_ss_size;
		alternate = true;
	}
	sp = round_down(sp - xstate_in_frame(xstate_frame_size), XSTATE_ALIGN);
	*xstate = sp;
	sp = round_down(sp - sizeof(struct rt_sigframe), STACK_ALIGN) - 8;
	if (alternate && !__on_sig_stack(sp)) {
		if (show_unhandled_signals && printk_ratelimit())
			pr_info("%s[%d] overflowed sigaltstack\n", current->comm, task_pid_nr(current));
		return NULL;
	}
	return (struct rt_sigframe __user *)sp;
}

/*
 * The area says in bytes that the processor leaves alone how large it is, and a second word at its
 * end confirms it. They are never in the buffer: where copying it faults, another thread may run,
 * and the buffer is then filled anew from the stub.
 */
static int save_xstate(unsigned long to)
{
	const struct _fpx_sw_bytes sw = {
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = xstate_frame_size + FP_XSTATE_MAGIC2_SIZE,
		.xfeatures = xstate_features,
		.xstate_size = xstate_frame_size,
	};
	struct xsave_area *area = xstate_read(current);

	if (!area)
		return -ENOMEM;
	if (copy_to_user((void __user *)to, area, xstate_frame_size))
		return -EFAULT;
	if (!host_xfeatures)
		return 0;
	if (copy_to_user((void __user *)(to + offsetof(struct xsave_area, sw)), &sw, sizeof(sw)))
		return -EFAULT;
	return put_user(FP_XSTATE_MAGIC2, (u32 __user *)(to + xstate_frame_size));
}

static void fill_sigcontext(struct sigcontext *sc, struct pt_regs *regs)
{
	sc->r8 = regs->r8;
	sc->r9 = regs->r9;
	sc->r10 = regs->r10;
	sc->r11 = regs->r11;
	sc->r12 = regs->r12;
	sc->r13 = regs->r13;
	sc->r14 = regs->r14;
	sc->r15 = regs->r15;
	sc->di = regs->di;
	sc->si = regs->si;
	sc->bp = regs->bp;
	sc->bx = regs->bx;
	sc->dx = regs->dx;
	sc->ax = regs->ax;
	sc->cx = regs->cx;
	sc->sp = regs->sp;
	sc->ip = regs->ip;
	sc->flags = regs->flags;
	sc->cs = regs->cs;
	sc->ss = regs->ss;
	sc->err = current->thread.error_code;
	sc->trapno = current->thread.trap_nr;
	sc->cr2 = current->thread.cr2;
}

static void fill_frame(struct rt_sigframe *frame, struct ksignal *ksig, struct pt_regs *regs, unsigned long xstate)
{
	sigset_t *mask = sigmask_to_save();

	memset(frame, 0, offsetof(struct rt_sigframe, info));
	frame->pretcode = (char __user *)ksig->ka.sa.sa_restorer;
	frame->uc.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	if (host_xfeatures)
		frame->uc.uc_flags |= UC_FP_XSTATE;
	frame->uc.uc_stack.ss_sp = (void __user *)current->sas_ss_sp;
	frame->uc.uc_stack.ss_flags = current->sas_ss_flags;
	frame->uc.uc_stack.ss_size = current->sas_ss_size;
	frame->uc.uc_sigmask = *mask;
	fill_sigcontext(&frame->uc.uc_mcontext, regs);
	frame->uc.uc_mcontext.oldmask = mask->sig[0];
	frame->uc.uc_mcontext.fpstate = xstate;
}

static void enter_handler(struct rt_sigframe __user *frame, struct ksignal *ksig, struct pt_regs *regs)
{
	regs->di = ksig->sig;
	regs->si = (unsigned long)&frame->info;
	regs->dx = (unsigned long)&frame->uc;
	regs->ax = 0;			/* no vector arguments, for handlers without a prototype */
	regs->ip = (unsigned long)ksig->ka.sa.sa_handler;
	regs->sp = (unsigned long)frame;
	regs->cs = USER_CS;
	regs->ss = USER_DS;
	regs->flags &= ~(X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_RF);
}

static int setup_frame(struct ksignal *ksig, struct pt_regs *regs)
{
	struct rt_sigframe __user *frame;
	struct rt_sigframe copy;
	unsigned long xstate;

	rseq_signal_deliver(ksig, regs);
	if (!(ksig->ka.sa.sa_flags & SA_RESTORER))
		return -EFAULT;		/* x86-64 has no other way back */
	frame = place_frame(ksig, regs->sp, &xstate);
	if (!frame || save_xstate(xstate))
		return -EFAULT;
	fill_frame(&copy, ksig, regs, xstate);
	if (copy_to_user(frame, &copy, offsetof(struct rt_sigframe, info)))
		return -EFAULT;
	if ((ksig->ka.sa.sa_flags & SA_SIGINFO) && copy_siginfo_to_user(&frame->info, &ksig->info))
		return -EFAULT;
	if (xstate_reset(current))
		return -ENOMEM;
	enter_handler(frame, ksig, regs);
	return 0;
}

/* Runs the system call again: 2 is the length of the syscall instruction. */
static void restart_syscall_as(struct pt_regs *regs, unsigned long nr)
{
	regs->ax = nr;
	regs->ip -= 2;
}

/*
 * A system call that a handler interrupts fails with EINTR or, where that is its contract, runs
 * again afterwards.
 */
static void interrupt_syscall(struct ksignal *ksig, struct pt_regs *regs)
{
	switch (syscall_get_error(current, regs)) {
	case -ERESTART_RESTARTBLOCK:
	case -ERESTARTNOHAND:
		regs->ax = -EINTR;
		break;
	case -ERESTARTSYS:
		if (ksig->ka.sa.sa_flags & SA_RESTART)
			restart_syscall_as(regs, regs->orig_ax);
		else
			regs->ax = -EINTR;
		break;
	case -ERESTARTNOINTR:
		restart_syscall_as(regs, regs->orig_ax);
		break;
	}
}

/* Without a handler every interrupted system call goes on as if nothing had been. */
static void continue_syscall(struct pt_regs *regs)
{
	switch (syscall_get_error(current, regs)) {
	case -ERESTARTNOHAND:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
		restart_syscall_as(regs, regs->orig_ax);
		break;
	case -ERESTART_RESTARTBLOCK:
		restart_syscall_as(regs, __NR_restart_syscall);
		break;
	}
}

/*
 * A debugger that steps sees the handler's first instruction before it runs, so the step ends here.
 */
static void deliver(struct ksignal *ksig, struct pt_regs *regs)
{
	bool stepping = current->thread.single_step;

	if (stepping)
		user_disable_single_step(current);
	signal_setup_done(setup_frame(ksig, regs) < 0, ksig, stepping);
}

void arch_do_signal_or_restart(struct pt_regs *regs)
{
	struct ksignal ksig;
	bool handler = get_signal(&ksig);
	/* Asked only now: a debugger may have changed the registers meanwhile. */
	bool in_syscall = syscall_get_nr(current, regs) != -1;

	if (handler) {
		if (in_syscall)
			interrupt_syscall(&ksig, regs);
		deliver(&ksig, regs);
		return;
	}
	if (in_syscall)
		continue_syscall(regs);
	restore_saved_sigmask();
}

/*
 * The area says in its own words how large it is; one that does not is what FXSAVE would have left.
 */
static bool has_extended_part(const struct _fpx_sw_bytes *sw, unsigned long from)
{
	u32 magic2;

	if (!host_xfeatures || sw->magic1 != FP_XSTATE_MAGIC1 ||
	    sw->xstate_size < sizeof(struct xsave_area) || sw->xstate_size > xstate_frame_size ||
	    sw->xstate_size > sw->extended_size)
		return false;
	return !get_user(magic2, (u32 __user *)(from + sw->xstate_size)) && magic2 == FP_XSTATE_MAGIC2;
}

/*
 * The header and the components that it names, if the program did not take them off the list in sw.
 * What the XRSTOR instruction would refuse is refused.
 */
static int read_extended_part(struct xsave_area *area, unsigned long from)
{
	const unsigned long listed = area->sw.xfeatures & xstate_features;
	unsigned int end;

	if (copy_from_user(&area->header, (void __user *)(from + offsetof(struct xsave_area, header)),
			   sizeof(area->header)))
		return -EFAULT;
	if ((area->header.xfeatures & ~host_xfeatures) || area->header.reserved1[0] || area->header.reserved1[1])
		return -EINVAL;
	area->header.xfeatures &= listed;
	if (!(listed & (XSTATE_SSE | XSTATE_AVX)))
		area->fx.mxcsr = MXCSR_DEFAULT;
	end = xstate_end_of(area->header.xfeatures);
	if (copy_from_user(area->extended, (void __user *)(from + offsetof(struct xsave_area, extended)),
			   end - offsetof(struct xsave_area, extended)))
		return -EFAULT;
	return 0;
}

static int read_xstate(struct xsave_area *area, unsigned long from)
{
	int error;

	if (copy_from_user(area, (void __user *)from, sizeof(area->fx)))
		return -EFAULT;
	if (has_extended_part(&area->sw, from)) {
		error = read_extended_part(area, from);
		if (error)
			return error;
	} else {
		area->header.xfeatures = XSTATE_LEGACY;
	}
	if (area->fx.mxcsr & ~xstate_mxcsr_mask)
		return -EINVAL;
	xstate_complete(area);
	return 0;
}

/* from: where the frame says that the extended state is; 0 asks for that of a new program. */
static int restore_xstate(unsigned long from)
{
	struct xsave_area *area;
	int error;

	if (!from)
		return xstate_reset(current);
	area = xstate_overwrite(current);
	if (!area)
		return -ENOMEM;
	error = read_xstate(area, from);
	if (error)
		xstate_reset(current);	/* half of it is the program's: leave nothing undefined */
	return error;
}

static void take_sigcontext(struct pt_regs *regs, const struct sigcontext *sc)
{
	regs->r8 = sc->r8;
	regs->r9 = sc->r9;
	regs->r10 = sc->r10;
	regs->r11 = sc->r11;
	regs->r12 = sc->r12;
	regs->r13 = sc->r13;
	regs->r14 = sc->r14;
	regs->r15 = sc->r15;
	regs->di = sc->di;
	regs->si = sc->si;
	regs->bp = sc->bp;
	regs->bx = sc->bx;
	regs->dx = sc->dx;
	regs->ax = sc->ax;
	regs->cx = sc->cx;
	regs->sp = sc->sp;
	regs->ip = sc->ip;
	regs->flags = (regs->flags & ~USER_FLAGS) | (sc->flags & USER_FLAGS);
	/* The only selectors that the guest has; others would be for 32-bit code. */
	regs->cs = USER_CS;
	regs->ss = USER_DS;
	regs->orig_ax = -1;	/* the interrupted code is in no system call, whatever ax looks like */
}

static int restore_frame(struct rt_sigframe __user *frame, struct pt_regs *regs)
{
	struct ucontext uc;
	sigset_t mask;

	if (copy_from_user(&uc, &frame->uc, sizeof(uc)))
		return -EFAULT;
	mask = uc.uc_sigmask;
	set_current_blocked(&mask);
	if (restore_altstack(&frame->uc.uc_stack))
		return -EFAULT;
	/* A system call interrupted before the handler cannot be continued by number any more. */
	current->restart_block.fn = do_no_restart_syscall;
	take_sigcontext(regs, &uc.uc_mcontext);
	return restore_xstate(uc.uc_mcontext.fpstate);
}

SYSCALL_DEFINE0(rt_sigreturn)
{
	struct pt_regs *regs = current_pt_regs();
	/* The handler's ret took pretcode off the stack. */
	struct rt_sigframe __user *frame = (struct rt_sigframe __user *)(regs->sp - sizeof(long));

	if (!restore_frame(frame, regs))
		return regs->ax;
	if (show_unhandled_signals && printk_ratelimit())
		pr_info("%s[%d] bad frame in rt_sigreturn frame:%px ip:%lx sp:%lx\n", current->comm,
			task_pid_nr(current), frame, regs->ip, regs->sp);
	force_sig(SIGSEGV);
	return 0;
}
