// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals as an x86-64 program expects them: what a frame holds, what sigreturn takes from it,
 * alternate stacks, restarted calls, the information that comes with each kind of exception, the
 * system call entries of other times, and rdtsc that faults at a program's wish.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "check.h"
#include "seccomp.h"
#include "xstate.h"

#define MAGIC1 0x46505853U
#define MAGIC2 0x46505845U

static sigjmp_buf back;
static siginfo_t seen;
static ucontext_t seen_context;
static volatile int calls, depth, deepest;

static void handle(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	need(sigaction(sig, &action, NULL) == 0);
}

static void count(int sig, siginfo_t *info, void *context)
{
	calls++;
	seen = *info;
}

static void jump_back(int sig, siginfo_t *info, void *context)
{
	calls++;
	seen = *info;
	memcpy(&seen_context, context, sizeof(seen_context));
	siglongjmp(back, 1);
}

/* Run @action in a child; its wait status. */
static int in_child(void (*action)(void))
{
	struct rlimit none = { 0, 0 };
	int status = -1;
	pid_t child = fork();

	need(child >= 0);
	if (!child) {
		setrlimit(RLIMIT_CORE, &none);
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL);
		action();
		_exit(0);
	}
	need(waitpid(child, &status, 0) == child);
	return status;
}

static int died_of(int status, int sig)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

/* The frame */

static int frame_magic, frame_size, frame_features, frame_aligned, frame_flags;

static void look_at_frame(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint8_t *fp = (void *)uc->uc_mcontext.fpregs;
	uint32_t software[12], magic2;
	uint64_t features;

	/* magic1, extended_size, features (2), xstate_size */
	memcpy(software, fp + 464, sizeof(software));
	memcpy(&magic2, fp + software[4], 4);
	memcpy(&features, software + 2, 8);
	frame_magic = software[0] == MAGIC1 && magic2 == MAGIC2;
	frame_size = software[4] == xstate_size(features) && software[1] == software[4] + 4;
	frame_features = features == (xstate_on() & ~XSTATE_TILEDATA);
	frame_aligned = (uintptr_t)fp % 64 == 0 &&
			((uintptr_t)__builtin_frame_address(0) & 15) == 0;
	frame_flags = uc->uc_flags & 7;
}

static void frames(void)
{
	handle(SIGUSR1, look_at_frame, 0);
	raise(SIGUSR1);
	check(frame_magic, "a frame holds extended state between both magic numbers");
	check(frame_size, "a frame says the size that CPUID says");
	check(frame_features, "a frame has all components that need not be asked for");
	check(frame_aligned, "a frame and its extended state are aligned");
	check_equal(frame_flags, 7,
		    "a frame's flags say extended state and a saved, strictly restored ss");
}

static void move_on(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *r = uc->uc_mcontext.gregs;

	r[REG_RIP] = r[REG_RBX];	/* where the program asked to go on */
	r[REG_RAX] = 0x1122334455667788;
	r[REG_R15] = r[REG_RSP];
	r[REG_RSP] = r[REG_R14];
	uc->uc_mcontext.fpregs->_xmm[5].element[0] = 0xabcdef01;
}

static void edits(void)
{
	static uint64_t other_stack[64] __attribute__((aligned(16)));
	uint64_t rax, rsp, old;
	uint32_t xmm;

	handle(SIGTRAP, move_on, 0);
	asm volatile(
		"mov %[stack], %%r14\n\tmov %%rsp, %%r12\n\tlea 1f(%%rip), %%rbx\n\tpxor %%xmm5, %%xmm5\n\tint3\n\tud2\n"
		"1:	mov %%rsp, %[rsp]\n\tmov %%r15, %%rsp\n\tmovd %%xmm5, %[xmm]\n\tmov %%r12, %[old]\n"
		: "=a"(rax), [rsp] "=&c"(rsp), [xmm] "=&d"(xmm), [old] "=&S"(old)
		: [stack] "r"(&other_stack[32])
		: "rbx", "r12", "r14", "r15", "xmm5", "memory");
	check(rax == 0x1122334455667788 && rsp == (uint64_t)&other_stack[32] && xmm == 0xabcdef01,
	      "a handler can edit rip, rsp, rax and xmm");
	signal(SIGTRAP, SIG_DFL);
}

static greg_t edit_register, edit_value;

