// SPDX-License-Identifier: GPL-2.0-only
/*
 * The seccomp engine: guest code runs as an ordinary process whose system calls a filter turns into
 * signals. Signal, fault and kick all end in the same handler, stub_trap (stub/seccomp.S), with the
 * interrupted registers in a signal frame in shared memory.
 *
 *  1. run() puts general registers into the frame, gives the turn, waits for it, and takes them out
 *     again. Extended state stays in the frame, where the host put it and from where the host
 *     restores it. A call, in place of a system call instruction, is a trap without a signal:
 *     registers come and go in the state page, extended state in a second frame, from which the
 *     guest thread returns only where a jump would not do.
 *  2. The frame tells what happened, for a page fault with the processor's own error code.
 *  3. Mappings are changed by the stub process's other thread, the mapper (handoff.c).
 *  4. Stub processes of ended address spaces are emptied, proved to be clean (seccomp_stub.c) and
 *     used again.
 *
 * Security (docs/security/model.md, G1 to G6). Guest code can write the frame and the turn, so all
 * that is read here is only what it claims. It can claim a trap that did not happen, with registers
 * of its choice, and continue to run while the kernel serves it. Its claims are copied once and
 * then used as its registers. Since it may be running, engine.proves_stop is not set: mappings that
 * are removed are gone on the host before their pages are reused.
 *
 * Runs on the thread of the virtual CPU.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <host/engine.h>
#include <host/memory.h>
#include <host/process.h>
#include <host/vcpu.h>

#include "os.h"
#include "engines.h"
#include "seccomp_stub.h"
#include "stub_address.h"
#include "stub_syscall.h"

#define FLAG_TF		0x100UL
#define FLAG_IF		0x200UL
#define GUEST_FLAGS	0x254dd7UL	/* those that user code can have or change: no IOPL, no virtual 8086 mode */
#define GUEST_RPL	3		/* in cs and ss */
#define TRAP_PAGE_FAULT	14	/* exception number of the processor */
#define FAULT_BITS	0x1eUL	/* of the error code: write, user, reserved, fetch; not "present", which is about our cache */
#define FAULT_FETCH	0x10UL
#define VSYSCALL_PAGE	0xffffffffff600000UL

/* The room in which stub processes find a random place for their pages. */
#define STUB_GAP	(64UL << 30)

/* ---- 4. address spaces ---- */

#define POOL_MAX 32

struct host_space *seccomp_spaces;
static struct host_space *pool;
static int pool_size;

static void seccomp_enlist(struct host_space *space)
{
	space->all_next = seccomp_spaces;
	space->all_link = &seccomp_spaces;
	if (seccomp_spaces)
		seccomp_spaces->all_link = &space->all_next;
	/* a signal handler walks this list */
	__atomic_store_n(&seccomp_spaces, space, __ATOMIC_RELEASE);
}

static void seccomp_discard(struct host_space *space)
{
	seccomp_stub_end(space);
	__atomic_store_n(space->all_link, space->all_next, __ATOMIC_RELEASE);
	if (space->all_next)
		space->all_next->all_link = space->all_link;
	free(space);
}

/* Before ./linux starts itself again: it stays the parent of those that are left. */
static void seccomp_end_all(void)
{
	while (seccomp_spaces)
		seccomp_discard(seccomp_spaces);
}

static int seccomp_create(struct host_space **result, void *page, unsigned long page_offset)
{
	struct host_space *space;
	int error;

	if (pool) {
		*result = pool;
		pool = pool->next;
		pool_size--;
		host_stubs_reused++;
		return 0;
	}
	space = calloc(1, sizeof(*space));
	if (!space)
		return -ENOMEM;
	error = seccomp_stub_start(space);
	if (error) {
		free(space);
		return error;
	}
	host_stubs_made++;
	seccomp_enlist(space);
	*result = space;
	return 0;
}

static int unmap_all(struct host_space *space)
{
	space->control->requests[0] = (struct stub_syscall) { SYS_munmap, { 0, host_task_size } };
	return handoff_request(space, 1);
}

static void seccomp_destroy(struct host_space *space)
{
	if (space->gone || pool_size == POOL_MAX || unmap_all(space) || seccomp_stub_clean(space)) {
		seccomp_discard(space);
		return;
	}
	space->next = pool;
	pool = space;
	pool_size++;
}

/* ---- 3. mappings ---- */

