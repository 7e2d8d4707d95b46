// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest program inside the seccomp engine's stub (HACKING.md, section 5), first part: jumps to its instructions, writes to
 * its pages, reads beyond them, changes of mappings. hostile_frames.c forges frames and traps.
 *
 *	hostile <base> <path of the host> <process id of the host> [<seconds>]
 *
 * A host call that happened would show: in the state page, which the guest's kernel cannot reach and the host's can (all results are
 * directed there); in the guest's own answer, which is another one; at the path and the process of the host, which hostile-guest.t watches.
 */
#include "hostile.h"

#include <linux/futex.h>

#define FILL 0xa5			/* of the upper half of the state page */
#define SCRATCH 2048
#define ANY 1				/* no call here returns it */

static const char *host_path;
static long host_pid;

/* ---- 1. jumps to system call instructions ---- */

struct call {
	const char *name;
	long number, arguments[6];
	long wanted;			/* what the guest's kernel answers */
};

static unsigned char *scratch(void)
{
	return (unsigned char *)stub.state + SCRATCH;
}

static int scratch_is_intact(void)
{
	for (unsigned long i = 0; i < PAGE - SCRATCH; i++)
		if (scratch()[i] != FILL)
			return 0;
	return 1;
}

static void refill_scratch(void)
{
	memset(scratch(), FILL, PAGE - SCRATCH);
}

/* A jump to place with a call's registers; what was wrong, or NULL. */
static const char *try(unsigned long place, const struct call *call)
{
	const long *a = call->arguments;
	struct registers registers = {
		.ax = call->number, .di = a[0], .si = a[1], .dx = a[2], .r10 = a[3], .r8 = a[4], .r9 = a[5],
		.bx = (long)scratch(), .bp = (long)scratch(), .cx = (long)stub.state, .r11 = ~0UL, .r12 = 1, .r13 = 1, .r14 = 1,
		.r15 = (long)scratch(), .sp = 0xdead000000000000, .flags = FLAGS,
	};
	/* Only what the instruction behind it does not overwrite can be looked at. */
	int shows = *(unsigned char *)(place + 2) != 0xb8;
	struct outcome result = step(place, registers);

	if (result.signo != SIGTRAP && result.signo != SIGILL && result.signo != SIGSEGV)
		return "no trap";
	if (!scratch_is_intact()) {
		refill_scratch();
		return "the host wrote its result";
	}
	if (result.signo == SIGTRAP && shows && call->wanted != ANY && (long)result.ax != call->wanted) {
		say("# %s: %ld instead of %ld\n", call->name, (long)result.ax, call->wanted);
		return "not the guest's answer";
	}
	return NULL;
}