static void edit_one(int sig, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.gregs[edit_register] = edit_value;
}

static void return_beyond(void)
{
	handle(SIGUSR1, edit_one, 0);
	edit_register = REG_RIP;
	edit_value = 0x8000000000000000;
	raise(SIGUSR1);
}

static void return_into_kernel_segment(void)
{
	handle(SIGUSR1, edit_one, 0);
	edit_register = REG_CSGSFS;
	edit_value = 0x10;
	raise(SIGUSR1);
}

static void bad_pointer(int sig, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.fpregs = (void *)0x10;
}

static void return_bad_pointer(void)
{
	handle(SIGUSR1, bad_pointer, 0);
	raise(SIGUSR1);
}

static void return_bad_stack(void)
{
	asm volatile("mov $0x10, %%rsp\n\tmov $15, %%eax\n\tsyscall"
		     :
		     :
		     : "rax", "rcx", "r11", "memory");
}

static void no_pointer(int sig, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.fpregs = NULL;
}

static void bad_mxcsr(int sig, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr = 0xffffffff;
}

static void return_bad_mxcsr(void)
{
	handle(SIGUSR1, bad_mxcsr, 0);
	raise(SIGUSR1);
	_exit(__builtin_ia32_stmxcsr() >> 16 ? 1 : 0);
}

static void sigreturns(void)
{
	uint64_t flags;
	uint32_t xmm = 1;
	int status;

	check(died_of(in_child(return_beyond), SIGSEGV),
	      "returning to an address beyond user space ends in SIGSEGV");
	status = in_child(return_into_kernel_segment);
	check(died_of(status, SIGSEGV) || status == 0,
	      "returning with a kernel's code segment gives no kernel's code segment");
	check(died_of(in_child(return_bad_pointer), SIGSEGV),
	      "returning with a bad extended state pointer ends in SIGSEGV");
	check(died_of(in_child(return_bad_stack), SIGSEGV),
	      "sigreturn without a frame ends in SIGSEGV");
	status = in_child(return_bad_mxcsr);
	check(died_of(status, SIGSEGV) || status == 0,
	      "returning with reserved MXCSR bits gives SIGSEGV or no such bits");

	handle(SIGUSR1, no_pointer, 0);
	asm volatile(
		"mov $-1, %%eax\n\tmovd %%eax, %%xmm9\n\tmov %[n], %%eax\n\tsyscall\n\tmovd %%xmm9, %[xmm]"
		: [xmm] "=r"(xmm)
		: [n] "i"(SYS_tkill), "D"(getpid()), "S"(SIGUSR1)
		: "rax", "rcx", "r11", "xmm9", "memory");
	check_equal(xmm, 0, "returning without an extended state pointer clears it");

	handle(SIGUSR1, edit_one, 0);
	edit_register = REG_EFL;
	edit_value = 0x3246 | 0x20000 | 0x80000 | 0x100000;	/* IOPL 3, VM, VIF, VIP */
	raise(SIGUSR1);
	asm volatile("pushfq\n\tpop %0" : "=r"(flags));
	check((flags & 0x1a3000) == 0, "a handler cannot set privileged flags");
}

/* What comes with each exception */

static void *unmapped, *read_only, *no_exec;

static int trap_is(int sig, int code, void *address, int trap, int error, const char *sentence)
{
	greg_t *r = seen_context.uc_mcontext.gregs;
	int good = calls == 1 && seen.si_signo == sig && seen.si_code == code &&
		   (!address || seen.si_addr == address) && r[REG_TRAPNO] == trap &&
		   (error < 0 || r[REG_ERR] == error);

	if (!good)
		say("# %s: %d calls, signal %d code %d address %p trap %lld error %#llx\n",
		    sentence, calls, seen.si_signo, seen.si_code, seen.si_addr, r[REG_TRAPNO],
		    r[REG_ERR]);
	return check(good, sentence);
}

#define TRAPS(action) do { calls = 0; if (!sigsetjmp(back, 1)) { action; } } while (0)

