/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What attacks on the seccomp engine's stub share (hostile.c, hostile_frames.c): where its pages
 * are, jumping into them with registers of one's own, and running an attack as a process of its
 * own while an innocent process works.
 *
 * The kernel under test runs with stub_base=, so the address is known; it is the program's first
 * argument.
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "../../arch/um/include/host/regs.h"
#include "../../arch/um/os-Linux/engine/seccomp_frame.h"
#include "../../arch/um/stub/seccomp.h"
#include "check.h"

#define PAGE 4096UL
#define FLAG_TF 0x100UL
#define FLAGS 0x202UL
#define LANDED 42 /* exit status of what went on as an ordinary guest program after its attack */

/* ---- the stub ---- */

static struct {
	unsigned char *code;
	const struct stub_control *control;
	volatile struct stub_state *state;
	struct signal_frame *frame;	/* where the host and the kernel put it */
	unsigned long stack, end;	/* the signal stack; behind the last page */
	struct stub_entries entries;
} stub;

static sigjmp_buf back;
static struct outcome {
	int signo;
	unsigned long ax, ip, address;
} outcome;

static pid_t self;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;

	if (getpid() != self)
		_exit(7);		/* what a fork made */
	outcome = (struct outcome) { signo, g[REG_RAX], g[REG_RIP], (unsigned long)info->si_addr };
	siglongjmp(back, 1);
}

/* The signal that action raises, 0 if none. */
#define FAULT_OF(action)                   \
	({                                 \
		outcome.signo = 0;         \
		if (!sigsetjmp(back, 1)) { \
			action;            \
		}                          \
		outcome.signo;             \
	})

static inline int can_read(unsigned long address)
{
	return !FAULT_OF((void)*(volatile char *)address);
}

/* Writes what is there already. */
static inline int can_write(unsigned long address)
{
	return !FAULT_OF(*(volatile char *)address = *(volatile char *)address);
}

static void take_signals(void)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGSYS, SIGFPE };

	self = getpid();
	sigaltstack(&alternate, NULL);
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
}

static int find_stub(const char *base)
{
	unsigned long at = strtoul(base, NULL, 16);

	take_signals();
	if (!can_read(at))
		return 0;
	stub.code = (void *)at;
	stub.control = (void *)(at + PAGE);
	stub.state = (void *)(at + 2 * PAGE);
	stub.stack = at + 3 * PAGE;
	for (stub.end = stub.stack; can_read(stub.end); stub.end += PAGE)
		;
	stub.frame = (void *)(stub.control->frame - sizeof(long));
	stub.entries = *(struct stub_entries *)stub.code;
	return 1;
}

/* ---- jumping ---- */

struct registers {
	unsigned long r15, r14, r13, r12, r11, r10, r9, r8, bp, bx, di, si, dx, cx, ax, flags, sp;
};

uintptr_t launch_target;
__attribute__((noreturn)) void launch(const struct registers *registers);
asm(".text\n"
    "launch:	movq %rdi, %rsp\n"
    "	popq %r15\n	popq %r14\n	popq %r13\n	popq %r12\n	popq %r11\n	popq %r10\n	popq %r9\n	popq %r8\n"
    "	popq %rbp\n	popq %rbx\n	popq %rdi\n	popq %rsi\n	popq %rdx\n	popq %rcx\n	popq %rax\n	popfq\n"
    "	movq (%rsp), %rsp\n"
    "	jmp *launch_target(%rip)\n");

static inline __attribute__((noreturn)) void jump(unsigned long place,
						  const struct registers *registers)
{
	launch_target = place;
	launch(registers);
}

/* ---- attacks as processes; the innocent ---- */

static struct {
	volatile int stop, rest;	/* told to the innocent */
	volatile unsigned long rounds, gap_us; /* what it did; the longest that it did nothing */
	volatile unsigned long counter, result[8];	/* for attacks */
	volatile unsigned char page[PAGE] __attribute__((aligned(4096)));
} *shared;

static inline unsigned long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000UL + now.tv_nsec / 1000;
}

static void sleep_us(unsigned long us)
{
	struct timespec left = { us / 1000000, us % 1000000 * 1000 };

	while (nanosleep(&left, &left))
		;
}

/* Makes calls, maps memory and looks whether its own is as it left it. */
static void be_innocent(void)
{
	static unsigned char mine[64 * PAGE];
	unsigned long last = now_us();

	memset(mine, 0x3c, sizeof(mine));
	for (; !shared->stop; shared->rounds++) {
		unsigned long now = now_us();
		unsigned char *more = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (now - last > shared->gap_us)
			shared->gap_us = now - last;
		last = now;
		if (more == MAP_FAILED || *more)
			_exit(2);
		*more = 1;
		munmap(more, PAGE);
		if (getpid() != self || mine[shared->rounds * 61 % sizeof(mine)] != 0x3c)
			_exit(3);
		while (shared->rest) {
			sleep_us(20000);
			last = now_us();
		}
	}
	for (unsigned long i = 0; i < sizeof(mine); i++)
		if (mine[i] != 0x3c)
			_exit(4);
	_exit(0);
}

static pid_t start_innocent(void)
{
	pid_t child;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	need(shared != MAP_FAILED);
	child = fork();
	need(child >= 0);
	if (!child) {
		self = getpid();
		be_innocent();
	}
	return child;
}

#define GAP_LIMIT_US 2000000UL /* well above what is meant, 100 ms: this machine may be busy */

static void check_innocent(const char *sentence, unsigned long limit_us)
{
	unsigned long rounds = shared->rounds;

	for (int i = 0; i < 500 && shared->rounds == rounds; i++)
		sleep_us(10000);
	say("# the innocent process stood still for %lu ms at most\n", shared->gap_us / 1000);
	check(shared->rounds != rounds && shared->gap_us < limit_us, sentence);
	shared->gap_us = 0;
}

static pid_t begin(void (*action)(long), long argument)
{
	struct rlimit none = { 0, 0 };
	pid_t child = fork();

	need(child >= 0);
	if (!child) {
		setrlimit(RLIMIT_CORE, &none);
		self = getpid();
		for (int signo = 1; signo < 32; signo++)
			signal(signo, SIG_DFL);
		action(argument);
		_exit(0);
	}
	return child;
}

#define LIMIT_MS 10000
#define ENDLESS (-1)

/* Its status, or ENDLESS: it was still there after limit_ms and was killed by us. */
static int finish(pid_t child, int limit_ms)
{
	unsigned long end = now_us() + limit_ms * 1000UL;
	int status;

	do {
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		sleep_us(2000);
	} while (now_us() < end);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return ENDLESS;
}

static inline int attack(void (*action)(long), long argument)
{
	return finish(begin(action, argument), LIMIT_MS);
}

static inline int died_of(int status, int signo)
{
	return status != ENDLESS && WIFSIGNALED(status) && WTERMSIG(status) == signo;
}

#endif