static int seccomp_apply(struct host_space *space, const struct host_map *changes, int count)
{
	int error;

	if (space->gone)
		return -ESRCH;
	for (int i = 0; i < count; i++)
		space->control->requests[i] = stub_syscall_for(&changes[i], STUB_FD_RAM);
	error = handoff_request(space, count);
	/* Where things are in guest RAM is not for guest code to know. */
	memset(space->control->requests, 0, count * sizeof(struct stub_syscall));
	return error;
}

/* ---- 1. running ---- */

/*
 * A debugger in the guest may have set any selector, but the stub dies of one that does not load.
 * As the host does under ptrace, 0 stands in for it. What loads are the null selectors and the
 * descriptors of user programs: 32-bit code, data, 64-bit code, the processor's number.
 */
static unsigned short loadable(unsigned long selector)
{
	const unsigned long descriptors = 1UL << 0 | 1UL << 4 | 1UL << 5 | 1UL << 6 | 1UL << 15;
	unsigned long local = selector & 4, descriptor = (selector & 0xffff) >> 3;

	return !local && descriptor < 64 && (descriptors >> descriptor & 1) ? selector : 0;
}

static void put_selectors(struct host_space *space, const struct host_regs *regs)
{
	struct stub_control *control = space->control;

	control->ds = loadable(regs->ds);
	control->es = loadable(regs->es);
	control->fs = loadable(regs->fs);
	control->gs = loadable(regs->gs);
}

/*
 * Where guest code cannot set the bases itself, they are given to the thread only when they
 * changed.
 */
static void put_bases(struct host_space *space, const struct host_regs *regs)
{
	struct stub_control *control = space->control;

	control->set_bases = control->fsgsbase || regs->fs_base != space->fs_base || regs->gs_base != space->gs_base;
	if (!control->set_bases)
		return;
	control->fs_base = space->fs_base = regs->fs_base;
	control->gs_base = space->gs_base = regs->gs_base;
}

/*
 * Threads of one address space take turns in one host thread. Guest code may have jumped to the
 * stub's call before the stub was used again: what is not known is said anew.
 */
static void put_tsc(struct host_space *space, int how)
{
	int off = !!(how & HOST_NO_TSC);

	space->control->tsc = off == space->no_tsc ? 0 : off ? PR_TSC_SIGSEGV : PR_TSC_ENABLE;
	space->no_tsc = off;
}

/*
 * Without XSAVE the host writes its bytes as well, and no mark: a frame ends with the state of x87
 * and SSE, and another stub's page may follow.
 */
static int frames_are_extended(void)
{
	return host_frame_sw.magic == FRAME_SW_MAGIC && host_frame_sw.size > LEGACY_SIZE;
}

/*
 * The host wants its own bytes in it, and a mark at its end; without, it restores x87 and SSE only.
 */
static void mark_xstate(struct host_space *space)
{
	static const unsigned int end_mark = 0x46505845;	/* FP_XSTATE_MAGIC2 */

	if (!frames_are_extended())
		return;
	memcpy((char *)space->xstate + FRAME_SW_OFFSET, &host_frame_sw, sizeof(host_frame_sw));
	memcpy((char *)space->xstate + host_frame_sw.extended_size - sizeof(end_mark), &end_mark, sizeof(end_mark));
}

static void put_registers(struct host_space *space, const struct host_regs *r, int how)
{
	struct signal_frame *frame = space->frame;

	frame->context.flags = host_first_frame.context.flags;
	frame->context.link = 0;
	frame->context.stack[0] = space->base + 3 * STUB_PAGE;
	frame->context.stack[1] = host_first_frame.context.stack[1];
	frame->context.stack[2] = host_first_frame.context.stack[2];
	frame->context.mask = 0;
	frame->context.regs = (struct signal_context) {
		.r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11, .r12 = r->r12, .r13 = r->r13, .r14 = r->r14, .r15 = r->r15,
		.di = r->di, .si = r->si, .bp = r->bp, .bx = r->bx, .dx = r->dx, .ax = r->ax, .cx = r->cx, .sp = r->sp, .ip = r->ip,
		.flags = r->flags | (how & HOST_STEP ? FLAG_TF : 0), .cs = r->cs, .ss = r->ss, .fs = r->fs, .gs = r->gs,
		.fpstate = space->base + 2 * STUB_PAGE + ((char *)space->xstate - (char *)space->state),
	};
}

/* Calls are made by 64-bit code. */
static unsigned long call_cs(void)
{
	return host_first_frame.context.regs.cs | GUEST_RPL;
}

static unsigned long call_ss(void)
{
	return host_first_frame.context.regs.ss | GUEST_RPL;
}