static void exceptions(void)
{
	static const int caught[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	static char *beyond;
	int fd;

	for (unsigned int i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		handle(caught[i], jump_back, 0);
	unmapped = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	read_only = unmapped + 4096;
	no_exec = unmapped + 2 * 4096;
	munmap(unmapped, 4096);
	mprotect(read_only, 4096, PROT_READ);
	*(volatile char *)no_exec = 0xc3;

	TRAPS(*(volatile char *)unmapped);
	trap_is(SIGSEGV, SEGV_MAPERR, unmapped, 14, 4,
		"reading an unmapped page: MAPERR, its address, error code 4");
	check(seen_context.uc_mcontext.gregs[REG_CR2] == (greg_t)unmapped,
	      "cr2 in the frame is that address");
	TRAPS(*(volatile char *)unmapped = 1);
	trap_is(SIGSEGV, SEGV_MAPERR, unmapped, 14, 6,
		"writing an unmapped page: MAPERR, error code 6");
	TRAPS(*(volatile char *)(read_only + 5) = 1);
	trap_is(SIGSEGV, SEGV_ACCERR, read_only + 5, 14, -1,
		"writing a read-only page: ACCERR, its address");
	check((seen_context.uc_mcontext.gregs[REG_ERR] & 6) == 6,
	      "its error code says user and write");
	TRAPS(((void (*)(void))no_exec)());
	trap_is(SIGSEGV, SEGV_ACCERR, no_exec, 14, -1,
		"executing a page without PROT_EXEC: ACCERR, its address");
	check(seen_context.uc_mcontext.gregs[REG_RIP] == (greg_t)no_exec,
	      "rip in the frame is that address");
	TRAPS(((void (*)(void))unmapped)());
	trap_is(SIGSEGV, SEGV_MAPERR, unmapped, 14, -1,
		"jumping to an unmapped page: MAPERR, its address");
	TRAPS(*(volatile char *)0x8000000000000000);
	trap_is(SIGSEGV, SI_KERNEL, NULL, 13, -1,
		"a non-canonical address: a general protection fault");
	TRAPS(asm volatile("hlt"));
	trap_is(SIGSEGV, SI_KERNEL, NULL, 13, -1,
		"a privileged instruction: a general protection fault");
	TRAPS(asm volatile("mov $0x80, %%edx\n\tin %%dx, %%al" : : : "eax", "edx"));
	trap_is(SIGSEGV, SI_KERNEL, NULL, 13, -1, "port input: a general protection fault");
	TRAPS(*(volatile char *)0xffff888000000000);
	check(calls == 1 && seen.si_signo == SIGSEGV, "a kernel address: SIGSEGV");
	TRAPS(asm volatile("ud2"));
	trap_is(SIGILL, ILL_ILLOPN, NULL, 6, -1, "ud2: SIGILL");
	TRAPS(asm volatile("xor %%edx, %%edx\n\tmov $1, %%eax\n\txor %%ecx, %%ecx\n\tdiv %%ecx"
			   :
			   :
			   : "eax", "ecx", "edx"));
	trap_is(SIGFPE, FPE_INTDIV, NULL, 0, -1, "division by zero: SIGFPE, INTDIV");
	TRAPS(asm volatile(
		"fninit\n\tpushq $0x37b\n\tfldcw (%%rsp)\n\tpopq %%rax\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait\n\tfninit"
		:
		:
		: "rax"));
	asm volatile("fninit");
	trap_is(SIGFPE, FPE_FLTDIV, NULL, 16, -1, "an x87 division by zero: SIGFPE, FLTDIV");
	TRAPS(asm volatile(
		"pushq $0x1d80\n\tldmxcsr (%%rsp)\n\tpopq %%rax\n\tmov $1, %%eax\n\tcvtsi2sd %%eax, %%xmm0\n\t"
		"xorpd %%xmm1, %%xmm1\n\tdivsd %%xmm1, %%xmm0"
		:
		:
		: "rax", "xmm0", "xmm1"));
	__builtin_ia32_ldmxcsr(0x1f80);
	trap_is(SIGFPE, FPE_FLTDIV, NULL, 19, -1, "an SSE division by zero: SIGFPE, FLTDIV");
	TRAPS(asm volatile("int3"));
	trap_is(SIGTRAP, SI_KERNEL, NULL, 3, -1, "int3: SIGTRAP from the kernel");
	TRAPS(asm volatile("pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tnop" : : : "cc"));
	asm volatile("pushfq\n\tandl $~0x100, (%%rsp)\n\tpopfq" : : : "cc");
	check(calls == 1 && seen.si_signo == SIGTRAP && seen.si_code == TRAP_TRACE,
	      "the trap flag: SIGTRAP, TRACE");

	fd = memfd_create("short", 0);
	need(fd >= 0 && ftruncate(fd, 4096) == 0);
	beyond = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(beyond != MAP_FAILED);
	TRAPS(beyond[4096 + 8] = 1);
	trap_is(SIGBUS, BUS_ADRERR, beyond + 4096 + 8, 14, -1,
		"a mapping past the end of its file: SIGBUS, ADRERR, its address");
	close(fd);
}

/*
 * The page is there, is not, or its rights do not suffice: as the processor finds it in the page
 * tables.
 */
static void fault_codes(void)
{
	char *page =
		mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(page != MAP_FAILED);
	handle(SIGSEGV, jump_back, 0);
	*(volatile char *)page = 42;
	mprotect(page, 4096, PROT_NONE);
	TRAPS(*(volatile char *)page);
	trap_is(SIGSEGV, SEGV_ACCERR, page, 14, 4,
		"reading a page of PROT_NONE: error code 4, not present");
	TRAPS(*(volatile char *)page = 1);
	trap_is(SIGSEGV, SEGV_ACCERR, page, 14, 6, "writing one: 6");
	TRAPS(((void (*)(void))page)());
	trap_is(SIGSEGV, SEGV_ACCERR, page, 14, 0x14, "executing one: 0x14");
	mprotect(page, 4096, PROT_READ);
	check_equal(*page, 42, "what was in it is there again with PROT_READ");
	TRAPS(*(volatile char *)page = 1);
	trap_is(SIGSEGV, SEGV_ACCERR, page, 14, 7, "writing it then: 7, present");
	TRAPS(((void (*)(void))page)());
	trap_is(SIGSEGV, SEGV_ACCERR, page, 14, 0x15, "executing it: 0x15");
	mprotect(page + 4096, 4096, PROT_READ);
	TRAPS(*(volatile char *)(page + 4096) = 1);
	trap_is(SIGSEGV, SEGV_ACCERR, page + 4096, 14, 6,
		"writing one of PROT_READ that was never touched: 6");
	TRAPS(*(volatile char *)0xffff888000000000);
	trap_is(SIGSEGV, SEGV_MAPERR, (void *)0xffff888000000000, 14, 5,
		"a kernel address: MAPERR, 5");
	munmap(page, 3 * 4096);
}

/* Under ptrace the host does not tell the error code of these. */
static int engine_tells(void)
{
	char line[256];
	FILE *info = fopen("/proc/cpuinfo", "r");
	int told = !in_guest();

	while (info && fgets(line, sizeof(line), info))
		told |= !strncmp(line, "mode", 4) && strstr(line, "seccomp");
	if (info)
		fclose(info);
	return told;
}

static void selector_codes(void)
{
	static int told;

	told = engine_tells();

	handle(SIGSEGV, jump_back, SA_ONSTACK);
	handle(SIGBUS, jump_back, SA_ONSTACK);
	need(sigaltstack(&(stack_t){ .ss_sp = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
				     .ss_size = 65536 },
			 NULL) == 0);
	TRAPS(asm volatile("mov $0x1230, %%eax\n\tmov %%ax, %%ss" : : : "rax"));
	trap_is(SIGSEGV, SI_KERNEL, NULL, 13, told ? 0x1230 : -1,
		"a bad selector in %ss: it is the error code");
	TRAPS(asm volatile("mov $0x1234, %%eax\n\tmov %%ax, %%ds" : : : "rax"));
	trap_is(SIGSEGV, SI_KERNEL, NULL, 13, told ? 0x1234 : -1,
		"one of the local table in %ds: so it is");
	TRAPS(asm volatile("pushq $0x1238\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n\t1:"
			   :
			   :
			   : "rax"));
	trap_is(SIGSEGV, SI_KERNEL, NULL, 13, told ? 0x1238 : -1, "lret to one: so it is");
	TRAPS(asm volatile(
		"mov %%rsp, %%rcx\n\tpushq $0x2b\n\tpushq %%rcx\n\tpushfq\n\tpushq $0x1240\n\t"
		"leaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tiretq\n1:"
		:
		:
		: "rax", "rcx"));
	trap_is(SIGSEGV, SI_KERNEL, NULL, 13, told ? 0x1240 : -1, "iret to one: so it is");
	TRAPS(asm volatile("int $0x21"));
	trap_is(SIGSEGV, SI_KERNEL, NULL, 13, told ? 0x21 * 8 + 2 : -1,
		"int to a gate that is none: its number in the table of gates");
	TRAPS(asm volatile("hlt"));
	trap_is(SIGSEGV, SI_KERNEL, NULL, 13, 0, "where no selector is to blame: 0");
	/* The stack segment has a fault of its own. */
	TRAPS(asm volatile(
		"mov %%rsp, %%rcx\n\tmov $1, %%eax\n\tshl $63, %%rax\n\tmov %%rax, %%rsp\n\t"
		"mov (%%rsp), %%rdx\n\tmov %%rcx, %%rsp"
		:
		:
		: "rax", "rcx", "rdx"));
	trap_is(SIGBUS, SI_KERNEL, NULL, told ? 12 : seen_context.uc_mcontext.gregs[REG_TRAPNO], 0,
		"a stack at a non-canonical address: a stack fault, which is SIGBUS");
	need(sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL) == 0);
}

static void int80(void)
{
	asm volatile("mov $20, %%eax\n\tint $0x80" : : : "rax", "memory");
}

static void other_entries(void)
{
	long result;

	if (in_guest())
		check(died_of(in_child(int80), SIGSEGV), "int $0x80 gives SIGSEGV");
	else
		check_skip("int $0x80 gives SIGSEGV", "the host may run 32-bit calls");
	asm volatile("syscall" : "=a"(result) : "a"(-1L) : "rcx", "r11", "memory");
	check_equal(result, -ENOSYS, "call number -1 does not exist");
	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(0x40000000L + SYS_getpid)
		     : "rcx", "r11", "memory");
	check_equal(result, -ENOSYS, "x32 call numbers do not exist");
	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(0xfeedf00d00000000L + SYS_getpid)
		     : "rcx", "r11", "memory");
	check_equal(result, getpid(), "the upper half of the call number is ignored");
}

