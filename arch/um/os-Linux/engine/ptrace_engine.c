// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ptrace engine: guest code runs in a traced stub process; its system calls stop it before the
 * host sees them (PTRACE_SYSEMU), its faults and other exceptions as signals on their way to it.
 *
 *  1. A stop is classified by what wait4() says; general registers move with one call in, one out.
 *  2. For a fault the host tells the address and whether a mapping was there, not what the access
 *     was: the kernel side finds out (HOST_FAULT_GUESS). Nothing is ever delivered in the stub, so
 *     its extended state stays where it is.
 *  3. Where the host lacks PTRACE_SYSEMU, each system call stops twice: at the first its number
 *     becomes -1, which is none. Single steps are then made only over instructions that are no
 *     system calls.
 *  4. Stubs of ended address spaces are kept, emptied and used again: making one costs some hundred
 *     microseconds.
 *
 * Security (docs/security/model.md, G1): guest code makes no host call, since each of its calls
 * stops before the host acts. The stub's own calls run only when the tracer set all registers.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host/engine.h>
#include <host/memory.h>
#include <host/process.h>
#include <host/vcpu.h>

#include "os.h"
#include "engines.h"
#include "stub_syscall.h"
#include "stub_process.h"

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#endif
#ifndef PTRACE_SYSEMU_SINGLESTEP
#define PTRACE_SYSEMU_SINGLESTEP 32
#endif

#define SYSCALL_STOP (SIGTRAP | 0x80)
#define USER_CS 0x33	/* 64-bit code */

struct host_space {
	int pid;
	int cpu;			/* host CPU that it is pinned to */
	struct stub_syscall *requests;	/* its page, as we see it */
	int no_tsc;			/* its rdtsc faults */
	/* the stub process was killed and waited for; its pid is no longer ours */
	int gone;
	struct host_space *next;	/* in the pool */
	struct host_space *all_next, **all_link;
};

static int own_no_tsc;	/* rdtsc of ./linux faults, and so it does in its children at first */

int host_no_sysemu;

/* ---- 4. address spaces ---- */

#define POOL_MAX 8

static struct host_space *pool, *all_spaces;
static int pool_size;

static void ptrace_enlist(struct host_space *space)
{
	space->all_next = all_spaces;
	space->all_link = &all_spaces;
	if (all_spaces)
		all_spaces->all_link = &space->all_next;
	all_spaces = space;
}

static void ptrace_discard(struct host_space *space)
{
	if (!space->gone)
		stub_end(space->pid);
	*space->all_link = space->all_next;
	if (space->all_next)
		space->all_next->all_link = space->all_link;
	free(space);
}

/* Before ./linux starts itself again: exec by the tracer does not end the traced. */
static void ptrace_end_all(void)
{
	for (struct host_space *space = all_spaces; space; space = space->all_next)
		if (!space->gone)
			stub_end(space->pid);
	all_spaces = NULL;
}

static int ptrace_create(struct host_space **result, void *page, unsigned long page_offset)
{
	struct host_space *space;
	int pid;

	while ((space = pool)) {
		pool = space->next;
		pool_size--;
		if (!stub_adopt(space->pid, page_offset)) {
			host_stubs_reused++;
			goto found;
		}
		ptrace_discard(space);
	}
	space = calloc(1, sizeof(*space));
	if (!space)
		return -ENOMEM;
	pid = stub_start(page_offset);
	if (pid < 0) {
		free(space);
		return pid;
	}
	space->pid = pid;
	space->no_tsc = own_no_tsc;
	space->cpu = this_vcpu()->host_cpu;
	ptrace_enlist(space);
	host_stubs_made++;
found:
	space->requests = page;
	*result = space;
	return 0;
}

static void ptrace_destroy(struct host_space *space)
{
	if (!space->gone && pool_size < POOL_MAX) {
		space->next = pool;
		pool = space;
		pool_size++;
		return;
	}
	ptrace_discard(space);
}

/* ---- mappings ---- */

