// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest program inside the seccomp engine's stub, second part: it forges signal frames,
 * traps and calls (docs/security/model.md, G2, G4 and G5). hostile.c is the first part.
 *
 *	hostile_frames <base> <path of the host> <process id of the host> [<seconds>]
 *
 * Each attack is a process. It may end in any way, or go on as the guest program that it is, but
 * it must end or be killable, and an innocent process must go on: less than about 100 ms without
 * the CPU are meant; two seconds are what a busy machine is given.
 */
#include "hostile.h"

/* ---- where a forged frame leads ---- */

__attribute__((noreturn)) void land(void), land_in_loop(void), land_and_fault(void),
	land_and_write(void), land_and_wait(void);
asm(".text\n"
    "land:		movl $231, %eax\n	movl $42, %edi\n	syscall\n" /* exit_group(LANDED), no stack */
    "land_in_loop:	lock incq (%rsi)\n	jmp land_in_loop\n"
    "land_and_fault:	ud2\n"
    "land_and_write:	movl %edx, (%rdi)\n	ud2\n" /* a turn, then the end */
    "land_and_wait:	movl $1, (%rdi)\n	movl $0, 8(%rdi)\n	jmp *%rbx\n");

static struct signal_frame forged __attribute__((aligned(64)));

/* A frame that leads to ip and is sound otherwise. */
static void forge(void (*ip)(void))
{
	forged = *stub.frame;
	forged.context.mask = 0;
	forged.context.regs.ip = (unsigned long)ip;
	forged.context.regs.flags = FLAGS;
	forged.context.regs.si = (unsigned long)&shared->counter;
	forged.context.regs.di = (unsigned long)&stub.state->owner;
}

static __attribute__((noreturn)) void return_from(const void *frame)
{
	jump((unsigned long)stub.code + stub.entries.sys_return,
	     &(struct registers){ .ax = SYS_rt_sigreturn,
				  .sp = (unsigned long)frame + sizeof(long),
				  .flags = FLAGS });
}

/* ---- 1. signals blocked ---- */

static void loop_with_mask(long mask)
{
	shared->counter++;		/* any fault would make the kernel set the mask */
	forge(land_in_loop);
	forged.context.mask = mask;
	return_from(&forged);
}

static void call_with_mask(long mask)
{
	forge(land);
	forged.context.mask = mask;
	return_from(&forged);
}

static void loop(long unused)
{
	for (;;)
		shared->counter++;
}

static void wait_with_mask(long mask)
{
	forge(land_and_wait);
	forged.context.mask = mask;
	forged.context.regs.bx = (unsigned long)stub.code + stub.entries.sys_wait;
	forged.context.regs.ax = SYS_futex;
	forged.context.regs.si = 0;
	forged.context.regs.dx = STUB_TRAPPED;
	forged.context.regs.r10 = 0;
	return_from(&forged);
}

