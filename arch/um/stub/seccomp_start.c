// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a stub process of the seccomp engine gets ready, before any guest code is in it: a freestanding program, started by exec
 * so that nothing of ./linux or of libc is in its address space.
 *
 *  1. Its arguments are three hexadecimal numbers: the base of its pages, the offset of its slot in
 *     the control file, and the length of what it shares with guest code. It maps them;
 *     control->setup says the rest.
 *  2. It says what signals mean.
 *  3. It goes to its code page (stub_enter in seccomp.S), where it makes the mapper, leaves everything else and becomes the guest thread.
 *
 * Any failure ends the process with the number of the check that failed as its exit status.
 */
#include <asm/unistd.h>
#include <linux/mman.h>
#include <linux/signal.h>
#include "seccomp.h"

#define MINE __attribute__((visibility("hidden")))

/* seccomp.lds: where this file begins. seccomp.S: its page, and where step 3 begins. */
extern const char stub_image[] MINE, stub_code[] MINE, stub_enter[] MINE;

static inline long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	register long r9 asm("r9") = f;
	long result;

	asm volatile("syscall" : "=a"(result)
		     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return result;
}

static void check(int step, int good)
{
	if (!good)
		call(__NR_exit_group, step, 0, 0, 0, 0, 0);
}

static unsigned long hexadecimal(const char *text)
{
	unsigned long value = 0;

	for (; *text; text++)
		value = value << 4 | (*text <= '9' ? *text - '0' : *text - 'a' + 10);
	return value;
}

static void map(int step, unsigned long address, unsigned long length, int prot, int kind, int fd, unsigned long offset)
{
	check(step, call(__NR_mmap, address, length, prot, kind | MAP_FIXED_NOREPLACE, fd, offset) == (long)address);
}

static void prepare_signals(const struct stub_setup *setup)
{
	static const unsigned char traps[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGUSR1 };

	for (unsigned int i = 0; i < sizeof(traps); i++)
		check(STUB_NO_ACTION, !call(__NR_rt_sigaction, traps[i], (long)&setup->action, 0, 8, 0, 0));
	check(STUB_NO_STACK, !call(__NR_sigaltstack, (long)&setup->stack, 0, 0, 0, 0, 0));
	check(STUB_NO_MASK, !call(__NR_rt_sigprocmask, SIG_BLOCK, (long)&setup->all_signals, 0, 8, 0, 0));
}

/* Called with the stack that exec made: the number of arguments, then the arguments. */
__attribute__((noreturn, used)) MINE void stub_start(const long *stack)
{
	unsigned long base, offset, shared;
	const struct stub_control *control;

	check(1, stack[0] == 4);
	base = hexadecimal((const char *)stack[2]);
	offset = hexadecimal((const char *)stack[3]);
	shared = hexadecimal((const char *)stack[4]);
	map(STUB_NO_CODE, base, STUB_PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, STUB_FD_IMAGE, stub_code - stub_image);
	map(STUB_NO_CONTROL, base + STUB_PAGE, STUB_PAGE, PROT_READ, MAP_SHARED, STUB_FD_CONTROL, offset);
	map(STUB_NO_CONTROL, base + 2 * STUB_PAGE, shared, PROT_READ | PROT_WRITE, MAP_SHARED, STUB_FD_CONTROL, offset + STUB_PAGE);
	control = (const struct stub_control *)(base + STUB_PAGE);
	prepare_signals(&control->setup);
	((void (*)(void))(base + (stub_enter - stub_code)))();
	__builtin_unreachable();
}

asm(".globl _start\n_start:	movq %rsp, %rdi\n	andq $-16, %rsp\n	call stub_start\n");