static int ptrace_apply(struct host_space *space, const struct host_map *changes, int count)
{
	int error;

	for (int i = 0; i < count; i++)
		space->requests[i] = stub_syscall_for(&changes[i], 0);
	error = stub_perform(space->pid, count);
	space->gone |= error == -ESRCH;
	return error;
}

/* ---- 1. running ---- */

static void ptrace_stay_together(struct host_space *space)
{
	int cpu = this_vcpu()->host_cpu;

	if (space->cpu == cpu)
		return;
	host_pin_process(space->pid);
	space->cpu = cpu;
}

static void classify_signal(struct host_space *space, int signo, struct host_trap *trap)
{
	siginfo_t info;

	trap->kind = TRAP_INTERRUPT;
	if (signo != SIGSEGV && signo != SIGBUS && signo != SIGFPE && signo != SIGILL && signo != SIGTRAP)
		return;		/* the kick, or something that somebody on the host sent */
	if (ptrace(PTRACE_GETSIGINFO, space->pid, 0, &info)) {
		trap->kind = TRAP_LOST;
		return;
	}
	if (info.si_code <= 0)
		return;		/* sent, not caused by guest code */
	trap->kind = TRAP_EXCEPTION;
	trap->signo = signo;
	trap->code = info.si_code;
	trap->address = (unsigned long)info.si_addr;
	trap->vector = -1;
	if (signo == SIGBUS && (info.si_code == BUS_ADRERR || info.si_code == BUS_MCEERR_AR))
		trap->kind = TRAP_RAM;
	if (signo == SIGSEGV && (info.si_code == SEGV_MAPERR || info.si_code == SEGV_ACCERR)) {
		trap->kind = TRAP_FAULT;
		trap->error_code = HOST_FAULT_GUESS | (info.si_code == SEGV_ACCERR ? HOST_FAULT_PRESENT : 0);
	}
}

/*
 * The syscall instruction leaves its return address in %rcx; who forges that for int $0x80 gets a
 * 64-bit system call.
 */
static int is_compat(const struct host_regs *regs)
{
	return regs->cs != USER_CS || regs->cx != regs->ip;
}

static void ptrace_classify(struct host_space *space, int status, const struct host_regs *regs,
			    struct host_trap *trap)
{
	memset(trap, 0, sizeof(*trap));
	if (status < 0)
		trap->kind = TRAP_LOST;
	else if (WSTOPSIG(status) == SYSCALL_STOP)
		trap->kind = is_compat(regs) ? TRAP_COMPAT_SYSCALL : TRAP_SYSCALL;
	else
		classify_signal(space, WSTOPSIG(status), trap);
}

/* ---- 3. without PTRACE_SYSEMU ---- */

/* Is the instruction at ip, prefixes included, a system call of any kind? */
static int at_system_call(int pid, unsigned long ip)
{
	for (int i = 0; i < 15; i++, ip++) {
		unsigned char byte, next;
		long word;

		errno = 0;
		word = ptrace(PTRACE_PEEKTEXT, pid, ip, 0);
		if (errno)
			return 1;	/* cannot be seen: the careful answer */
		byte = word;
		next = word >> 8;
		if ((byte == 0x0f && (next == 0x05 || next == 0x34)) || byte == 0xcd)
			return 1;
		/* prefixes: segment, size, lock, rep, REX */
		if (byte != 0x26 && byte != 0x2e && byte != 0x36 && byte != 0x3e && (byte & 0xfc) != 0x64 && byte != 0xf0 &&
		    byte != 0xf2 && byte != 0xf3 && (byte & 0xf0) != 0x40)
			return 0;
	}
	return 0;
}

/*
 * Makes the host call that is about to happen none, and stops after it. The registers are as before
 * it.
 */
static int cancel_system_call(struct host_space *space, struct host_regs *regs)
{
	int status;

	if (ptrace(PTRACE_POKEUSER, space->pid, offsetof(struct user_regs_struct, orig_rax), -1L))
		return -1;
	do {
		if (ptrace(PTRACE_SYSCALL, space->pid, 0, 0))
			return -1;
		status = stub_wait(space->pid);
		if (status < 0)
			return -1;
	} while (WSTOPSIG(status) != SYSCALL_STOP);
	return 0;
}

