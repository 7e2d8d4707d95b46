// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture of registers: usage: regs [seconds].
 *
 * Each round fills the general registers, the flags, the gs base and every extended state
 * component that the CPU has (x87, SSE, AVX, AVX-512) with a pattern, lets something happen while
 * they hold it (a system call, a fork, a page fault, an exception, a signal with a handler that
 * ruins or edits them, plain running under timers and other threads), and compares. Several
 * threads and processes do it at once, each with patterns of its own; then the segment bases get a
 * test each.
 *
 * Extended state is set with XRSTOR and read with XSAVE, in one assembly routine that calls
 * nothing: what differs afterwards was lost by the kernel. Not compared: x87's last instruction
 * pointers, which AMD processors do not save.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "check.h"

#define XSTATE_MASK	0xe7UL		/* x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM */
#define XSAVE_BYTES	16384
#define FLAGS_KEPT 0xcd5UL /* CF PF AF ZF SF DF OF; ID is left out: ptrace cannot set it */
#define RCX 1
#define RSP 4

struct state {
	uint64_t gpr[16];		/* by register number; rsp is not set */
	uint64_t rflags;
	uint64_t unused[3];
	uint8_t xsave[XSAVE_BYTES] __attribute__((aligned(64)));
};

enum happening { RUN, CALL, FAULT, TRAP, SITE }; /* the table in hold_registers goes by these */

/*
 * Load *in, let @what happen, store *out. RUN counts rcx down with `loop`, which changes no flag;
 * CALL is a system call numbered rax; FAULT reads a byte at rax into al; TRAP is ud2, which the
 * handler steps over; SITE is a system call behind an instruction that lets the kernel make a call
 * site of it (arch/um/x86_64/syscall_patch.c).
 */
void hold_registers(const struct state *in, struct state *out, long what, uint64_t mask);
asm(".text\n"
"hold_registers:\n"
"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
"	push %rsi\n"				/* out */
"	push %rcx\n"				/* mask */
"	push %rdx\n"				/* what */
"	mov %rcx, %rax\n"
"	mov %rcx, %rdx\n"
"	shr $32, %rdx\n"
"	xrstor64 192(%rdi)\n"
"	push 128(%rdi)\n"
"	popfq\n"
"	mov 0(%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx\n"
"	mov 40(%rdi), %rbp; mov 48(%rdi), %rsi\n"
"	mov 64(%rdi), %r8; mov 72(%rdi), %r9; mov 80(%rdi), %r10; mov 88(%rdi), %r11\n"
"	mov 96(%rdi), %r12; mov 104(%rdi), %r13; mov 112(%rdi), %r14; mov 120(%rdi), %r15\n"
"	mov 56(%rdi), %rdi\n"
	/*
	 * Choose without touching a flag or a register: jump through a table by what is on the
	 * stack.
	 */
"	push %rcx\n"
"	mov 8(%rsp), %rcx\n"
"	jrcxz 10f\n"
"	lea -1(%rcx), %rcx\n"
"	jrcxz 11f\n"
"	lea -1(%rcx), %rcx\n"
"	jrcxz 12f\n"
"	lea -1(%rcx), %rcx\n"
"	jrcxz 13f\n"
"	pop %rcx\n"
"	push %r9\n"
"	push %r9\n"
"	mov 8(%rsp), %r9\n"
"	syscall\n"
".globl hold_registers_after_site\n"
"hold_registers_after_site:\n"
"	lea 16(%rsp), %rsp\n"
"	jmp 20f\n"
"13:	pop %rcx\n"
"	ud2\n"
"	jmp 20f\n"
"10:	pop %rcx\n"
"1:	loop 1b\n"
"	jmp 20f\n"
"11:	pop %rcx\n"
"	syscall\n"
".globl hold_registers_after_call\n"
"hold_registers_after_call:\n"
"	jmp 20f\n"
"12:	pop %rcx\n"
"	movb (%rax), %al\n"
"20:	pushfq\n"
"	push %rdi\n"
"	mov 32(%rsp), %rdi\n"			/* pushed below out: mask, what, flags, rdi */
"	mov %rax, 0(%rdi); mov %rcx, 8(%rdi); mov %rdx, 16(%rdi); mov %rbx, 24(%rdi)\n"
"	mov %rbp, 40(%rdi); mov %rsi, 48(%rdi)\n"
"	mov %r8, 64(%rdi); mov %r9, 72(%rdi); mov %r10, 80(%rdi); mov %r11, 88(%rdi)\n"
"	mov %r12, 96(%rdi); mov %r13, 104(%rdi); mov %r14, 112(%rdi); mov %r15, 120(%rdi)\n"
"	pop %rax\n"
"	mov %rax, 56(%rdi)\n"
"	pop 128(%rdi)\n"
"	cld\n"
"	mov 8(%rsp), %rax\n"
"	mov %rax, %rdx\n"
"	shr $32, %rdx\n"
"	xsave64 192(%rdi)\n"
"	add $24, %rsp\n"
"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
"	fninit\n"
"	movl $0x1f80, -8(%rsp)\n"
"	ldmxcsr -8(%rsp)\n"
"	ret\n");
extern char hold_registers_after_call[], hold_registers_after_site[];