static void jump_everywhere(long unused)
{
	long turn = (long)&stub.state->turn, to = (long)scratch(), orders = (long)stub.orders, hole = (long)stub.code - 64 * PAGE;
	static struct timespec soon = { 0, 1000 };
	static char *none[] = { NULL };
	const struct call calls[] = {
		{ "getpid", SYS_getpid, { 0 }, getpid() },
		{ "gettid", SYS_gettid, { 0 }, getpid() },
		{ "read", SYS_read, { 0, to, 8 }, -EBADF },
		{ "write", SYS_write, { 1, (long)&soon, 8 }, -EBADF },
		{ "pwrite", SYS_pwrite64, { 0, (long)&soon, 8, 0 }, -EBADF },
		{ "fstat 0", SYS_fstat, { 0, to }, -EBADF },
		{ "fstat 1", SYS_fstat, { 1, to }, -EBADF },
		{ "fstat 2", SYS_fstat, { 2, to }, -EBADF },
		{ "fstat 3", SYS_fstat, { 3, to }, -EBADF },
		{ "openat", SYS_openat, { AT_FDCWD, (long)host_path, O_CREAT | O_RDWR, 0600 }, -ENOENT },
		{ "mkdir", SYS_mkdir, { (long)host_path, 0700 }, -ENOENT },
		{ "unlink", SYS_unlink, { (long)host_path }, -ENOENT },
		{ "execve", SYS_execve, { (long)"/proc/self/exe/no", (long)none, (long)none }, -ENOTDIR },
		{ "mmap", SYS_mmap, { hole, PAGE, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0 }, -ENOMEM },
		{ "mmap of RAM", SYS_mmap, { hole, PAGE, 3, MAP_SHARED | MAP_FIXED | MAP_POPULATE, STUB_FD_RAM, 0 }, -EBADF },
		{ "munmap", SYS_munmap, { stub.end - PAGE, PAGE }, -EINVAL },
		{ "mprotect", SYS_mprotect, { orders, PAGE, PROT_READ | PROT_WRITE }, -ENOMEM },
		{ "mremap", SYS_mremap, { orders, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hole }, ANY },
		{ "madvise", SYS_madvise, { (long)stub.state, PAGE, MADV_REMOVE }, ANY },
		{ "brk", SYS_brk, { 0 }, (long)sbrk(0) },
		{ "kill", SYS_kill, { host_pid, SIGKILL }, -ESRCH },
		{ "tkill", SYS_tkill, { host_pid, SIGKILL }, -ESRCH },
		{ "ptrace", SYS_ptrace, { 16, host_pid }, -ESRCH },
		{ "process_vm_readv", SYS_process_vm_readv, { host_pid, (long)none, 0, (long)none, 0, 0 }, ANY },
		{ "process_vm_writev", SYS_process_vm_writev, { host_pid, (long)none, 0, (long)none, 0, 0 }, ANY },
		{ "socketpair", SYS_socketpair, { 1, 1, 0, to }, -EFAULT },
		{ "pipe", SYS_pipe, { to }, -EFAULT },
		{ "futex wake elsewhere", SYS_futex, { to, FUTEX_WAKE, 1 }, -EFAULT },
		{ "futex wake all", SYS_futex, { turn, FUTEX_WAKE, 0x7fffffff }, -EFAULT },
		{ "futex private wake", SYS_futex, { turn, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1 }, -EFAULT },
		{ "futex wake op", SYS_futex, { turn, FUTEX_WAKE_OP, 1, 1, to, 0 }, -EFAULT },
		{ "futex requeue", SYS_futex, { turn, FUTEX_REQUEUE, 0, 1, to, 0 }, -EFAULT },
		{ "futex compare and requeue", SYS_futex, { turn, FUTEX_CMP_REQUEUE, 0, 1, to, 0 }, -EFAULT },
		{ "futex lock", SYS_futex, { turn, FUTEX_LOCK_PI, 0, 0 }, -EFAULT },
		{ "futex wait for another value", SYS_futex, { turn, FUTEX_WAIT, 0, 0 }, -EFAULT },
		{ "futex wait with a limit", SYS_futex, { turn, FUTEX_WAIT, STUB_TRAPPED, (long)&soon }, -EFAULT },
		{ "futex wait elsewhere", SYS_futex, { to, FUTEX_WAIT, STUB_TRAPPED, 0 }, -EFAULT },
		{ "futex wait bitset", SYS_futex, { turn, FUTEX_WAIT_BITSET, STUB_TRAPPED, 0, 0, -1 }, -EFAULT },
		{ "arch_prctl", SYS_arch_prctl, { 0x1003, to }, -EFAULT },
		{ "arch_prctl of gs", SYS_arch_prctl, { 0x1004, to }, -EFAULT },
		{ "arch_prctl cpuid", SYS_arch_prctl, { 0x1012, 0 }, ANY },
		{ "rt_sigprocmask", SYS_rt_sigprocmask, { 0, 0, to, 8 }, -EFAULT },
		{ "rt_sigaction", SYS_rt_sigaction, { SIGSEGV, 0, to, 8 }, -EFAULT },
		{ "rt_sigpending", SYS_rt_sigpending, { to, 8 }, -EFAULT },
		{ "sigaltstack", SYS_sigaltstack, { 0, to }, -EFAULT },
		{ "seccomp", SYS_seccomp, { 3, 0, to }, -EFAULT },
		{ "prctl", SYS_prctl, { 16, to }, -EFAULT },
		{ "getrandom", SYS_getrandom, { to, 8, 0 }, -EFAULT },
		{ "clock_gettime", SYS_clock_gettime, { 1, to }, -EFAULT },
		{ "uname", SYS_uname, { to }, -EFAULT },
		{ "getcwd", SYS_getcwd, { to, 100 }, -EFAULT },
		{ "times", SYS_times, { to }, -EFAULT },
		{ "sched_getaffinity", SYS_sched_getaffinity, { 0, 128, to }, -EFAULT },
		{ "x32 getpid", 0x40000000 + SYS_getpid, { 0 }, -ENOSYS },
		{ "x32 futex", 0x40000000 + SYS_futex, { turn, FUTEX_WAKE, 1 }, -ENOSYS },
		{ "x32 rt_sigreturn", 0x40000000 + 513, { 0 }, -ENOSYS },
		{ "no call", -1, { 0 }, -ENOSYS },
	};

	take_signals();
	for (int fd = 0; fd < 4; fd++)
		close(fd);
	refill_scratch();
	for (unsigned long at = (unsigned long)stub.code; at < (unsigned long)stub.code + PAGE - 2; at++) {
		if (*(unsigned short *)at != 0x050f)
			continue;
		shared->result[0]++;
		for (unsigned int i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
			const char *wrong = try(at, &calls[i]);

			if (wrong && !shared->result[1]++)
				snprintf((char *)shared->page, PAGE, "%s at +%#lx: %s", calls[i].name, at - (unsigned long)stub.code, wrong);
		}
	}
	shared->result[2] = can_read(hole) || can_write((long)stub.code) || can_write(orders) || !can_read(stub.end - PAGE);
	_exit(LANDED);
}