/*
 * As the end of a system call leaves them, which is how one is told from a sigreturn, a signal or a
 * new program.
 */
static int jump_will_do(const struct host_space *space, const struct host_regs *r, int how)
{
	return space->called && !space->xstate_set && !(how & HOST_STEP) && !(r->flags & FLAG_TF) &&
		r->cx == r->ip && r->r11 == r->flags && r->ip < host_task_size && r->cs == call_cs() && r->ss == call_ss();
}

_Static_assert(offsetof(struct host_regs, sp) == (STUB_REGS - 1) * sizeof(long), "the last is sp");

static void put_for_return(struct host_space *space, const struct host_regs *regs, int how)
{
	struct stub_control *control = space->control;

	if (jump_will_do(space, regs, how)) {
		memcpy(space->state->regs, regs, sizeof(space->state->regs));
		control->back = BACK_CALL;
	} else {
		if (space->called)
			mark_xstate(space);	/* which only guest code writes else */
		put_registers(space, regs, how);
		control->back = space->called ? BACK_CALL_FRAME : BACK_HANDLER;
	}
	put_selectors(space, regs);
	put_bases(space, regs);
	put_tsc(space, how);
}

static void take_bases(struct host_space *space, struct host_regs *regs)
{
	const struct stub_state *state = space->state;

	regs->ds = __atomic_load_n(&state->ds, __ATOMIC_RELAXED) & 0xffff;
	regs->es = __atomic_load_n(&state->es, __ATOMIC_RELAXED) & 0xffff;
	regs->fs = __atomic_load_n(&state->fs, __ATOMIC_RELAXED) & 0xffff;
	regs->gs = __atomic_load_n(&state->gs, __ATOMIC_RELAXED) & 0xffff;
	if (!space->control->fsgsbase)
		return;
	regs->fs_base = __atomic_load_n(&state->fs_base, __ATOMIC_RELAXED);
	regs->gs_base = __atomic_load_n(&state->gs_base, __ATOMIC_RELAXED);
}

/*
 * A step's trap flag is the engine's own, unless the program had set it. Selectors and flags are
 * made what guest code can have: the kernel side takes cs 0 for its own code.
 */
static void take_registers(struct host_space *space, const struct signal_context *c, struct host_regs *r, int how)
{
	unsigned long mine = how & HOST_STEP ? FLAG_TF & ~r->flags : 0;

	*r = (struct host_regs) {
		.r8 = c->r8, .r9 = c->r9, .r10 = c->r10, .r11 = c->r11, .r12 = c->r12, .r13 = c->r13, .r14 = c->r14, .r15 = c->r15,
		.di = c->di, .si = c->si, .bp = c->bp, .bx = c->bx, .dx = c->dx, .ax = c->ax, .cx = c->cx, .sp = c->sp, .ip = c->ip,
		.flags = (c->flags & GUEST_FLAGS & ~mine) | FLAG_IF, .cs = c->cs | GUEST_RPL, .ss = c->ss | GUEST_RPL, .orig_ax = -1, .fs_base = r->fs_base, .gs_base = r->gs_base,
	};
	take_bases(space, r);
}

/* ---- 2. what happened ---- */

/*
 * A call into the host's vsyscall page: where the host emulates those, the filter stopped its
 * emulation, but it has already returned to the caller. Back to the fault that it is on hosts that
 * do not; the kernel side emulates it.
 */
static void undo_vsyscall(const struct signal_frame *frame, struct host_regs *regs, struct host_trap *trap)
{
	regs->ip = frame->info.address;
	regs->sp -= sizeof(unsigned long);
	trap->kind = TRAP_FAULT;
	trap->signo = SIGSEGV;
	trap->code = SEGV_MAPERR;
	trap->address = regs->ip;
	trap->error_code = FAULT_FETCH;
}

static void classify_system_call(const struct signal_frame *frame, struct host_regs *regs, int how, unsigned long flags,
				 struct host_trap *trap)
{
	if (frame->info.arch != AUDIT_ARCH_X86_64) {
		trap->kind = TRAP_COMPAT_SYSCALL;
		return;
	}
	if (frame->info.address >= VSYSCALL_PAGE) {
		undo_vsyscall(frame, regs, trap);
		return;
	}
	trap->kind = TRAP_SYSCALL;
	/* whole, as the host put it back; the number in the signal is an int */
	regs->orig_ax = regs->ax;
	if (how & HOST_STEP)
		regs->r11 &= ~(FLAG_TF & ~flags);	/* where the instruction saved them */
}