_Static_assert(__builtin_offsetof(struct state, xsave) == 192, "the assembly's offset");

static uint64_t xmask;			/* components that this CPU has */
static struct { unsigned int offset, size; } component[8];
static struct state handler_pattern;	/* what handlers ruin the registers with */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void find_components(void)
{
	unsigned int a, b, c, d, low, high;

	__cpuid(1, a, b, c, d);
	if (!(c & (1 << 27))) {
		say("1..0 # SKIP this processor or host has no XSAVE\n");
		exit(0);
	}
	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	xmask = (low | (uint64_t)high << 32) & XSTATE_MASK;
	for (int i = 2; i < 8; i++) {
		if (!(xmask >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		component[i].size = a;
		component[i].offset = b;
		need(a + b <= XSAVE_BYTES);
	}
}

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

/*
 * A pattern that the CPU accepts: every exception masked, header bits as asked, no reserved bit of
 * MXCSR.
 */
static void make_pattern(struct state *s, uint64_t *seed)
{
	uint64_t header = xmask;

	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 16; i++)
		s->gpr[i] = next_random(seed);
	s->rflags = (next_random(seed) & FLAGS_KEPT) | 2;
	for (int i = 32; i < 416; i += 8) {
		uint64_t value = next_random(seed);

		memcpy(s->xsave + i, &value, 8);
	}
	for (int i = 0; i < 8; i++)
		memset(s->xsave + 32 + 16 * i + 10, 0, 6);
	s->xsave[0] = 0x7f;
	s->xsave[1] = 0x03 | (next_random(seed) & 0x0c);
	s->xsave[3] = next_random(seed) & 0x7f;
	s->xsave[4] = next_random(seed);
	put32(s->xsave + 24, 0x1f80 | (next_random(seed) & 0x603f));
	memcpy(s->xsave + 512, &header, 8);
	for (int i = 2; i < 8; i++)
		for (unsigned int j = 0; j < component[i].size; j++)
			s->xsave[component[i].offset + j] = next_random(seed);
}

static volatile int told;		/* differences shown so far: the first few say enough */

static int differ(const char *name, const uint8_t *a, const uint8_t *b, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (a[i] != b[i]) {
			if (told++ < 40)
				say("# %s differs at byte %zu: set %02x, found %02x\n", name, i,
				    a[i], b[i]);
			return 1;
		}
	return 0;
}

static int same_extended(const struct state *in, const struct state *out)
{
	static const char *const names[] = {
		"", "", "AVX", "", "", "opmask", "ZMM_Hi256", "Hi16_ZMM",
	};
	int bad = 0;
	uint64_t present;
	static const uint8_t zeros[4096];

	memcpy(&present, out->xsave + 512, 8);
	bad += differ("x87 control", in->xsave, out->xsave, 2);
	bad += differ("x87 status", in->xsave + 2, out->xsave + 2, 2);
	bad += differ("x87 tags", in->xsave + 4, out->xsave + 4, 1);
	for (int i = 0; i < 8; i++)
		bad += differ("x87 register", in->xsave + 32 + 16 * i, out->xsave + 32 + 16 * i,
			      10);
	bad += differ("MXCSR", in->xsave + 24, out->xsave + 24, 4);
	bad += differ("xmm", in->xsave + 160, out->xsave + 160, 256);
	for (int i = 2; i < 8; i++) {
		if (!component[i].size)
			continue;
		bad += differ(names[i], in->xsave + component[i].offset,
			      present >> i & 1 ? out->xsave + component[i].offset : zeros,
			      component[i].size);
	}
	return !bad;
}

static int same_general(const struct state *in, const struct state *out, unsigned int except)
{
	static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
	int bad = 0;

	for (int i = 0; i < 16; i++)
		if (i != RSP && !(except >> i & 1) && in->gpr[i] != out->gpr[i]) {
			say("# %s: set %#lx, found %#lx\n", names[i], in->gpr[i], out->gpr[i]);
			bad++;
		}
	if ((in->rflags ^ out->rflags) & FLAGS_KEPT) {
		say("# flags: set %#lx, found %#lx\n", in->rflags, out->rflags);
		bad++;
	}
	return !bad;
}

/* Handlers. They must not touch errno or anything else of libc: the fs base may be a pattern. */

static void ruin_extended_state(void)
{
	asm volatile("xrstor64 %0"
		     :
		     : "m"(*(char(*)[XSAVE_BYTES])handler_pattern.xsave), "a"((uint32_t)xmask),
		       "d"((uint32_t)(xmask >> 32))
		     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
		       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	asm volatile("fninit");
}

static volatile int stale_handlers, ruined;

static void ruin(int sig, siginfo_t *info, void *context)
{
	uint16_t control;

	asm volatile("fnstcw %0" : "=m"(control));
	if (control != 0x37f || __builtin_ia32_stmxcsr() != 0x1f80)
		stale_handlers = 1;
	ruined++;
	ruin_extended_state();
}

static void ruin_and_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	ruin(sig, info, context);
	uc->uc_mcontext.gregs[REG_RIP] += 2;
}

/* The frame is changed: these registers must come back changed, all the others as they were. */
#define EDIT 0x5aa55aa5c33cc33cUL
static void edit(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint8_t *frame = (void *)uc->uc_mcontext.fpregs;
	uint64_t value = EDIT;

	ruin_extended_state();
	uc->uc_mcontext.gregs[REG_R12] = EDIT;
	uc->uc_mcontext.gregs[REG_RBX] = ~EDIT;
	memcpy(frame + 32 + 16 * 3, &value, 8);			/* st(3) */
	memcpy(frame + 160 + 16 * 7, &value, 8);		/* xmm7 */
	for (int i = 2; i < 8; i++)
		if (component[i].size)
			memcpy(frame + component[i].offset + 8, &value, 8);
}

static void expect_edit(struct state *s)
{
	uint64_t value = EDIT;

	s->gpr[12] = EDIT;
	s->gpr[3] = ~EDIT;
	memcpy(s->xsave + 32 + 16 * 3, &value, 8);
	memcpy(s->xsave + 160 + 16 * 7, &value, 8);
	for (int i = 2; i < 8; i++)
		if (component[i].size)
			memcpy(s->xsave + component[i].offset + 8, &value, 8);
}

static void install(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	need(sigaction(sig, &action, NULL) == 0);
}

/* Rounds: each returns 1 when everything was kept. */

static int round_run(struct state *in, struct state *out, uint64_t *seed)
{
	make_pattern(in, seed);
	in->gpr[RCX] = 200000 + (next_random(seed) & 0xfffff);
	hold_registers(in, out, RUN, xmask);
	in->gpr[RCX] = 0;
	return same_general(in, out, 0) & same_extended(in, out);
}

/* By turns at random, as the pattern has it. */
static enum happening way_to_call(const struct state *in)
{
	return in->gpr[3] & 1 ? SITE : CALL;
}

/* System calls that change nothing, with patterns in the registers that they do not read. */
static int call(struct state *in, struct state *out, uint64_t result, int check_result)
{
	enum happening what = way_to_call(in);
	const char *after = what == SITE ? hold_registers_after_site : hold_registers_after_call;

	hold_registers(in, out, what, xmask);
	if (check_result && out->gpr[0] != result) {
		say("# rax: wanted %#lx, found %#lx\n", result, out->gpr[0]);
		return 0;
	}
	if (out->gpr[RCX] != (uint64_t)after) {
		say("# rcx after a call: %#lx, wanted the next instruction\n", out->gpr[RCX]);
		return 0;
	}
	if ((out->gpr[11] ^ in->rflags) & FLAGS_KEPT) {
		say("# r11 after a call: %#lx, flags were %#lx\n", out->gpr[11], in->rflags);
		return 0;
	}
	return same_general(in, out, 1 << 0 | 1 << RCX | 1 << 11) & same_extended(in, out);
}

static int round_getppid(struct state *in, struct state *out, uint64_t *seed)
{
	make_pattern(in, seed);
	in->gpr[0] = SYS_getppid;
	return call(in, out, getppid(), 1);
}

static int round_yield(struct state *in, struct state *out, uint64_t *seed)
{
	make_pattern(in, seed);
	in->gpr[0] = SYS_sched_yield;
	return call(in, out, 0, 1);
}

static int round_bad_call(struct state *in, struct state *out, uint64_t *seed)
{
	make_pattern(in, seed);
	in->gpr[0] = 0x7ffffff0;
	return call(in, out, -ENOSYS, 1);
}

static int round_sleep(struct state *in, struct state *out, uint64_t *seed)
{
	struct timespec nap = { 0, 20000 };

	make_pattern(in, seed);
	in->gpr[0] = SYS_clock_nanosleep;
	in->gpr[7] = CLOCK_MONOTONIC;
	in->gpr[6] = 0;
	in->gpr[2] = (uint64_t)&nap;
	in->gpr[10] = 0;
	return call(in, out, 0, 0);
}

static int round_tgkill(struct state *in, struct state *out, uint64_t *seed)
{
	make_pattern(in, seed);
	in->gpr[0] = SYS_tgkill;
	in->gpr[7] = getpid();
	in->gpr[6] = syscall(SYS_gettid);
	in->gpr[2] = SIGUSR1;
	return call(in, out, 0, 1);
}

static int round_tgkill_edit(struct state *in, struct state *out, uint64_t *seed)
{
	make_pattern(in, seed);
	in->gpr[0] = SYS_tgkill;
	in->gpr[7] = getpid();
	in->gpr[6] = syscall(SYS_gettid);
	in->gpr[2] = SIGUSR2;
	hold_registers(in, out, way_to_call(in), xmask);
	expect_edit(in);
	return same_general(in, out, 1 << 0 | 1 << RCX | 1 << 11) & same_extended(in, out);
}

static int round_trap(struct state *in, struct state *out, uint64_t *seed)
{
	make_pattern(in, seed);
	hold_registers(in, out, TRAP, xmask);
	return same_general(in, out, 0) & same_extended(in, out);
}

static int round_fault(struct state *in, struct state *out, uint64_t *seed)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int kept;