static void exit_at(long place)
{
	jump(place, &(struct registers) { .ax = SYS_exit_group, .di = LANDED, .r12 = LANDED, .flags = FLAGS });
}

/* Its system call is the guest's, or, at the instruction that returns from signals, no call at all. */
static void exits(void)
{
	int calls = 0, own = 0;

	for (unsigned long at = (unsigned long)stub.code; at < (unsigned long)stub.code + PAGE - 2; at++) {
		int status;

		if (*(unsigned short *)at != 0x050f)
			continue;
		status = attack(exit_at, at);
		calls++;
		own += status != ENDLESS && WIFEXITED(status) && WEXITSTATUS(status) == LANDED;
	}
	check_equal(own, calls, "exit_group at every system call instruction of the stub ends the guest process as the guest's own call does");
}

static void by_int80(long number)
{
	take_signals();
	FAULT_OF(asm volatile("int $0x80" : : "a"(number), "b"(1L), "c"(scratch()), "d"(8L), "S"(0L), "D"(0L) : "memory"));
	_exit(outcome.signo == SIGSEGV && outcome.ax == (unsigned long)number ? LANDED : 1);
}

static void by_sysenter(long number)
{
	asm volatile("mov %%rsp, %%rbp\n\tsysenter" : : "a"(number), "b"(LANDED + 1L), "c"(0L), "d"(0L) : "memory");
}

static void old_entries(void)
{
	int status;

	check_equal(attack(by_int80, 20), LANDED << 8, "int 0x80 is a fault, not a system call");
	status = attack(by_sysenter, 1);	/* exit of 32-bit code */
	check(status != ENDLESS && WIFSIGNALED(status), "sysenter is a fault, not a system call");
}

