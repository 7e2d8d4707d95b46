// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host signals of a virtual CPU: interrupts, exceptions in kernel code, and the wish that ./linux
 * end.
 *
 * The handlers run on a stack of their own and decide only what happens next (see host/vcpu.h): the
 * interrupted thread is made to continue at kernel_trap_entry, by changing the registers that the
 * host restores when the handler returns. So no signal frame, which may be larger than a kernel
 * stack has room for, ever stays on a kernel stack.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <host/irq.h>
#include <host/process.h>
#include <host/vcpu.h>

#include "os.h"
#include "engine/engines.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define FLAG_IF 0x200	/* in the flags of kernel registers: interrupts were soft-enabled */

struct vcpu host_vcpus[HOST_MAX_VCPUS];

static const int interrupts[] = { SIGALRM, SIGIO, SIGVTALRM };
static const int exceptions[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
static const int endings[] = { SIGINT, SIGTERM, SIGHUP };

/*
 * Moves the interrupted thread to kernel_trap_entry, with its registers below sp; info is NULL for
 * an interrupt.
 */
static void divert(ucontext_t *context, siginfo_t *info, unsigned long sp)
{
	struct vcpu *vcpu = this_vcpu();
	greg_t *g = context->uc_mcontext.gregs;
	unsigned long *words = (unsigned long *)sp;
	unsigned long was_enabled = vcpu->irq_enabled ? FLAG_IF : 0;
	struct kernel_trap *trap;

	vcpu->irq_enabled = 0;
	*--words = g[REG_RIP];
	*--words = g[REG_RBP];
	g[REG_RBP] = (long)words;
	*--words = g[REG_EFL];
	trap = (struct kernel_trap *)(((unsigned long)words - sizeof(*trap)) & ~15UL);
	*trap = (struct kernel_trap) {
		.regs = {
			.r15 = g[REG_R15], .r14 = g[REG_R14], .r13 = g[REG_R13], .r12 = g[REG_R12],
			.bp = words[1], .bx = g[REG_RBX], .r11 = g[REG_R11], .r10 = g[REG_R10],
			.r9 = g[REG_R9], .r8 = g[REG_R8], .ax = g[REG_RAX], .cx = g[REG_RCX],
			.dx = g[REG_RDX], .si = g[REG_RSI], .di = g[REG_RDI], .orig_ax = -1,
			.ip = g[REG_RIP], .flags = (g[REG_EFL] & ~FLAG_IF) | was_enabled, .sp = g[REG_RSP],
		},
		.trapno = g[REG_TRAPNO],
		.error_code = g[REG_ERR],
	};
	if (info) {
		trap->signo = info->si_signo;
		trap->code = info->si_code;
		trap->address = (unsigned long)info->si_addr;
	}
	g[REG_RSP] = g[REG_RDI] = (long)trap;
	g[REG_RIP] = (long)kernel_trap_entry;
	g[REG_EFL] &= ~0x400;	/* the ABI wants the direction flag clear */
}

static void on_interrupt(int signo, siginfo_t *info, void *frame)
{
	struct vcpu *vcpu = this_vcpu();
	ucontext_t *context = frame;
	int saved = errno;

	if (signo == SIGVTALRM) {
		host_runaway_check();
		errno = saved;
		return;
	}
	if (signo == SIGALRM) {
		__atomic_or_fetch(&vcpu->irq_pending, 1UL << HOST_IRQ_TIMER, __ATOMIC_SEQ_CST);
		host_pin_now_and_then();
	}
	if (!vcpu->irq_pending)
		;
	else if (vcpu->in_guest)
		host_kick(vcpu);
	else if (!vcpu->irq_enabled)
		;
	else if (kernel_text_is_at(context->uc_mcontext.gregs[REG_RIP]) &&
		 kernel_stack_has_room(context->uc_mcontext.gregs[REG_RSP])) {
		host_retry_reset();
		divert(context, NULL, context->uc_mcontext.gregs[REG_RSP]);
	} else
		host_retry_soon();
	errno = saved;
}

extern const char host_text_start[], host_text_end[];

/*
 * Ours are the host-side text and the host's vDSO, which libc calls; else code of the kernel side
 * has jumped there, however wild the place, and that is an oops.
 */
static int is_host_side(unsigned long ip)
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);

	return (ip >= (unsigned long)host_text_start && ip < (unsigned long)host_text_end) ||
	       (vdso && ip - vdso < 16384);
}