	need(page != MAP_FAILED);
	make_pattern(in, seed);
	in->gpr[0] = (uint64_t)page;
	hold_registers(in, out, FAULT, xmask);
	kept = same_general(in, out, 0) & same_extended(in, out);
	munmap(page, 4096);
	return kept;
}

/* Both sides of a fork must hold the pattern. */
static int round_fork(struct state *in, struct state *out, uint64_t *seed)
{
	pid_t self = getpid();
	int kept, status;

	make_pattern(in, seed);
	in->gpr[0] = SYS_fork;
	kept = call(in, out, 0, 0);
	if (syscall(SYS_getpid) != self)
		_exit(kept && out->gpr[0] == 0 ? 0 : 1);
	need(waitpid(out->gpr[0], &status, 0) > 0);
	if (status)
		say("# the child of a fork ended with %#x\n", status);
	return kept && status == 0;
}

static const struct kind {
	const char *sentence;
	int (*round)(struct state *in, struct state *out, uint64_t *seed);
	int in_threads;		/* whether threads of one process may do it at once */
} kinds[] = {
	{ "registers are kept across getppid", round_getppid, 1 },
	{ "registers are kept across a call that does not exist", round_bad_call, 1 },
	{ "registers are kept across sched_yield", round_yield, 1 },
	{ "registers are kept across a sleep", round_sleep, 1 },
	{ "registers are kept across a page fault", round_fault, 1 },
	{ "registers are kept across a signal whose handler ruins them", round_tgkill, 1 },
	{ "registers that a handler edits in its frame come back edited, the others kept",
	  round_tgkill_edit, 1 },
	{ "registers are kept across an exception that a handler steps over", round_trap, 1 },
	{ "registers are kept while running", round_run, 1 },
	{ "registers are kept on both sides of a fork", round_fork, 0 },
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static volatile int stop;

struct worker {
	pthread_t thread;
	uint64_t seed;
	unsigned long rounds, bad;
};

/* Under load: one kind after another until told to stop, with a gs base of its own. */
static void *work(void *argument)
{
	struct worker *me = argument;
	struct state *in = aligned_alloc(64, 2 * sizeof(*in)), *out = in + 1;
	uint64_t base = (uint64_t)in, found;

	need(syscall(SYS_arch_prctl, ARCH_SET_GS, base) == 0);
	while (!stop) {
		int kind = next_random(&me->seed) % KINDS;

		if (!kinds[kind].in_threads)
			continue;
		if (!kinds[kind].round(in, out, &me->seed)) {
			me->bad++;
			if (me->bad < 4)
				say("# under load: not so: %s\n", kinds[kind].sentence);
		}
		need(syscall(SYS_arch_prctl, ARCH_GET_GS, &found) == 0);
		asm volatile("mov %%gs:0, %0" : "=r"(*(uint64_t *)out));
		if (found != base || *(uint64_t *)out != in->gpr[0]) {
			me->bad++;
			say("# under load: gs base %#lx, wanted %#lx\n", found, base);
		}
		me->rounds++;
	}
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
	free(in);
	return NULL;
}

static int work_in_threads(int threads, int seconds, uint64_t seed, unsigned long *rounds)
{
	struct worker workers[8];
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	struct timespec end;
	unsigned long bad = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	stop = 0;
	for (int i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .seed = seed + 0x9e3779b97f4a7c15 * (i + 1) };
		need(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	setitimer(ITIMER_REAL, &often, NULL);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL))
		;
	stop = 1;
	*rounds = 0;
	for (int i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		bad += workers[i].bad;
		*rounds += workers[i].rounds;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	return bad == 0;
}

static void under_load(int seconds)
{
	unsigned long rounds;
	int kept = 1, status;
	pid_t children[2];

	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		need(children[i] >= 0);
		if (!children[i])
			_exit(!work_in_threads(3, seconds, 77 + i, &rounds) || rounds == 0);
	}
	kept = work_in_threads(4, seconds, 1234567, &rounds);
	for (int i = 0; i < 2; i++) {
		need(waitpid(children[i], &status, 0) > 0);
		if (status) {
			say("# a process of the load ended with %#x\n", status);
			kept = 0;
		}
	}
	say("# %lu rounds in %d seconds in this process\n", rounds, seconds);
	check(kept && rounds > 10,
	      "registers are kept in 10 threads of 3 processes with a timer signal every millisecond");
	check(ruined > 0 && !stale_handlers,
	      "a handler starts with x87 and SSE control as a fresh process has them");
}