static void jumps(void)
{
	memset((void *)shared->result, 0, sizeof(shared->result));
	check_equal(attack(jump_everywhere, 0), LANDED << 8, "a process lives through jumps to all system call instructions of the stub");
	say("# %lu instructions; %lu jumps went wrong %s\n", shared->result[0], shared->result[1], (char *)shared->page);
	check(shared->result[0] > 5 && !shared->result[1],
	      "with arguments of the guest's, each makes the guest's call: none of them is the host's");
	check(!shared->result[2], "nothing was mapped, unmapped or made writable by them");
	exits();
	old_entries();
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

/* ---- 2. jumps to anywhere ---- */

static unsigned long seed = 88172645463325252UL;

static unsigned long next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

/* Small numbers, addresses of the stub and of its own memory, nonsense. */
static unsigned long nasty(void)
{
	static unsigned char own[PAGE];

	switch (next() % 5) {
	case 0:
		return next() % 16;
	case 1:
		return (unsigned long)stub.code + next() % (stub.end - (unsigned long)stub.code);
	case 2:
		return (unsigned long)own + next() % PAGE;
	case 3:
		return stub.orders->frame;
	default:
		return next();
	}
}

static void jump_anywhere(long seeds)
{
	struct registers registers;
	unsigned long *word = (unsigned long *)&registers;

	seed += seeds * 0x9e3779b97f4a7c15UL;
	if (setresuid(65534, 65534, 65534))
		_exit(1);
	for (unsigned int i = 0; i < sizeof(registers) / sizeof(*word); i++)
		word[i] = nasty();
	registers.flags = FLAGS | (next() & 0x40dd5);
	/* The guest's calls that this makes must harm nobody: most of the time none of its own choice. */
	registers.ax = next() % 2 ? SYS_getpid : SYS_rt_sigreturn;
	jump((unsigned long)stub.code + next() % ((unsigned long)stub.orders - (unsigned long)stub.code), &registers);
}

static void jump_randomly(int count)
{
	int ended = 0;

	for (int i = 0; i < count; i++) {
		int status = finish(begin(jump_anywhere, i), 20);

		ended += status != ENDLESS;
	}
	say("# %d of %d ended by themselves\n", ended, count);
	check_innocent("an innocent process goes on while others jump to random bytes of the stub with random registers", GAP_LIMIT_US);
}

/* ---- 3. memory ---- */

static void write_pages(long unused)
{
	take_signals();
	shared->result[0] = can_write((unsigned long)stub.code) + can_write((unsigned long)stub.orders) +
			    can_write((unsigned long)stub.orders + PAGE - 1);
	shared->result[1] = 0;
	for (unsigned long at = (unsigned long)stub.code - 256 * PAGE; at < stub.end + 256 * PAGE; at += PAGE)
		if (at < (unsigned long)stub.code || at >= stub.end)
			shared->result[1] += can_read(at);
	/* The image, modules, RAM and vmalloc space of ./linux (host/memory.h), and where programs usually are. */
	for (unsigned long at = 0x20000000; at < 0x70000000; at += 1024 * PAGE)
		shared->result[1] += can_read(at);
	for (unsigned long at = 0x100000000000; at < 0x300000000000; at += 0x4000000000 - PAGE)
		shared->result[1] += can_read(at);
	for (unsigned long at = 0x7ffffffff000; at > 0x7ffff0000000; at -= 256 * PAGE)
		shared->result[1] += can_read(at);
	for (int i = 0; i < 64; i++)
		shared->result[1] += can_read(-1UL << (i > 47 ? 47 : i) | 0xfff) && i > 36;
	_exit(LANDED);
}

static void scribble_everything(long value)
{
	memset((void *)stub.state, value, stub.end - (unsigned long)stub.state);
	for (int i = 0; i < 100; i++)
		getppid();
	memset((void *)stub.state, ~value, stub.end - (unsigned long)stub.state);
	raise(SIGSEGV);
}

static void change_stub(long unused)
{
	const unsigned long first = (unsigned long)stub.code - PAGE, size = stub.end - first + PAGE;
	int changed = 0;

	take_signals();
	for (unsigned long at = first; at < first + size; at += PAGE) {
		void *page = (void *)at;

		changed += mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
		changed += munmap(page, PAGE) == 0;
		changed += mremap(page, PAGE, PAGE, MREMAP_MAYMOVE) != MAP_FAILED;
		changed += madvise(page, PAGE, MADV_DONTNEED) == 0;
		changed += mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
	}
	changed += mmap((void *)first, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
	shared->result[0] = changed;
	shared->result[1] = can_read((unsigned long)stub.code) && !can_write((unsigned long)stub.orders);
	_exit(LANDED);
}

/* A stack that grows towards the stub from above cannot be; from below it ends at the end of user space. */
static void grow_down(long unused)
{
	volatile unsigned long top = (unsigned long)stub.code;
	char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);

	take_signals();
	shared->result[0] = mmap((void *)(stub.end + PAGE), PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0) != MAP_FAILED;
	/* Stack pointers at every edge of the stub's pages. */
	for (; at != MAP_FAILED && top <= stub.end; top += PAGE)
		FAULT_OF(asm volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tpush $1\n\tmov %%rbx, %%rsp" : : "r"(top) : "rbx", "memory"));
	_exit(LANDED);
}

static void unmap_all(long unused)
{
	for (unsigned long length = 1UL << 46; length; length >>= 1)
		syscall(SYS_munmap, 0, length);
	for (unsigned long at = 0; at < 0x7fff00000000; at += 1UL << 32)
		syscall(SYS_munmap, at, 1UL << 32);
}

static void memory(void)
{
	int status;

	check_equal(attack(write_pages, 0), LANDED << 8, "a process looks for memory that is not its own");
	check(!shared->result[0], "the stub's code and its orders cannot be written");
	check(!shared->result[1], "nothing but the stub's own pages can be read around it or at the host's addresses");
	for (int value = 0; value < 256; value += 0x33)
		check(attack(scribble_everything, value) != ENDLESS, "a process that fills the stub's state and signal stack harms itself at most");
	check_equal(attack(change_stub, 0), LANDED << 8, "a process tries to map, unmap, move and protect the stub's pages");
	check(!shared->result[0] && shared->result[1], "and changes nothing");
	status = attack(grow_down, 0);
	check(status == LANDED << 8 && !shared->result[0], "no stack grows into the stub");
	check(died_of(attack(unmap_all, 0), SIGSEGV), "a process that unmaps all of its address space dies, and only it");
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

/* ---- 4. areas of the host ---- */

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#define AREAS 70000UL			/* more than the host gives a process */

/* Each page of it that was read is the page of zeros: an area of its own on the host, and no memory. */
static void exhaust(long unused)
{
	volatile char *at = mmap(NULL, AREAS * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned long sum = 0;

	if (at == MAP_FAILED || madvise((void *)at, AREAS * PAGE, MADV_NOHUGEPAGE) || madvise((void *)at, AREAS * PAGE, MADV_POPULATE_READ))
		_exit(1);
	for (unsigned long i = 0; i < AREAS; i++)
		sum += at[i * PAGE];
	_exit(sum ? 2 : LANDED);
}

static void areas(void)
{
	enum { COUNT = 2 };
	pid_t children[COUNT];
	int done = 0;

	say("# areas\n");	/* hostile-guest.t looks at no mappings from here on, so many are they */
	for (int i = 0; i < COUNT; i++)
		children[i] = begin(exhaust, 0);
	for (int i = 0; i < COUNT; i++)
		done += finish(children[i], 300000) == LANDED << 8;
	check_equal(done, COUNT, "two processes use up the host's areas at once, and finish");
	check_innocent("an innocent process maps memory meanwhile", 10 * GAP_LIMIT_US);
}

int main(int argc, char **argv)
{
	int status, seconds = argc > 4 ? atoi(argv[4]) : 0;
	pid_t innocent;

	if (argc < 4) {
		check_skip("attacks on the seccomp engine's stub", "there is none here");
		return check_done();
	}
	host_path = argv[2];
	host_pid = atol(argv[3]);
	if (!find_stub(argv[1])) {
		check(0, "the stub is where stub_base= puts it");
		return check_done();
	}
	innocent = start_innocent();
	check(kill(host_pid, 0) && errno == ESRCH, "the host's process id is nobody's here");
	jumps();
	jump_randomly(seconds ? seconds * 20 : 60);
	memory();
	areas();
	shared->stop = 1;
	waitpid(innocent, &status, 0);
	check_equal(status, 0, "the innocent process finishes its work");
	return check_done();
}