/*
 * PTRACE_SETREGS takes no selector with a privilege level other than 3, which guest code can load
 * (a null one), and no segment base in the kernel's half, which it can set (wrgsbase). Such a base
 * is left as it is in the stub, where guest code has set it.
 */
static unsigned long selector(unsigned long value)
{
	return value & ~3UL ? value | 3 : 0;
}

static int set_all_but_bases(int pid, const struct host_regs *regs)
{
	const unsigned long *words = (const unsigned long *)regs;

	for (unsigned long i = 0; i < HOST_REG_WORDS; i++) {
		if (words[i] >= HOST_ADDRESS_END && (&words[i] == &regs->fs_base || &words[i] == &regs->gs_base))
			continue;
		if (ptrace(PTRACE_POKEUSER, pid, i * sizeof(*words), words[i]))
			return -1;
	}
	return 0;
}

static int set_registers(int pid, struct host_regs *regs)
{
	/* No system call to restart: or the host would, by what it finds in %rax. */
	regs->orig_ax = -1;
	if (regs->ds | regs->es | regs->fs | regs->gs) {
		regs->ds = selector(regs->ds);
		regs->es = selector(regs->es);
		regs->fs = selector(regs->fs);
		regs->gs = selector(regs->gs);
	}
	if (regs->fs_base >= HOST_ADDRESS_END || regs->gs_base >= HOST_ADDRESS_END)
		return set_all_but_bases(pid, regs);
	return ptrace(PTRACE_SETREGS, pid, 0, regs);
}

static int resume_request(struct host_space *space, const struct host_regs *regs, int how)
{
	if (!host_no_sysemu)
		return how & HOST_STEP ? PTRACE_SYSEMU_SINGLESTEP : PTRACE_SYSEMU;
	return how & HOST_STEP && !at_system_call(space->pid, regs->ip) ? PTRACE_SINGLESTEP : PTRACE_SYSCALL;
}

/* What the host refuses here it refused at host_tsc_can_fault(), too. */
static void set_tsc(struct host_space *space, int off)
{
	int mode = off ? PR_TSC_SIGSEGV : PR_TSC_ENABLE;

	if (off == space->no_tsc || space->gone)
		return;
	space->requests[0] = (struct stub_syscall) { SYS_prctl, { PR_SET_TSC, mode } };
	space->gone = stub_perform(space->pid, 1) == -ESRCH;
	space->no_tsc = off;
}

static void ptrace_run(struct host_space *space, struct host_regs *regs, int how,
		       struct host_trap *trap)
{
	struct vcpu *vcpu = this_vcpu();
	int status;

	set_tsc(space, !!(how & HOST_NO_TSC));
	if (space->gone) {
		memset(trap, 0, sizeof(*trap));
		trap->kind = TRAP_LOST;
		return;
	}
	vcpu->in_guest = space->pid;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vcpu->irq_pending, __ATOMIC_RELAXED)) {
		vcpu->in_guest = 0;
		memset(trap, 0, sizeof(*trap));
		trap->kind = TRAP_INTERRUPT;
		return;
	}
	ptrace_stay_together(space);
	if (set_registers(space->pid, regs) ||
	    ptrace(resume_request(space, regs, how), space->pid, 0, 0)) {
		stub_end(space->pid);
		status = -1;
	} else {
		status = stub_wait(space->pid);
	}
	space->gone = status < 0;
	vcpu->in_guest = 0;
	if (status >= 0 && ptrace(PTRACE_GETREGS, space->pid, 0, regs))
		status = -1;
	ptrace_classify(space, status, regs, trap);
	if ((trap->kind == TRAP_SYSCALL || trap->kind == TRAP_COMPAT_SYSCALL) && host_no_sysemu && cancel_system_call(space, regs))
		trap->kind = TRAP_LOST;
}

/* ---- extended state and debug registers ---- */