/*
 * A frame on a page that is not there yet, and that another thread provides: the frame's extended
 * state is copied only after that thread has run.
 */
static void *provide_page(void *argument)
{
	static char zeros[65536] __attribute__((aligned(65536)));
	int fd = (long)argument;
	struct uffd_msg message;
	volatile double sum = 1;

	while (read(fd, &message, sizeof(message)) == sizeof(message)) {
		struct uffdio_copy copy = {
			.dst = message.arg.pagefault.address & ~4095UL,
			.src = (unsigned long)zeros,
			.len = 4096,
		};

		for (int i = 0; i < 100; i++)
			sum = sum * 1.5 + i;		/* takes the floating point unit */
		need(ioctl(fd, UFFDIO_COPY, &copy) == 0);
	}
	return NULL;
}

static void frame_that_waits(struct state *in, struct state *out, uint64_t *seed)
{
	static const char sentence[] =
		"registers are kept where writing a frame waits for another thread";
	enum { BYTES = 65536 };
	char *memory =
		mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t alternate = { .ss_sp = memory, .ss_size = BYTES },
		none = { .ss_flags = SS_DISABLE };
	struct uffdio_register area = { .range = { (unsigned long)memory, BYTES },
					.mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };
	long fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	pthread_t thread;
	int kept;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) {
		check_skip(sentence, "no userfaultfd here");
		return;
	}
	need(memory != MAP_FAILED && madvise(memory, BYTES, MADV_NOHUGEPAGE) == 0);
	need(ioctl(fd, UFFDIO_REGISTER, &area) == 0);
	need(pthread_create(&thread, NULL, provide_page, (void *)fd) == 0);
	need(sigaltstack(&alternate, NULL) == 0);
	install(SIGILL, ruin_and_step, SA_ONSTACK);
	kept = round_trap(in, out, seed);
	install(SIGILL, ruin_and_step, 0);
	need(sigaltstack(&none, NULL) == 0);
	check(kept, sentence);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	close(fd);
	munmap(memory, BYTES);
}