static void classify_exception(const struct signal_frame *frame, struct host_trap *trap)
{
	const struct signal_context *context = &frame->context.regs;

	trap->kind = TRAP_EXCEPTION;
	trap->signo = frame->info.signo;
	trap->code = frame->info.code;
	trap->address = frame->info.address;
	/*
	 * All that is mapped is guest RAM, and no file of the host that could end before its
	 * mapping.
	 */
	if (trap->signo == SIGBUS && (trap->code == BUS_ADRERR || trap->code == BUS_MCEERR_AR)) {
		trap->kind = TRAP_RAM;
		return;
	}
	if (trap->signo == SIGSEGV && context->trapno == TRAP_PAGE_FAULT && (trap->code == SEGV_MAPERR || trap->code == SEGV_ACCERR)) {
		trap->kind = TRAP_FAULT;
		trap->address = context->cr2;
		trap->error_code = context->error_code & FAULT_BITS;
		return;
	}
	/* Guest code may have written the frame; what it says is told to its own program only. */
	trap->vector = context->trapno < 32 ? (int)context->trapno : -1;
	trap->error_code = context->error_code & 0xffff;
}

/* frame is a copy; flags are those that guest code was started with. */
static void seccomp_classify(const struct signal_frame *frame, struct host_regs *regs, int how,
			     unsigned long flags, struct host_trap *trap)
{
	int code = frame->info.code;

	trap->kind = TRAP_INTERRUPT;
	if (code <= 0)
		return;		/* sent, not caused by guest code */
	switch (frame->info.signo) {
	case SIGSYS:
		classify_system_call(frame, regs, how, flags, trap);
		break;
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
		classify_exception(frame, trap);
	}
}

/* ---- calls ---- */

/*
 * Registers that guest code says it had at a patched site: as a system call instruction there would
 * have shown them.
 */
static void take_call(struct host_space *space, struct host_regs *r, struct host_trap *trap)
{
	unsigned long fs_base = r->fs_base, gs_base = r->gs_base;

	memcpy(r, space->state->regs, sizeof(space->state->regs));
	r->orig_ax = r->ax;
	r->cx = r->ip;
	r->flags = (r->flags & GUEST_FLAGS & ~FLAG_TF) | FLAG_IF;
	r->r11 = r->flags;
	r->cs = call_cs();
	r->ss = call_ss();
	r->fs_base = fs_base;
	r->gs_base = gs_base;
	take_bases(space, r);
	trap->kind = TRAP_FAST_SYSCALL;
	space->xstate_set = 0;
	if (!space->called)
		seccomp_use_call_frame(space);
	space->called = 1;
}

/*
 * The guest thread was on its way back from a call when it trapped, by a kick: then registers and
 * extended state are those that it was given. Now it is in the handler.
 */
static int was_on_its_way(struct host_space *space, unsigned long ip)
{
	unsigned long at = ip - space->base;

	return space->called && at >= seccomp_entries->told && at < seccomp_entries->back_end;
}

static void lose(struct host_space *space, struct host_trap *trap)
{
	trap->kind = TRAP_LOST;
	seccomp_stub_kill(space);
}

static void seccomp_run(struct host_space *space, struct host_regs *regs, int how,
			struct host_trap *trap)
{
	struct vcpu *vcpu = this_vcpu();
	unsigned long flags = regs->flags;
	struct signal_frame frame;
	int error;

	memset(trap, 0, sizeof(*trap));
	if (space->gone) {
		trap->kind = TRAP_LOST;
		return;
	}
	space->state->kicked = 0;
	vcpu->in_guest = space->pid;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vcpu->irq_pending, __ATOMIC_RELAXED)) {
		vcpu->in_guest = 0;
		host_kick_over(vcpu);
		trap->kind = TRAP_INTERRUPT;
		return;
	}
	put_for_return(space, regs, how);
	handoff_give(space);
	error = handoff_wait(space, 0);
	runaway_watch(space);	/* before it counts as one that does not run */
	vcpu->in_guest = 0;
	host_kick_over(vcpu);
	if (error) {
		lose(space, trap);
		return;
	}
	if (__atomic_load_n(&space->state->called, __ATOMIC_RELAXED)) {
		take_call(space, regs, trap);
		return;
	}
	frame = *(volatile struct signal_frame *)((char *)space->state + host_frame_offset);
	if (was_on_its_way(space, frame.context.regs.ip)) {
		space->called = 0;
		space->fs_base = space->gs_base = ~0UL;		/* it may not have got to them */
		space->no_tsc = -1;
		mark_xstate(space);
		trap->kind = TRAP_INTERRUPT;
		return;
	}
	space->called = space->xstate_set = 0;
	seccomp_use_signal_frame(space);
	take_registers(space, &frame.context.regs, regs, how);
	seccomp_classify(&frame, regs, how, flags, trap);
}