static int regset(int pid, int request, void *data, size_t *size)
{
	struct iovec area = { data, *size };
	/* NT_PRFPREG is the 512 bytes of FXSAVE. */
	long kind = host_xfeatures ? NT_X86_XSTATE : NT_PRFPREG;

	if (ptrace(request, pid, kind, &area))
		return -errno;
	*size = area.iov_len;
	return 0;
}

static int ptrace_get_xstate(struct host_space *space, void *xstate)
{
	size_t size = host_xstate_size;

	return regset(space->pid, PTRACE_GETREGSET, xstate, &size);
}

static int ptrace_set_xstate(struct host_space *space, const void *xstate)
{
	size_t size = host_xstate_size;

	return regset(space->pid, PTRACE_SETREGSET, (void *)xstate, &size);
}

static int ptrace_set_debug(struct host_space *space, int number, unsigned long value)
{
	return ptrace(PTRACE_POKEUSER, space->pid, offsetof(struct user, u_debugreg[number]), value) ? -errno : 0;
}

static int ptrace_get_debug(struct host_space *space, int number, unsigned long *value)
{
	errno = 0;
	*value = ptrace(PTRACE_PEEKUSER, space->pid, offsetof(struct user, u_debugreg[number]), 0);
	return -errno;
}

const struct engine host_ptrace_engine = {
	.name = "ptrace",
	.proves_stop = 1,
	.create = ptrace_create,
	.destroy = ptrace_destroy,
	.apply = ptrace_apply,
	.run = ptrace_run,
	.get_xstate = ptrace_get_xstate,
	.set_xstate = ptrace_set_xstate,
	.set_debug = ptrace_set_debug,
	.get_debug = ptrace_get_debug,
};

/* ---- what this host offers ---- */

/*
 * The size of extended state is what the host returns; which features it has stands at byte 464
 * (struct xregs_state).
 */
static int ptrace_measure_xstate(int pid)
{
	static char area[65536] __attribute__((aligned(64)));
	size_t size = sizeof(area);

	host_xfeatures = ~0UL;
	if (!regset(pid, PTRACE_GETREGSET, area, &size) && size >= 576) {
		memcpy(&host_xfeatures, area + 464, sizeof(host_xfeatures));
	} else {
		host_xfeatures = 0;
		size = sizeof(area);
		if (regset(pid, PTRACE_GETREGSET, area, &size))
			return -errno;
	}
	host_xstate_size = size;
	return 0;
}

/* Lets the stub try a getpid: if it was intercepted, there is SYSEMU. */
static void try_sysemu(struct host_space *space)
{
	struct user_regs_struct regs;
	int status = -1;

	space->requests[0] = (struct stub_syscall) { SYS_getpid, { 0 } };
	if (host_no_sysemu || ptrace(PTRACE_GETREGS, space->pid, 0, &regs))
		return;
	regs.rip = STUB_CODE + stub_batch_offset();
	regs.rbx = STUB_REQUESTS;
	regs.r12 = 1;
	if (!ptrace(PTRACE_SETREGS, space->pid, 0, &regs) && !ptrace(PTRACE_SYSEMU, space->pid, 0, 0))
		status = stub_wait(space->pid);
	if (status >= 0 && WSTOPSIG(status) == SYSCALL_STOP)
		return;
	host_warn("the host has no PTRACE_SYSEMU: each system call stops twice");
	host_no_sysemu = 1;
}

static void say_why_not(int error)
{
	char text[320];

	host_say_why_no_stub(text, sizeof(text), error);
	host_warn("engine ptrace (%s): %s", host_engine_reason, text);
}

int host_ptrace_init(void)
{
	struct host_space *space;
	int error, mode;

	if (!prctl(PR_GET_TSC, &mode))
		own_no_tsc = mode == PR_TSC_SIGSEGV;
	host_task_size = STUB_CODE;
	/* The first page of guest RAM is reserved: the kernel never uses it. */
	error = ptrace_create(&space, (void *)HOST_RAM_BASE, 0);
	if (!error)
		error = ptrace_measure_xstate(space->pid);
	if (error) {
		say_why_not(error);
		return error;
	}
	try_sysemu(space);
	ptrace_discard(space);
	host_at_restart(ptrace_end_all);
	return 0;
}