/*
 * For each virtual CPU: where a thread whose stack has no room for divert() continues, to its oops.
 */
static char last_stacks[HOST_MAX_VCPUS][32768] __attribute__((aligned(16)));

/* Where divert() is to put the registers. */
static unsigned long place_for_trap(unsigned long sp)
{
	if (kernel_stack_has_room(sp))
		return sp;
	return (unsigned long)last_stacks[this_vcpu() - host_vcpus + 1];
}

static void on_exception(int signo, siginfo_t *info, void *frame)
{
	ucontext_t *context = frame;
	greg_t *g = context->uc_mcontext.gregs;

	if (signo == SIGBUS && (info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR))
		host_ram_lost((unsigned long)info->si_addr, info->si_code == BUS_MCEERR_AR);
	if (info->si_code > 0 && !is_host_side(g[REG_RIP])) {
		divert(context, info, place_for_trap(g[REG_RSP]));
		return;
	}
	if (info->si_code > 0 && !kernel_stack_has_room(g[REG_RSP]))
		host_warn("internal error: a kernel stack overflows in host-side code at %#llx", g[REG_RIP]);
	else if (info->si_code > 0)
		host_warn("internal error: signal %d in host-side code at %#llx, address %p", signo, g[REG_RIP], info->si_addr);
	host_exit(128 + signo);
}

/* The guest is not asked: this is the host's power switch. */
static void on_ending(int signo, siginfo_t *info, void *frame)
{
	host_exit(128 + signo);
}

void host_signal_mask(int how, const sigset_t *set, sigset_t *before)
{
	if (sigprocmask(how, set, before))
		host_fatal("the host refuses rt_sigprocmask (%s): allow it, in a container by a seccomp profile that has it", strerror(errno));
}

static void take_signal(const int *signals, int count, void (*handler)(int, siginfo_t *, void *),
			int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | flags };

	/* One frame at a time is all that the signal stack has room for. */
	sigfillset(&action.sa_mask);
	for (int i = 0; i < count; i++) {
		struct sigaction before;

		/* What the caller ignores (nohup) stays ignored. */
		if (handler == on_ending && !sigaction(signals[i], NULL, &before) && before.sa_handler == SIG_IGN)
			continue;
		if (sigaction(signals[i], &action, NULL))
			host_fatal("the host refuses rt_sigaction (%s): allow it, in a container by a seccomp profile that has it",
				   strerror(errno));
	}
}

#define TAKE(signals, handler, flags) take_signal(signals, sizeof(signals) / sizeof(*signals), handler, flags)

void host_signals_init(void)
{
	unsigned long frame = getauxval(AT_MINSIGSTKSZ);
	stack_t stack = { .ss_size = ((frame ? frame : 4096) + 65536 + 4095) & ~4095UL };
	sigset_t none;

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		host_fatal("no stack for signals: %s", strerror(errno));
	host_vcpus[0].host_thread = syscall(SYS_gettid);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	TAKE(interrupts, on_interrupt, SA_RESTART);
	TAKE(exceptions, on_exception, SA_NODEFER);
	TAKE(endings, on_ending, 0);
	host_timers_init();
	sigemptyset(&none);
	host_signal_mask(SIG_SETMASK, &none, NULL);
}

/*
 * Before ./linux starts itself again. Interrupts that are pending, or that still come from timers
 * and other threads, must not end it: ignored, which exec keeps, they are dropped. All other
 * handlers are undone by exec.
 */
void host_signals_default(void)
{
	sigset_t none;

	for (unsigned int i = 0; i < sizeof(interrupts) / sizeof(*interrupts); i++)
		signal(interrupts[i], SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void host_raise(struct vcpu *vcpu, int irq)
{
	__atomic_or_fetch(&vcpu->irq_pending, 1UL << irq, __ATOMIC_SEQ_CST);
	syscall(SYS_tgkill, getpid(), vcpu->host_thread, SIGIO);
}
