// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest program: what is in its host address space besides its own pages must not help
 * it (docs/security/model.md).
 *
 * It looks for pages that can be read but are not in /proc/self/maps (the port's own: found by
 * touching every page near the top of the address space), tries to change them, and jumps to every
 * system call instruction in them. A call made there must be the guest's: the parent's process id,
 * as the guest numbers processes, is what tells.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "check.h"

#define PAGE 4096UL
#define TOP 0x7ffffffff000UL		/* of user space on x86-64 */
#define SEARCHED 4096			/* pages below it */

static sigjmp_buf back;
static volatile int fault_signal;
static volatile uint64_t fault_rax;

static void faulted(int sig, siginfo_t *info, void *context)
{
	fault_signal = sig;
	fault_rax = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX];
	siglongjmp(back, 1);
}

#define FAULT_OF(action) ({ fault_signal = 0; if (!sigsetjmp(back, 1)) { action; } fault_signal; })

static int in_maps(uintptr_t address)
{
	unsigned long first, last;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	int found = 0;

	need(maps);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &first, &last) == 2)
			found |= address >= first && address < last;
	fclose(maps);
	return found;
}

/*
 * Jump to @place with a call number in rax, rbx at @requests, r12 = 1; come back by a signal only.
 */
static int jump(uintptr_t place, long number, void *requests)
{
	return FAULT_OF(
		asm volatile("mov %[requests], %%rbx\n\tmov $1, %%r12d\n\tjmp *%[place]"
			     :
			     : [place] "d"(place), [requests] "S"(requests), "a"(number), "D"(0L)
			     : "rbx", "r12", "rcx", "r11", "memory"));
}

static void foreign_pages(void)
{
	static long requests[7] = { SYS_getppid };
	volatile int found = 0, written = 0, escaped = 0, calls = 0, executable = 0;
	pid_t parent = getppid();

	for (volatile uintptr_t at = TOP - PAGE; at > TOP - SEARCHED * PAGE; at -= PAGE) {
		static unsigned char copy[PAGE];

		if (FAULT_OF(memcpy(copy, (void *)at, PAGE)) || in_maps(at))
			continue;
		found++;
		say("# a page that is not ours at %#lx\n", at);
		written += FAULT_OF(*(volatile char *)at = 0) == 0;
		for (unsigned int i = 0; i + 1 < PAGE; i++) {
			if (copy[i] != 0x0f || copy[i + 1] != 0x05)
				continue;
			calls++;
			if (jump(at + i, SYS_getppid, requests) == SIGTRAP) {
				executable++;
				escaped += fault_rax != (uint64_t)parent;
			}
		}
		if (jump(at, SYS_getppid, requests) == SIGTRAP && fault_rax != (uint64_t)parent) {
			say("# from its start: %ld instead of %d\n", (long)fault_rax, parent);
			escaped++;
		}
	}
	say("# %d foreign pages, %d calls in them, %d of them came back\n", found, calls,
	    executable);
	check(!written, "no page of the port can be written");
	check(!escaped,
	      "a system call instruction of the port makes the guest's call, not the host's");
}

static void top_of_memory(void)
{
	int changed = 0;

	for (uintptr_t at = TOP - PAGE; at > TOP - 16 * PAGE; at -= PAGE) {
		if (in_maps(at))
			continue;
		changed += mprotect((void *)at, PAGE, PROT_READ | PROT_WRITE) == 0;
		changed += madvise((void *)at, PAGE, MADV_DONTNEED) == 0;
		changed += mremap((void *)at, PAGE, PAGE, MREMAP_MAYMOVE) != MAP_FAILED;
	}
	check(!changed, "the pages at the top cannot be changed, dropped or moved");
	check(munmap((void *)(TOP - PAGE), 2 * PAGE) == -1,
	      "munmap does not reach beyond user space");
	check(mmap((void *)TOP, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		      MAP_FAILED,
	      "mmap does not reach beyond user space");
	check(getppid() > 0, "the program lives on");
}

static int status_of(void (*action)(void))
{
	struct rlimit none = { 0, 0 };
	int status;
	pid_t child = fork();

	need(child >= 0);
	if (!child) {
		setrlimit(RLIMIT_CORE, &none);
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL);
		action();
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status;
}

static void unmap_everything(void)
{
	for (uintptr_t length = 1UL << 46; length; length >>= 1)
		syscall(SYS_munmap, 0, length);
	for (uintptr_t at = 0; at < 0x7fff00000000; at += 1UL << 32)
		syscall(SYS_munmap, at, 1UL << 32);
}

static void no_stack(void)
{
	asm volatile(
		"xor %%esp, %%esp\n\tmov $39, %%eax\n\tsyscall\n\tmov $39, %%eax\n\tsyscall\n\tmov %%eax, (%%rsp)"
		:
		:
		: "rax", "rcx", "r11", "memory");
}

static void block_all_and_spin(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;)
		asm volatile("" : : : "memory");
}

static void trap_in_loop(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	asm volatile("int3");
}

static int died_of(int status, int sig)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

static void abuse(void)
{
	pid_t child;
	int status;

	check(died_of(status_of(unmap_everything), SIGSEGV),
	      "a program that unmaps all of its memory dies, and only it");
	check(died_of(status_of(no_stack), SIGSEGV),
	      "a program without a stack makes calls and dies where it uses the stack");
	check(died_of(status_of(trap_in_loop), SIGTRAP),
	      "an exception whose signal is blocked kills");
	child = fork();
	if (!child)
		block_all_and_spin();
	usleep(50000);
	kill(child, SIGKILL);
	check(waitpid(child, &status, 0) == child && died_of(status, SIGKILL),
	      "a program that blocks every signal and never calls can be killed");
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = faulted,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGTRAP, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	foreign_pages();
	top_of_memory();
	abuse();
	return check_done();
}