static int has_vsyscall_page(void)
{
	char line[256];
	FILE *maps = fopen("/proc/self/maps", "r");
	int found = 0;

	while (maps && fgets(line, sizeof(line), maps))
		found |= strstr(line, "[vsyscall]") != NULL;
	if (maps)
		fclose(maps);
	return found;
}

static void vsyscalls(void)
{
	long (*page_gettimeofday)(struct timeval *, struct timezone *) = (void *)0xffffffffff600000;
	long (*page_time)(time_t *) = (void *)0xffffffffff600400;
	long (*page_getcpu)(unsigned int *, unsigned int *, void *) = (void *)0xffffffffff600800;
	struct timeval from_page = { 0 }, now;
	time_t stored = 0, returned;
	unsigned int cpu = 99, node = 99;

	if (!in_guest() && !has_vsyscall_page()) {
		check_skip("the vsyscall page works", "the host has none");
		return;
	}
	check_equal(page_gettimeofday(&from_page, NULL), 0,
		    "gettimeofday through the vsyscall page returns 0");
	gettimeofday(&now, NULL);
	check(labs(now.tv_sec - from_page.tv_sec) <= 1, "it tells the time");
	returned = page_time(&stored);
	check(returned == stored && labs(returned - now.tv_sec) <= 1,
	      "time through the vsyscall page tells the time");
	check(page_getcpu(&cpu, &node, NULL) == 0 && cpu < 4096 && node < 64,
	      "getcpu through the vsyscall page works");
	handle(SIGSEGV, jump_back, 0);
	TRAPS(page_gettimeofday((void *)0x10, NULL));
	check(calls == 1 && seen.si_signo == SIGSEGV,
	      "a bad pointer given to the vsyscall page ends in SIGSEGV");
	TRAPS(((void (*)(void))0xffffffffff600123)());
	check(calls == 1 && seen.si_signo == SIGSEGV,
	      "other addresses of the vsyscall page end in SIGSEGV");
}