static void blocked(void)
{
	check(died_of(attack(loop_with_mask, -1), SIGKILL),
	      "a process that blocks every signal of the host and loops is killed");
	check(died_of(attack(loop_with_mask, 1L << (SIGUSR1 - 1)), SIGKILL),
	      "one that blocks only the kick, too");
	check(died_of(attack(call_with_mask, -1), SIGKILL),
	      "one that makes a call with every signal blocked, too");
	check(died_of(attack(call_with_mask, 1L << (SIGSYS - 1)), SIGKILL),
	      "one that blocks only the trap of system calls, too");
	check(attack(wait_with_mask, -1) != ENDLESS,
	      "one that blocks every signal and waits in the stub for ever ends");
	attack(wait_with_mask, 0);	/* may wait for ever: then it is killed here */
	check(finish(begin(loop, 0), 100) == ENDLESS,
	      "one that only never returns runs on until it is killed");
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

/* ---- 2. odd frames ---- */

#define REGISTER(name) \
	offsetof(struct signal_frame, context.regs.name), sizeof(forged.context.regs.name)
#define CONTEXT(name) offsetof(struct signal_frame, context.name), sizeof(forged.context.name)

static const struct edit {
	const char *name;
	unsigned int offset, size;
	unsigned long value;
} edits[] = {
	{ "nothing odd", REGISTER(ax), 0 },
	{ "cs 0", REGISTER(cs), 0 },
	{ "cs of the kernel", REGISTER(cs), 0x10 },
	{ "cs of 32-bit code", REGISTER(cs), 0x23 },
	{ "cs of data", REGISTER(cs), 0x2b },
	{ "cs of an LDT", REGISTER(cs), 7 },
	{ "cs beyond the GDT", REGISTER(cs), 0xffff },
	{ "ss 0", REGISTER(ss), 0 },
	{ "ss of the kernel", REGISTER(ss), 0x18 },
	{ "ss of code", REGISTER(ss), 0x33 },
	{ "ss of an LDT", REGISTER(ss), 7 },
	{ "ss beyond the GDT", REGISTER(ss), 0xfffb },
	{ "fs and gs selectors", REGISTER(fs), 0xffff },
	{ "ip not canonical", REGISTER(ip), 0x800000000000 },
	{ "ip of the kernel", REGISTER(ip), 0xffffffff81000000 },
	{ "ip 0", REGISTER(ip), 0 },
	{ "ip of vsyscall", REGISTER(ip), 0xffffffffff600000 },
	{ "ip at the end", REGISTER(ip), 0x7fffffffefff },
	{ "sp not canonical", REGISTER(sp), 0x800000000000 },
	{ "sp of the kernel", REGISTER(sp), 0xffff888000000000 },
	{ "sp 0", REGISTER(sp), 0 },
	{ "sp odd", REGISTER(sp), 0x7ffffffff001 },
	{ "trap flag", REGISTER(flags), FLAGS | FLAG_TF },
	{ "alignment check", REGISTER(flags), FLAGS | 0x40000 },
	{ "nested task", REGISTER(flags), FLAGS | 0x4000 },
	{ "direction", REGISTER(flags), FLAGS | 0x400 },
	{ "IOPL", REGISTER(flags), FLAGS | 0x3000 },
	{ "virtual 8086", REGISTER(flags), FLAGS | 0x20000 },
	{ "resume", REGISTER(flags), FLAGS | 0x10000 },
	{ "no interrupts", REGISTER(flags), 0 },
	{ "all flags", REGISTER(flags), -1 },
	{ "no extended state", REGISTER(fpstate), 0 },
	{ "extended state at 1", REGISTER(fpstate), 1 },
	{ "extended state in the kernel", REGISTER(fpstate), 0xffff888000000000 },
	{ "extended state at the end", REGISTER(fpstate), 0x7fffffffefc0 },
	{ "context flags 0", CONTEXT(flags), 0 },
	{ "all context flags", CONTEXT(flags), -1 },
	{ "signal stack disabled", CONTEXT(stack[1]), 2 },
	{ "signal stack with odd flags", CONTEXT(stack[1]), -1 },
	{ "signal stack of no size", CONTEXT(stack[2]), 0 },
	{ "signal stack of 2 KiB", CONTEXT(stack[2]), 2048 },
	{ "endless signal stack", CONTEXT(stack[2]), -1 },
	{ "signal stack at 0", CONTEXT(stack[0]), 0 },
	{ "signal stack in the kernel", CONTEXT(stack[0]), 0xffff888000000000 },
	{ "signal stack at the end", CONTEXT(stack[0]), 0x7fffffff0000 },
};

static void return_odd(long number)
{
	const struct edit *edit = &edits[number];

	forge(land);
	memcpy((char *)&forged + edit->offset, &edit->value, edit->size);
	return_from(&forged);
}

static void odd_frames(void)
{
	unsigned int count = sizeof(edits) / sizeof(*edits), ended = 0;

	for (unsigned int i = 0; i < count; i++) {
		int status = attack(return_odd, i);

		ended += status != ENDLESS;
		if (status == ENDLESS)
			say("# %s: endless\n", edits[i].name);
	}
	check_equal(attack(return_odd, 0), LANDED << 8,
		    "a process that forges a sound frame goes on as a guest program");
	check_equal(
		ended, count,
		"one that forges an odd frame ends: selectors, flags, addresses, extended state, signal stacks");
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

/* ---- 3. the signal stack moved ---- */

static unsigned char shared_by_fork[16 * PAGE] __attribute__((aligned(4096)));

/*
 * The host writes the frame of the next trap where the guest program says: there it must not be
 * able to.
 */
static void move_stack(long to)
{
	forge(land_and_fault);
	forged.context.regs.sp = 0;
	forged.context.stack[0] = to;
	forged.context.stack[1] = 0;
	forged.context.stack[2] = 4 * PAGE + PAGE * 12;
	return_from(&forged);
}

static void disable_stack(long sp)
{
	forge(land_and_fault);
	forged.context.regs.sp = sp;
	forged.context.stack[1] = 2;
	return_from(&forged);
}

static void moved_stacks(void)
{
	unsigned long frame_before = *(volatile unsigned long *)&stub.control->frame;
	int intact = 1, ended = 0;
	const unsigned long places[] = {
		(unsigned long)shared_by_fork,	     (unsigned long)shared->page,
		(unsigned long)stub.code - 8 * PAGE, (unsigned long)stub.control - 15 * PAGE,
		(unsigned long)move_stack & -PAGE,   0x10000
	};

	memset(shared_by_fork, 0x77, sizeof(shared_by_fork));
	for (unsigned int i = 0; i < sizeof(places) / sizeof(*places); i++) {
		ended += attack(move_stack, places[i]) != ENDLESS;
		ended += attack(disable_stack, places[i] + 16 * PAGE) != ENDLESS;
	}
	for (unsigned int i = 0; i < sizeof(shared_by_fork); i++)
		intact &= shared_by_fork[i] == 0x77;
	check_equal(ended, 2 * sizeof(places) / sizeof(*places),
		    "a process that moves or disables its signal stack ends with its next trap");
	check(intact && stub.control->frame == frame_before,
	      "and the frame is not written to pages that it only shares, nor to its control page");
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

/* ---- 4. the turn ---- */

/* Dies with this in the turn: no signal stack, no stack. */
static void die_with_turn(long value)
{
	forge(land_and_write);
	forged.context.regs.dx = value;
	forged.context.regs.sp = 0;
	forged.context.stack[1] = 2;
	return_from(&forged);
}

static void deny_wakes(long unused)
{
	unsigned long end = now_us() + 50000;

	while (now_us() < end) {
		stub.state->kernel_sleeps = 0;
		stub.state->stub_sleeps = 0;
		stub.state->owner = STUB_GONE;
		stub.state->frame = 0;
		if (shared->counter++ % 64 == 0)
			getppid();
	}
}

static void turns(void)
{
	static const long values[] = { STUB_RUNS, STUB_TRAPPED, STUB_GONE, 7, -1 };
	int ended = 0;

	for (unsigned int i = 0; i < sizeof(values) / sizeof(*values); i++)
		ended += attack(die_with_turn, values[i]) != ENDLESS;
	check_equal(ended, sizeof(values) / sizeof(*values),
		    "a process that dies on the host with anything in its turn is missed");
	check(attack(deny_wakes, 0) != ENDLESS,
	      "one that writes nonsense to its turn between its calls ends");
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

/* ---- 5. forged traps ---- */

#define USER_FLAGS \
	0x254fd7UL /* all but IOPL, virtual 8086 mode, virtual interrupts, reserved ones */

static void write_trap(int signo, int code, int number)
{
	struct signal_frame *frame = stub.frame;

	frame->info.signo = signo;
	frame->info.code = code;
	frame->info.syscall = number;
	/* which the kernel side believes, as the host leaves it there */
	frame->context.regs.ax = number;
	frame->info.arch = 0xc000003e;
	frame->info.address = 0;
	frame->context.regs.ip = (unsigned long)land;
	__atomic_store_n(&stub.state->owner, STUB_TRAPPED, __ATOMIC_SEQ_CST);
}

static __attribute__((noreturn)) void claim(void)
{
	write_trap(SIGSYS, 1, SYS_pause);
	for (;;)
		shared->counter++;
}

/* Goes on at ip with kicks blocked: they would put a true frame in place of the forged one. */
static __attribute__((noreturn)) void run_unkicked(void (*ip)(void))
{
	static unsigned char stack[2 * PAGE] __attribute__((aligned(4096)));

	memset(stack, 1, sizeof(stack));
	shared->counter++;
	forge(ip);
	forged.context.mask = 1L << (SIGUSR1 - 1);
	forged.context.regs.sp = (unsigned long)stack + PAGE + 8;
	return_from(&forged);
}

/* Says that it waits for ever, and works. */
static void claim_and_run(long unused)
{
	run_unkicked(claim);
}

static volatile unsigned short claimed_cs, claimed_ss;

/*
 * Says, whenever it is asked, that it was only interrupted, in what the kernel side takes for
 * kernel code if it believes cs.
 */
static void claim_interrupts(void)
{
	unsigned long end = now_us() + 3000000;

	while (now_us() < end) {
		stub.frame->context.regs.cs = claimed_cs;
		stub.frame->context.regs.flags = 0;
		write_trap(SIGUSR1, 0, 0);
		shared->counter++;
	}
	for (;;)
		getppid();
}

static void be_interrupted(long cs)
{
	now_us();
	claimed_cs = cs;
	run_unkicked(claim_interrupts);
}

/*
 * Claims an exception, with selectors and flags that no user code can have, and takes part in what
 * follows.
 */
static void claim_exception(void)
{
	stub.frame->context.regs.cs = claimed_cs;
	stub.frame->context.regs.ss = claimed_ss;
	stub.frame->context.regs.flags = -1;
	write_trap(SIGILL, ILL_ILLOPC, 0);
	jump((unsigned long)stub.code + stub.entries.sys_wake,
	     &(struct registers){ .ax = SYS_futex,
				  .di = (unsigned long)&stub.state->owner,
				  .si = 1,
				  .dx = 1,
				  .flags = FLAGS });
}

/* In the handler of the guest's signal. */
static void show_registers(int signo, siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;

	shared->result[0] = g[REG_RIP] == (greg_t)land;
	shared->result[1] = g[REG_CSGSFS];
	shared->result[2] = g[REG_EFL];
	_exit(LANDED);
}

static void see_claim(long cs_ss)
{
	struct sigaction action = { .sa_sigaction = show_registers,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };

	take_signals();
	sigaction(SIGILL, &action, NULL);
	claimed_cs = cs_ss;
	claimed_ss = cs_ss >> 16;
	run_unkicked(claim_exception);
}

static void claimed_registers(void)
{
	static const long values[] = { 0, 0x180010, 0x280020, 0x3f003f };
	int believed = 0, taken = 0;

	for (unsigned int i = 0; i < sizeof(values) / sizeof(*values); i++) {
		memset((void *)shared->result, 0, sizeof(shared->result));
		for (int tries = 0; tries < 3 && !shared->result[0]; tries++)
			attack(see_claim, values[i]); /* the host's own faults may come between */
		taken += shared->result[0];
		if ((shared->result[1] & 3) != 3 || (shared->result[1] >> 48 & 3) != 3 ||
		    (shared->result[2] & ~USER_FLAGS)) {
			say("# cs and ss %#lx, flags %#lx\n", shared->result[1], shared->result[2]);
			believed++;
		}
	}
	check_equal(taken, sizeof(values) / sizeof(*values),
		    "a claimed exception is taken for one");
	check(!believed,
	      "with the privilege level and the flags of user code, whatever the frame said");
}

/* Debuggers ask the host, while it dies. */
static void claim_breakpoint(long delay)
{
	write_trap(SIGTRAP, 4, 0);
	for (volatile long i = 0; i < delay; i++)
		;
	disable_stack(0);
}

/* Until the counter has stood still for 200 ms; in ms, or -1 after 3 s. */
static long time_to_stop(void)
{
	unsigned long start = now_us(), last = now_us(), counter = shared->counter;

	while (now_us() - start < LIMIT_MS * 1000UL) {
		sleep_us(5000);
		if (shared->counter != counter) {
			counter = shared->counter;
			last = now_us();
		} else if (now_us() - last > 200000) {
			return (last - start) / 1000;
		}
	}
	return -1;
}

static void check_stops(const char *sentence)
{
	pid_t child = begin(claim_and_run, 0);
	unsigned long before = shared->counter;
	long ms = time_to_stop();
	int end;

	say("# it ran for %ld ms\n", ms);
	check(ms >= 0 && shared->counter != before, sentence);
	end = finish(child, 0);
	check(end == ENDLESS || died_of(end, SIGKILL),
	      "its guest process has died or can be killed");
}

static void forged_traps(void)
{
	static const int values[] = { 0, 3, 0x10, 0x33 };
	int ended = 0;

	check_stops("a process that claims a trap and runs on is stopped");
	shared->rest = 1;
	sleep_us(50000);
	check_stops("also when the guest is idle otherwise");
	shared->rest = 0;
	claimed_registers();
	for (unsigned int i = 0; i < sizeof(values) / sizeof(*values); i++)
		finish(begin(be_interrupted, values[i]), 100);
	check_innocent(
		"an innocent process goes on while others claim to be interrupted, with selectors of the kernel, for ever",
		GAP_LIMIT_US);
	for (long i = 0; i < 20; i++)
		ended += attack(claim_breakpoint, i * 500) != ENDLESS;
	check_equal(ended, 20, "a process that claims a breakpoint and dies is missed");
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

/* ---- nonsense at random ---- */

static unsigned long seed;

static unsigned long next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static unsigned long nasty(void)
{
	switch (next() % 6) {
	case 0:
		return next() % 16;
	case 1:
		return (unsigned long)stub.code + next() % (stub.end - (unsigned long)stub.code);
	case 2:
		return (unsigned long)&forged + next() % PAGE;
	case 3:
		return 1UL << next() % 64;
	case 4:
		return (unsigned long)land_in_loop;
	default:
		return next();
	}
}

/* ---- 6. calls ---- */

/* The place of a register in the state's regs. */
#define WORD(name) (offsetof(struct host_regs, name) / sizeof(long))

/*
 * Claims a call that it does not make: exit_group with nonsense in all other registers. The
 * guest's kernel ends it.
 */
static void claim_call(long nonsense)
{
	seed = (nonsense + 1) * 0x9e3779b97f4a7c15UL;
	for (int i = 0; i < STUB_REGS; i++)
		stub.state->regs[i] = nasty();
	stub.state->regs[WORD(ax)] = SYS_exit_group;
	stub.state->regs[WORD(di)] = LANDED;
	for (;;) {
		stub.state->called = 1;
		__atomic_store_n(&stub.state->owner, STUB_TRAPPED, __ATOMIC_SEQ_CST);
	}
}

static struct registers nasty_registers(long seeds)
{
	struct registers registers;

	seed = (seeds + 1) * 0x9e3779b97f4a7c15UL;
	for (unsigned int i = 0; i < sizeof(registers) / sizeof(long); i++)
		((unsigned long *)&registers)[i] = nasty();
	registers.flags = FLAGS;
	return registers;
}

static void make_call(long seeds)
{
	struct registers registers = nasty_registers(seeds);

	registers.ax = SYS_exit_group;
	registers.di = LANDED;
	registers.flags |= next() & 0xcd5;
	jump((unsigned long)stub.code + stub.entries.fast_entry, &registers);
}

/* Comes back to an address and with registers that it does not choose well. */
static void return_badly(long address)
{
	jump((unsigned long)stub.code + stub.entries.fast_entry,
	     &(struct registers){ .ax = SYS_getpid, .cx = address, .flags = FLAGS });
}

/*
 * Anywhere between the entry and the way back, with whatever registers: claims and traps of all
 * kinds.
 */
static void enter_in_the_middle(long offset)
{
	struct registers registers = nasty_registers(offset);

	if (setresuid(65534, 65534, 65534))
		_exit(1);
	stub.state->regs[WORD(ax)] = SYS_getpid;
	jump((unsigned long)stub.code + stub.entries.fast_entry + offset, &registers);
}

static void calls(void)
{
	static const unsigned long addresses[] = {
		0, 1, 0x7fffffffefff, 0x7ffffffff000, 1UL << 47, 1UL << 63, -1UL
	};
	int landed = 0, died = 0;

	for (long i = 0; i < 40; i++)
		landed += attack(claim_call, i) == LANDED << 8;
	check_equal(landed, 40, "who claims a call has made it");
	landed = 0;
	for (long i = 0; i < 40; i++)
		landed += attack(make_call, i) == LANDED << 8;
	check_equal(
		landed, 40,
		"who jumps to the entry for calls makes the guest's call, whatever the other registers hold");
	for (unsigned int i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		int status = attack(return_badly, addresses[i]);

		died += status != ENDLESS && WIFSIGNALED(status);
	}
	check_equal(died, sizeof(addresses) / sizeof(*addresses),
		    "who wants to return where no code is dies of it");
	for (unsigned int i = 0; i < stub.entries.back_end - stub.entries.fast_entry; i++)
		finish(begin(enter_in_the_middle, i), 20);
	check_innocent("an innocent process goes on while others enter in the midst of a call",
		       GAP_LIMIT_US);
}

/* ---- 7. everything at once ---- */

/* Writes everywhere while the kernel reads it; the calls that it claims are harmless ones. */
static void write_at_random(long seeds)
{
	static const int calls[] = { SYS_getpid, SYS_gettid, SYS_sched_yield,
				     SYS_getuid, SYS_times,  SYS_gettimeofday };
	unsigned long words = (unsigned long *)&stub.frame->info - (unsigned long *)stub.frame,
		      end = now_us() + 30000;

	seed = (seeds + 1) * 0x9e3779b97f4a7c15UL;
	if (setresuid(65534, 65534, 65534))
		_exit(1);
	do {
		for (int i = next() % 8; i; i--)
			((volatile unsigned long *)stub.frame)[next() % words] = nasty();
		for (int i = next() % 3; i; i--)
			((volatile unsigned int *)stub.state)[next() % 16] = nasty();
		if (next() % 4 == 0)
			((volatile unsigned char *)
				 stub.stack)[next() % (stub.end - stub.stack - sizeof(long))] =
				next();
		stub.frame->info.address = nasty();
		write_trap(next() % 4 ? SIGSYS : next() % 40, next() % 6, calls[next() % 6]);
		if (next() % 2)
			stub.frame->context.regs.ip = nasty();
		if (next() % 2) {	/* or a call, for the next look at the turn */
			stub.state->regs[next() % STUB_REGS] = nasty();
			stub.state->regs[WORD(ax)] = calls[next() % 6];
			stub.state->kicked = next();
			stub.state->called = next() % 4;
		}
	} while (now_us() < end);
}

static void at_random(int count)
{
	int ended = 0;

	for (int i = 0; i < count; i++)
		ended += finish(begin(write_at_random, i), 100) != ENDLESS;
	say("# %d of %d ended by themselves\n", ended, count);
	check_innocent(
		"an innocent process goes on while others write nonsense to frame and state as the kernel reads them",
		GAP_LIMIT_US);
}

int main(int argc, char **argv)
{
	int status, seconds = argc > 4 ? atoi(argv[4]) : 0;
	pid_t innocent;

	if (argc < 4) {
		check_skip("forged frames and traps of the seccomp engine",
			   "there is no stub here");
		return check_done();
	}
	if (!find_stub(argv[1])) {
		check(0, "the stub is where stub_base= puts it");
		return check_done();
	}
	innocent = start_innocent();
	blocked();
	odd_frames();
	moved_stacks();
	turns();
	forged_traps();
	calls();
	at_random(seconds ? seconds * 10 : 40);
	shared->stop = 1;
	waitpid(innocent, &status, 0);
	check_equal(status, 0, "the innocent process finishes its work");
	return check_done();
}