/* Segment bases. No libc call between setting an fs base and putting it back. */

/*
 * As the ABI has it: the processor may know the instructions and the kernel not keep what they
 * set.
 */
static int have_fsgsbase(void)
{
	return getauxval(AT_HWCAP2) & 2;
}

static uint64_t raw_call(long number, long first, long second)
{
	uint64_t result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(first), "S"(second)
		     : "rcx", "r11", "memory");
	return result;
}

static void segment_bases(void)
{
	static uint64_t cell[4] = { 0x1111, 0x2222, 0x3333, 0x4444 };
	uint64_t libc, value, base, got;

	need(syscall(SYS_arch_prctl, ARCH_GET_FS, &libc) == 0);
	raw_call(SYS_arch_prctl, ARCH_SET_FS, (long)&cell[1]);
	asm volatile("mov %%fs:0, %0" : "=r"(value));
	raw_call(SYS_sched_yield, 0, 0);
	asm volatile("mov %%fs:8, %0" : "=r"(got));
	raw_call(SYS_arch_prctl, ARCH_SET_FS, libc);
	check(value == 0x2222 && got == 0x3333, "arch_prctl sets the fs base");

	raw_call(SYS_arch_prctl, ARCH_SET_GS, (long)&cell[2]);
	asm volatile("mov %%gs:0, %0" : "=r"(value));
	raw_call(SYS_arch_prctl, ARCH_GET_GS, (long)&base);
	check(value == 0x3333 && base == (uint64_t)&cell[2],
	      "arch_prctl sets and gets the gs base");

	check_equal(raw_call(SYS_arch_prctl, ARCH_SET_GS, -4096), -EPERM,
		    "arch_prctl refuses a gs base beyond user space");
	check_equal(raw_call(SYS_arch_prctl, 0x7777, 0), -EINVAL,
		    "arch_prctl refuses what it does not know");

	if (!have_fsgsbase()) {
		check_skip("rdgsbase and wrgsbase work", "AT_HWCAP2 has no FSGSBASE");
		return;
	}
	asm volatile("wrgsbase %0" : : "r"(&cell[3]));
	raw_call(SYS_sched_yield, 0, 0);
	raw_call(SYS_tkill, getpid(), SIGUSR1);
	asm volatile("mov %%gs:0, %0" : "=r"(value));
	raw_call(SYS_arch_prctl, ARCH_GET_GS, (long)&base);
	check(value == 0x4444 && base == (uint64_t)&cell[3],
	      "a base set with wrgsbase is kept and known to arch_prctl");

	asm volatile("wrfsbase %0" : : "r"(&cell[0]));
	for (int i = 0; i < 100; i++)
		raw_call(SYS_sched_yield, 0, 0);
	asm volatile("mov %%fs:0, %0\n\trdfsbase %1" : "=r"(value), "=r"(base));
	asm volatile("wrfsbase %0" : : "r"(libc));
	check(value == 0x1111 && base == (uint64_t)&cell[0], "a base set with wrfsbase is kept");

	base = 0x1234567890;		/* nothing is mapped there, and that is allowed */
	asm volatile("wrgsbase %0" : : "r"(base));
	raise(SIGUSR1);
	asm volatile("rdgsbase %0" : "=r"(value));
	check(value == base, "a gs base is kept across a signal");
	asm volatile("wrgsbase %0" : : "r"(0UL));
}