/* ---- extended state and debug registers ---- */

static int seccomp_get_xstate(struct host_space *space, void *xstate)
{
	memcpy(xstate, space->xstate, host_xstate_size);
	return 0;
}

static int seccomp_set_xstate(struct host_space *space, const void *xstate)
{
	memcpy(space->xstate, xstate, host_xstate_size);
	mark_xstate(space);
	space->xstate_set = 1;
	return 0;
}

void seccomp_xstate_init(struct host_space *space)
{
	static const unsigned short x87_control = 0x37f;
	static const unsigned int mxcsr = 0x1f80;

	memset(space->xstate, 0, host_xstate_size);
	memcpy(space->xstate, &x87_control, sizeof(x87_control));
	memcpy((char *)space->xstate + 24, &mxcsr, sizeof(mxcsr));
	mark_xstate(space);
}

/* Debuggers are slow anyway: the thread is traced for as long as a debug register moves. */
static int debug_register(struct host_space *space, int number, unsigned long *value, int write)
{
	long result = -1;
	int status;

	if (space->gone)
		return -ESRCH;
	space->runaway.suspect = 0;
	if (ptrace(PTRACE_SEIZE, space->pid, 0, 0))
		return -errno;
	errno = 0;
	if (!ptrace(PTRACE_INTERRUPT, space->pid, 0, 0) && wait4(space->pid, &status, __WALL, NULL) == space->pid) {
		if (!WIFSTOPPED(status)) {
			space->gone = 1;	/* it died, and is waited for now */
			return -ESRCH;
		}
		long offset = offsetof(struct user, u_debugreg[number]);

		errno = 0;
		result = write ? ptrace(PTRACE_POKEUSER, space->pid, offset, *value) : ptrace(PTRACE_PEEKUSER, space->pid, offset, 0);
		if (!write && !errno)
			*value = result;
	}
	result = errno ? -errno : 0;
	ptrace(PTRACE_DETACH, space->pid, 0, 0);
	return result;
}

static int seccomp_set_debug(struct host_space *space, int number, unsigned long value)
{
	return debug_register(space, number, &value, 1);
}

static int seccomp_get_debug(struct host_space *space, int number, unsigned long *value)
{
	return debug_register(space, number, value, 0);
}

static int calls_work;

static unsigned long fast_entry(struct host_space *space)
{
	return calls_work ? space->base + seccomp_entries->fast_entry : 0;
}

const struct engine host_seccomp_engine = {
	.name = "seccomp",
	.create = seccomp_create,
	.destroy = seccomp_destroy,
	.apply = seccomp_apply,
	.run = seccomp_run,
	.fast_entry = fast_entry,
	.get_xstate = seccomp_get_xstate,
	.set_xstate = seccomp_set_xstate,
	.set_debug = seccomp_set_debug,
	.get_debug = seccomp_get_debug,
};

/* ---- what this host offers ---- */

/* The frame of the first stub process says what the processor and the host save. */
static void seccomp_measure_xstate(void)
{
	host_xstate_size = LEGACY_SIZE;
	host_xfeatures = 0;
	if (!frames_are_extended())
		return;
	host_xstate_size = host_frame_sw.size;
	host_xfeatures = host_frame_sw.features;
}

/*
 * Calls store extended state as XSAVEOPT does, in the form of the host's frames. Asked once: a
 * hypervisor answers cpuid slowly.
 */
static void find_xsaveopt(void)
{
	const unsigned int XSAVEOPT = 1;
	unsigned int a = 13, b, c = 1, d;

	if (!frames_are_extended())
		return;
	asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	calls_work = a & XSAVEOPT;
}

int host_seccomp_init(char *why, unsigned long size)
{
	struct host_space *space;
	int error;

	host_task_size = HOST_ADDRESS_END - STUB_GAP;
	error = seccomp_stub_init();
	if (!error)
		error = handoff_init();
	if (!error)
		error = seccomp_create(&space, NULL, 0);
	if (error) {
		host_say_why_no_stub(why, size, error);
		return error;
	}
	seccomp_measure_xstate();
	find_xsaveopt();
	host_kick_insists = 1;
	host_at_restart(seccomp_end_all);
	seccomp_destroy(space);		/* the first address space will find it */
	return 0;
}
