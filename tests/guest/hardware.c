// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only x86-64 has, as programs and debuggers use it: hardware breakpoints, extended state
 * that a handler takes out of its frame, address hints of mmap, thread pointers, arch_prctl's
 * questions about features. Runs natively as well.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "check.h"

#ifndef MAP_ABOVE4G
#define MAP_ABOVE4G 0x80
#endif

/* ---- extended state in a frame ---- */

enum change {
	NOTHING,
	NO_MAGIC,
	AVX_NOT_LISTED,
	SSE_NOT_PRESENT,
	UNKNOWN_FEATURE,
	RESERVED_HEADER
};

/* Offsets in the frame's XSAVE area: the words that software keeps there, and the header. */
#define MAGIC		464
#define LISTED		472
#define PRESENT		512
#define RESERVED	520

static enum change change;

static void edit64(uint8_t *at, uint64_t clear, uint64_t set)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	value = (value & ~clear) | set;
	memcpy(at, &value, sizeof(value));
}

static void change_frame(int signo, siginfo_t *info, void *context)
{
	uint8_t *area = (void *)((ucontext_t *)context)->uc_mcontext.fpregs;

	switch (change) {
	case NOTHING:
		break;
	case NO_MAGIC:
		edit64(area + MAGIC, 0xffffffff, 0);
		break;
	case AVX_NOT_LISTED:
		edit64(area + LISTED, 4, 0);
		break;
	case SSE_NOT_PRESENT:
		edit64(area + PRESENT, 2, 0);
		break;
	case UNKNOWN_FEATURE:
		edit64(area + PRESENT, 0, 1UL << 62);
		break;
	case RESERVED_HEADER:
		edit64(area + RESERVED, 0, 1);
		break;
	}
}

/* Sends a signal with 1, 2, 3, 4 in ymm5 and tells its first and third word afterwards. */
__attribute__((target("avx"))) static int keeps(enum change what, uint64_t low, uint64_t high)
{
	static const uint64_t before[4] = { 1, 2, 3, 4 };
	uint64_t after[4];
	long number = SYS_kill;

	change = what;
	asm volatile("vmovdqu %[before], %%ymm5; syscall; vmovdqu %%ymm5, %[after]"
		     : [after] "=m"(after), "+a"(number)
		     : [before] "m"(before), "D"((long)getpid()), "S"((long)SIGUSR1)
		     : "rcx", "r11", "memory", "xmm5");
	return after[0] == low && after[2] == high;
}

static int dies(enum change what)
{
	pid_t child = fork();
	int status;

	if (!child) {
		keeps(what, 0, 0);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void frames(void)
{
	struct sigaction action = { .sa_sigaction = change_frame, .sa_flags = SA_SIGINFO };

	if (!__builtin_cpu_supports("avx")) {
		check_skip("frames with parts of the extended state", "this processor has no AVX");
		return;
	}
	need(sigaction(SIGUSR1, &action, NULL) == 0);
	check(keeps(NOTHING, 1, 3),
	      "a handler that leaves its frame alone changes no vector register");
	check(keeps(NO_MAGIC, 1, 0),
	      "a frame without its magic number restores xmm and clears the rest");
	check(keeps(AVX_NOT_LISTED, 1, 0), "a feature off the frame's list is cleared");
	check(keeps(SSE_NOT_PRESENT, 0, 3),
	      "a feature marked absent is cleared, the others are restored");
	check(dies(UNKNOWN_FEATURE),
	      "a frame with a feature that the processor lacks ends in SIGSEGV");
	check(dies(RESERVED_HEADER), "a frame with reserved bits in its header ends in SIGSEGV");
}

/* ---- hardware breakpoints ---- */

#define DR7_WRITE_8	(1UL | 9UL << 16)	/* breakpoint 0: writes to 8 bytes */
#define DR7_EXECUTE	(4UL)			/* breakpoint 1: execution */

static volatile long watched;

static __attribute__((noinline)) void watched_code(void)
{
	asm volatile("nop");
}

static int poke(pid_t child, int number, unsigned long value)
{
	return ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[number]), value);
}

static unsigned long peek(pid_t child, int number)
{
	return ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, u_debugreg[number]), 0);
}

static void touch_what_is_watched(void)
{
	int status;
	pid_t child;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	watched = 1;
	watched_code();
	child = fork();
	if (!child) {
		watched = 2;
		_exit(0);
	}
	waitpid(child, &status, 0);
	raise(SIGSTOP);
	watched = 3;
	_exit(WIFEXITED(status) ? 55 : 56);
}