/* Stacks */

static char *alternate;
static volatile uintptr_t handler_stack;
static stack_t stack_in_handler, stack_in_frame;

static void on_alternate(int sig, siginfo_t *info, void *context)
{
	handler_stack = (uintptr_t)__builtin_frame_address(0);
	sigaltstack(NULL, &stack_in_handler);
	stack_in_frame = ((ucontext_t *)context)->uc_stack;
}

static void overflowed(int sig, siginfo_t *info, void *context)
{
	handler_stack = (uintptr_t)__builtin_frame_address(0);
	siglongjmp(back, 1);
}

static __attribute__((noinline)) int recurse(volatile char *above, long depth_left)
{
	volatile char here[4096];

	here[0] = above ? above[0] : 0;
	return depth_left ? recurse(here, depth_left - 1) + here[0] : 0;
}

static int on(uintptr_t address, const void *stack, size_t size)
{
	return address >= (uintptr_t)stack && address < (uintptr_t)stack + size;
}

static void stacks(void)
{
	stack_t stack = { .ss_size = 65536 }, small = { .ss_size = 100 };

	alternate = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack.ss_sp = alternate;
	small.ss_sp = alternate;
	check(sigaltstack(&small, NULL) == -1 && errno == ENOMEM,
	      "an alternate stack too small is refused");
	need(sigaltstack(&stack, NULL) == 0);
	handle(SIGUSR1, on_alternate, SA_ONSTACK);
	raise(SIGUSR1);
	check(on(handler_stack, alternate, 65536),
	      "a handler with SA_ONSTACK runs on the alternate stack");
	check(stack_in_handler.ss_flags & SS_ONSTACK, "sigaltstack says so");
	check(stack_in_frame.ss_sp == alternate && stack_in_frame.ss_size == 65536,
	      "the frame names the alternate stack");
	handle(SIGUSR1, on_alternate, 0);
	raise(SIGUSR1);
	check(!on(handler_stack, alternate, 65536), "a handler without SA_ONSTACK does not");
	/* With AVX alone it is less than the 2048 that glibc takes where nothing is told. */
	check(getauxval(AT_MINSIGSTKSZ) > 1000,
	      "the smallest signal stack is told (AT_MINSIGSTKSZ)");

	handle(SIGSEGV, overflowed, SA_ONSTACK);
	handler_stack = 0;
	if (!sigsetjmp(back, 1))
		recurse(NULL, 1L << 40);
	check(on(handler_stack, alternate, 65536),
	      "running out of stack is handled on the alternate stack");
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
}