static void *own_base(void *argument)
{
	uint64_t mine = (uint64_t)argument, value;

	raw_call(SYS_arch_prctl, ARCH_SET_GS, mine);
	for (int i = 0; i < 200; i++) {
		sched_yield();
		raw_call(SYS_arch_prctl, ARCH_GET_GS, (long)&value);
		if (value != mine)
			return (void *)1;
	}
	return NULL;
}

static void bases_of_threads(void)
{
	pthread_t threads[4];
	void *result;
	int bad = 0, status;
	uint64_t value;
	pid_t child;

	for (long i = 0; i < 4; i++)
		need(pthread_create(&threads[i], NULL, own_base, (void *)(0x10000 * (i + 1))) == 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		bad |= result != NULL;
	}
	check(!bad, "each thread has its own gs base");

	raw_call(SYS_arch_prctl, ARCH_SET_GS, 0x777000);
	child = fork();
	if (!child) {
		raw_call(SYS_arch_prctl, ARCH_GET_GS, (long)&value);
		_exit(value != 0x777000);
	}
	need(waitpid(child, &status, 0) == child);
	check(status == 0, "a child of fork has its parent's gs base");
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 3;
	struct state *in = aligned_alloc(64, 2 * sizeof(*in)), *out = in + 1;
	uint64_t seed = 42;

	find_components();
	say("# extended state components: %#lx\n", xmask);
	make_pattern(&handler_pattern, &seed);
	install(SIGUSR1, ruin, 0);
	install(SIGALRM, ruin, SA_RESTART);
	install(SIGUSR2, edit, 0);
	install(SIGILL, ruin_and_step, 0);
	for (int kind = 0; kind < KINDS; kind++) {
		int kept = 1;

		for (int i = 0; i < 50 && kept; i++)
			kept = kinds[kind].round(in, out, &seed);
		check(kept, kinds[kind].sentence);
	}
	frame_that_waits(in, out, &seed);
	segment_bases();
	bases_of_threads();
	under_load(seconds);
	return check_done();
}