static int go(pid_t child)
{
	int status;

	do {
		ptrace(PTRACE_CONT, child, 0, 0);
		need(waitpid(child, &status, 0) == child);
	} while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD);
	return status;
}

static void refusals(pid_t child)
{
	check(poke(child, 2, 0xffff800000000000) == -1,
	      "a breakpoint in the kernel's half is refused");
	check(poke(child, 4, 0) == -1, "there is no debug register 4");
	check(poke(child, 7, 1 | 2UL << 16) == -1, "a breakpoint on ports is refused");
}

static void breakpoints(void)
{
	struct user_regs_struct regs;
	siginfo_t info;
	pid_t child = fork();
	int status;

	if (!child)
		touch_what_is_watched();
	need(waitpid(child, &status, 0) == child);
	refusals(child);
	if (getenv("NO_BREAKPOINTS") || poke(child, 0, (unsigned long)&watched) ||
	    poke(child, 1, (unsigned long)watched_code) ||
	    poke(child, 7, DR7_WRITE_8 | DR7_EXECUTE)) {
		check_skip("hardware breakpoints", "this host gives none");
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		return;
	}
	check(peek(child, 0) == (unsigned long)&watched &&
		      peek(child, 7) == (DR7_WRITE_8 | DR7_EXECUTE),
	      "debug registers read as they were written");
	status = go(child);
	ptrace(PTRACE_GETSIGINFO, child, 0, &info);
	check(WIFSTOPPED(status) && info.si_signo == SIGTRAP && info.si_code == TRAP_HWBKPT &&
		      (peek(child, 6) & 15) == 1,
	      "a watched write stops and is told in debug register 6");
	status = go(child);
	ptrace(PTRACE_GETREGS, child, 0, &regs);
	check(WIFSTOPPED(status) && regs.rip == (unsigned long)watched_code &&
		      (peek(child, 6) & 15) == 2,
	      "execution of watched code stops before it");
	status = go(child);
	check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP,
	      "a child of fork has no breakpoints");
	check(poke(child, 7, 0) == 0, "breakpoints can be switched off");
	status = go(child);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 55, "and stop nothing then");
}

/* ---- mmap and arch_prctl ---- */

static unsigned long place(int flags)
{
	return (unsigned long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1,
				   0);
}

static void places(void)
{
	unsigned long low = place(MAP_32BIT);

	check(low >= 0x40000000 && low < 0x80000000, "MAP_32BIT maps in the second gigabyte");
	check(place(MAP_ABOVE4G) >= 1UL << 32, "MAP_ABOVE4G maps above 4 GiB");
	check(syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 5) == -1 &&
		      errno == EINVAL,
	      "an offset inside a page is refused");
}

/* Often: what a refused clone leaves behind is met by those that follow. */
static void thread_pointers(void)
{
	const unsigned long outside[] = { ~0UL, 1UL << 63, 0x800000000000UL };
	int refused = 0, status;
	pid_t child;

	for (int i = 0; i < 300; i++) {
		long result = syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, 0, NULL, NULL,
				      outside[i % 3]);

		if (!result)
			_exit(0);
		refused += result == -1 && errno == EPERM;
		child = fork();
		if (!child)
			_exit(55);
		need(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 55);
	}
	check_equal(refused, 300, "clone with a thread pointer outside of user space is EPERM");
}

static void features(void)
{
	unsigned long supported = 0;
	unsigned int low, high;

	check_equal(syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0), 1, "the cpuid instruction works");
	if (syscall(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &supported) && errno == EINVAL) {
		check_skip("arch_prctl tells the features", "this kernel is older than that");
		return;
	}
	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	check((supported & 3) == 3 && !(supported & ~(low | (unsigned long)high << 32)),
	      "arch_prctl tells features that the processor has");
	check(syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, 17) == -1 && errno == EOPNOTSUPP,
	      "what is always there cannot be asked for");
	check(syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, 99) == -1 && errno == EINVAL,
	      "nor what never is");
}

/*
 * usage: hardware [breakpoints]: only those. NO_BREAKPOINTS in the environment: this machine's do
 * not fire.
 */
int main(int argc, char **argv)
{
	if (argc > 1) {
		breakpoints();
		return check_done();
	}
	frames();
	breakpoints();
	places();
	thread_pointers();
	features();
	return check_done();
}