static void no_room_for_frame(void)
{
	handle(SIGUSR1, count, 0);
	asm volatile("mov $0x1000, %%rsp\n\tmov $200, %%eax\n\tsyscall"
		     :
		     : "D"(getpid()), "S"(SIGUSR1)
		     : "rax", "rcx", "r11");
}

/* Delivery */

static void nest(int sig, siginfo_t *info, void *context)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (calls++ < 3)
		raise(sig);
	depth--;
}

static void mask_check(int sig, siginfo_t *info, void *context)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	calls = sigismember(&now, SIGUSR2) && sigismember(&now, SIGUSR1);
}

static int order[8], ordered;

static void note_order(int sig, siginfo_t *info, void *context)
{
	order[ordered++ & 7] = info->si_value.sival_int;
}

static void delivery(void)
{
	struct sigaction masking = { .sa_sigaction = mask_check, .sa_flags = SA_SIGINFO };
	sigset_t one, old, pending;
	union sigval value;
	int status;

	handle(SIGUSR1, nest, 0);
	calls = depth = deepest = 0;
	raise(SIGUSR1);
	check_equal(deepest, 1, "a signal is blocked in its own handler");
	handle(SIGUSR1, nest, SA_NODEFER);
	calls = depth = deepest = 0;
	raise(SIGUSR1);
	check_equal(deepest, 4, "with SA_NODEFER it nests");
	sigaddset(&masking.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &masking, NULL);
	calls = 0;
	raise(SIGUSR1);
	check(calls, "a handler's mask is blocked while it runs");
	sigprocmask(SIG_BLOCK, NULL, &old);
	check(!sigismember(&old, SIGUSR2), "and unblocked when it has returned");

	handle(SIGUSR1, count, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction now;
	sigaction(SIGUSR1, NULL, &now);
	check(now.sa_handler == SIG_DFL, "with SA_RESETHAND the handler is gone after one signal");

	handle(SIGUSR1, count, 0);
	calls = 0;
	kill(getpid(), SIGUSR1);
	check(calls == 1 && seen.si_code == SI_USER && seen.si_pid == getpid() &&
		      seen.si_uid == getuid(),
	      "kill tells who sent it");
	value.sival_int = 4711;
	sigqueue(getpid(), SIGUSR1, value);
	check(calls == 2 && seen.si_code == SI_QUEUE && seen.si_value.sival_int == 4711,
	      "sigqueue carries a value");

	handle(SIGRTMIN, note_order, 0);
	sigemptyset(&one);
	sigaddset(&one, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &one, NULL);
	for (int i = 0; i < 4; i++) {
		value.sival_int = i;
		sigqueue(getpid(), SIGRTMIN, value);
	}
	sigpending(&pending);
	check(sigismember(&pending, SIGRTMIN) && ordered == 0, "a blocked signal stays pending");
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	check(ordered == 4 && order[0] == 0 && order[1] == 1 && order[2] == 2 && order[3] == 3,
	      "real-time signals queue and come in order");

	handle(SIGCHLD, count, 0);
	calls = 0;
	pid_t child = fork();
	if (!child)
		_exit(5);
	waitpid(child, &status, 0);
	check(calls == 1 && seen.si_code == CLD_EXITED && seen.si_status == 5 &&
		      seen.si_pid == child,
	      "the end of a child is told with its status");
	signal(SIGCHLD, SIG_DFL);
	check(died_of(in_child(no_room_for_frame), SIGSEGV),
	      "a signal with no room for its frame ends in SIGSEGV");
}

/* Interrupted and restarted calls */

static pid_t poke_later(int sig, int microseconds, int fd)
{
	pid_t parent = getpid(), child = fork();

	need(child >= 0);
	if (!child) {
		usleep(microseconds);
		kill(parent, sig);
		usleep(microseconds);
		if (fd >= 0 && write(fd, "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
	return child;
}

static void restarts(void)
{
	struct timespec nap = { 5, 0 }, left = { 0 };
	int pipes[2], got;
	char byte = 0;
	pid_t child;

	need(pipe(pipes) == 0);
	handle(SIGUSR1, count, SA_RESTART);
	calls = 0;
	child = poke_later(SIGUSR1, 30000, pipes[1]);
	got = read(pipes[0], &byte, 1);
	waitpid(child, NULL, 0);
	check(got == 1 && byte == 'x' && calls == 1,
	      "a read is restarted after a handler with SA_RESTART");

	handle(SIGUSR1, count, 0);
	child = poke_later(SIGUSR1, 30000, -1);
	got = read(pipes[0], &byte, 1);
	check(got == -1 && errno == EINTR, "a read is interrupted by a handler without it");
	waitpid(child, NULL, 0);

	child = poke_later(SIGUSR1, 30000, -1);
	got = nanosleep(&nap, &left);
	check(got == -1 && errno == EINTR && left.tv_sec == 4,
	      "a sleep is interrupted and tells what is left");
	waitpid(child, NULL, 0);

	child = fork();
	if (!child) {
		struct pollfd wait = { .fd = pipes[0], .events = POLLIN };
		struct timespec start, end;

		clock_gettime(CLOCK_MONOTONIC, &start);
		got = poll(&wait, 1, 300);
		clock_gettime(CLOCK_MONOTONIC, &end);
		long ms = (end.tv_sec - start.tv_sec) * 1000 +
			  (end.tv_nsec - start.tv_nsec) / 1000000;
		_exit(got == 0 && ms >= 299 ? 0 : 1);
	}
	usleep(50000);
	kill(child, SIGSTOP);
	waitpid(child, &got, WUNTRACED);
	check(WIFSTOPPED(got), "a sleeping child can be stopped");
	usleep(50000);
	kill(child, SIGCONT);
	waitpid(child, &got, 0);
	check(WIFEXITED(got) && WEXITSTATUS(got) == 0,
	      "its poll goes on after SIGCONT for the rest of the time");
}

static void unhandled_in_syscall_loop(void)
{
	for (;;)
		getppid();
}

static void kills(void)
{
	int status;
	pid_t child = fork();

	if (!child)
		unhandled_in_syscall_loop();
	usleep(20000);
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	check(died_of(status, SIGTERM), "a process in a loop of calls can be killed");
	child = fork();
	if (!child)
		for (;;)
			asm volatile("pause");
	usleep(20000);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	check(died_of(status, SIGKILL), "a process in a loop without calls can be killed");
}

/* ---- a thread whose rdtsc faults ---- */

static int rdtsc_faults(void)
{
	handle(SIGSEGV, jump_back, 0);
	if (!sigsetjmp(back, 1)) {
		__builtin_ia32_rdtsc();
		return 0;
	}
	return seen.si_code == SI_KERNEL && seen_context.uc_mcontext.gregs[REG_TRAPNO] == 13 &&
	       !seen_context.uc_mcontext.gregs[REG_ERR] ? 1 : -1;
}

static int tsc_mode(void)
{
	int mode = -1;

	return prctl(PR_GET_TSC, &mode) ? -errno : mode;
}

static int tsc_is(int mode)
{
	return tsc_mode() == mode && rdtsc_faults() == (mode == PR_TSC_SIGSEGV);
}

static volatile int reading;

/* Its mode is that of the thread that made it. */
static void *read_on(void *unused)
{
	reading = 1;
	while (reading) {
		__builtin_ia32_rdtsc();
		sched_yield();
	}
	return tsc_mode() == PR_TSC_ENABLE ? &back : NULL;
}

static int off_beside_a_reader(void)
{
	void *good = NULL;
	pthread_t reader;
	int faults = 0;

	need(!pthread_create(&reader, NULL, read_on, NULL));
	while (!reading)
		sched_yield();
	need(!prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	for (int i = 0; i < 300; i++) {
		syscall(SYS_getppid);
		faults += rdtsc_faults() == 1;
		sched_yield();
	}
	reading = 0;
	need(!pthread_join(reader, &good));
	return faults == 300 && good;
}

/* Of a child; it may have run another program first. */
static int child_mode(int wanted, int with_exec)
{
	int status;
	pid_t child = fork();

	need(child >= 0);
	if (!child) {
		if (with_exec)
			execl("/proc/self/exe", "signals",
			      wanted == PR_TSC_SIGSEGV ? "tsc-off" : "tsc-on", NULL);
		_exit(tsc_is(wanted) ? 0 : 1);
	}
	need(waitpid(child, &status, 0) == child);
	return !status;
}

static int turn_about(void)
{
	int good = 0;

	for (int i = 0; i < 50; i++) {
		need(!prctl(PR_SET_TSC, i & 1 ? PR_TSC_SIGSEGV : PR_TSC_ENABLE));
		good += child_mode(i & 1 ? PR_TSC_SIGSEGV : PR_TSC_ENABLE, i & 2);
	}
	return good;
}

/* No handler: strict mode would not let it end. */
static void read_in_strict_mode(void)
{
	signal(SIGSEGV, SIG_DFL);
	need(!prctl(PR_SET_SECCOMP, 1));
	__builtin_ia32_rdtsc();
	syscall(SYS_exit, 0);
}

static void time_stamps(void)
{
	check(tsc_is(PR_TSC_ENABLE), "rdtsc works, and prctl says so");
	check(prctl(PR_SET_TSC, 3) == -1 && errno == EINVAL &&
	      prctl(PR_GET_TSC, -1L) == -1 && errno == EFAULT,
	      "other modes and bad addresses are refused");
	if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV)) {
		check(0, "rdtsc can be made to fault");
		return;
	}
	check(tsc_is(PR_TSC_SIGSEGV), "after PR_SET_TSC it is a general protection fault");
	check(child_mode(PR_TSC_SIGSEGV, 0) && child_mode(PR_TSC_SIGSEGV, 1),
	      "a child's faults too, also in another program");
	need(!prctl(PR_SET_TSC, PR_TSC_ENABLE));
	check(tsc_is(PR_TSC_ENABLE), "it works again when that is taken back");
	check(off_beside_a_reader(), "one thread's faults while another's works");
	check_equal(turn_about(), 50, "processes after each other have each what their parent had");
	need(!prctl(PR_SET_TSC, PR_TSC_ENABLE));
	if (has_seccomp())
		check(died_of(in_child(read_in_strict_mode), SIGSEGV),
		      "strict seccomp makes it fault");
	else
		check_skip("strict seccomp makes it fault", NO_SECCOMP);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return tsc_is(!strcmp(argv[1], "tsc-off") ? PR_TSC_SIGSEGV : PR_TSC_ENABLE) ? 0 : 1;
	frames();
	edits();
	sigreturns();
	exceptions();
	fault_codes();
	selector_codes();
	other_entries();
	vsyscalls();
	stacks();
	delivery();
	restarts();
	kills();
	time_stamps();
	return check_done();
}
