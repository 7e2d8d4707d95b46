// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest program inside the seccomp engine's stub (docs/security/model.md, G1): jumps to
 * each system call instruction of the stub, and to a copy of the stub in its own memory, at an
 * address with the same lower half.
 *
 *	hostile_calls <base> <path of the host> <process id of the host>
 *
 * What is jumped with is traced in the guest (ptrace(2)): a system call that the guest's kernel
 * makes is seen to begin and to end, and has the guest's result; one that the host makes is not
 * seen. Where results are stored, the address is one that only the host can reach. hostile-guest.t
 * watches the path and the process.
 */
#include "hostile.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>

#define ANY	1			/* no call here returns it */
#define SKIPPED	2			/* seen to begin, but not made */
#define SET_FS	0x1002			/* arch_prctl(2) */
#define SET_GS	0x1001

static const char *host_path;
static long host_pid;

/* The system call instruction of the page at or behind address; 0: none. */
static unsigned long next_call(unsigned long at)
{
	for (; (at & (PAGE - 1)) < PAGE - 2; at++)
		if (*(unsigned short *)at == 0x050f)
			return at;
	return 0;
}

/* ---- 1. calls, traced ---- */

struct call {
	const char *name;
	long number, arguments[6];
	long wanted;			/* what the guest's kernel answers */
	unsigned int own; /* offset of the stub's instruction that may make it on the host; 0: none */
};

static pid_t traced;
static struct user_regs_struct start;	/* as it was when it stopped first */

static void on_alarm(int signo)
{
}

/* Waits for its next stop, for two seconds. */
static int next_stop(void)
{
	static const struct itimerval limit = { { 0, 100000 }, { 2, 0 } }, none;
	int status = 0;
	pid_t stopped;

	setitimer(ITIMER_REAL, &limit, NULL);
	stopped = waitpid(traced, &status, 0);
	setitimer(ITIMER_REAL, &none, NULL);
	return stopped == traced ? status : ENDLESS;
}

static int goes_to_call(struct user_regs_struct *regs)
{
	return !ptrace(PTRACE_SETREGS, traced, 0, regs) && !ptrace(PTRACE_SYSCALL, traced, 0, 0) &&
	       next_stop() == ((SIGTRAP | 0x80) << 8 | 0x7f) &&
	       !ptrace(PTRACE_GETREGS, traced, 0, regs);
}

/* A jump to place with a call's registers; what was wrong, or NULL. */
static const char *try(unsigned long place, const struct call *call)
{
	const long *a = call->arguments;
	struct user_regs_struct regs = start;

	regs.rip = place;
	regs.rsp = (long)stub.state + 3072;	/* where only the host reads a signal frame */
	regs.orig_rax = -1;
	regs.rax = call->number;
	regs.rdi = a[0], regs.rsi = a[1], regs.rdx = a[2], regs.r10 = a[3], regs.r8 = a[4],
	regs.r9 = a[5];
	if (!goes_to_call(&regs))
		return "the guest's kernel sees no call";
	if (regs.orig_rax != (unsigned long)call->number || regs.rip != place + 2)
		return "the guest's kernel sees another call";
	if (call->wanted == SKIPPED)
		regs.orig_rax = -1;
	if (!goes_to_call(&regs))
		return "the call does not end";
	if (call->wanted != ANY && call->wanted != SKIPPED &&
	    regs.rax != (unsigned long)call->wanted) {
		say("# %s: %ld instead of %ld\n", call->name, (long)regs.rax, call->wanted);
		return "not the guest's answer";
	}
	return NULL;
}

/* Stops, to be led to calls; looks at last what they have done. */
static void be_traced(long hole)
{
	for (int fd = 0; fd < 4; fd++)
		close(fd);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	take_signals();
	_exit(can_read(hole) || can_write((unsigned long)stub.code) ||
			      can_write((unsigned long)stub.control) || !can_read(stub.end - PAGE) ?
		      1 :
		      LANDED);
}

static void begin_traced(long hole)
{
	traced = begin(be_traced, hole);
	need(WIFSTOPPED(next_stop()));
	need(!ptrace(PTRACE_SETOPTIONS, traced, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	need(!ptrace(PTRACE_GETREGS, traced, 0, &start));
}

static int end_traced(void)
{
	if (ptrace(PTRACE_SETREGS, traced, 0, &start) || ptrace(PTRACE_DETACH, traced, 0, 0))
		kill(traced, SIGKILL);
	return finish(traced, LIMIT_MS);
}

static const unsigned long hole_behind = 64 * PAGE;

static unsigned long call_everywhere(unsigned long page, int *wrong)
{
	long owner = (long)&stub.state->owner, to = (long)stub.state + 2048,
	     control = (long)stub.control, hole = stub.end + hole_behind;
	static struct timespec soon = { 0, 1000 };
	static char *none[] = { NULL };
	const struct call calls[] = {
		{ "getpid", SYS_getpid, { 0 }, traced, 0 },
		{ "gettid", SYS_gettid, { 0 }, traced, 0 },
		{ "read", SYS_read, { 0, to, 8 }, -EBADF, 0 },
		{ "write", SYS_write, { 1, (long)&soon, 8 }, -EBADF, 0 },
		{ "pwrite", SYS_pwrite64, { 0, (long)&soon, 8, 0 }, -EBADF, 0 },
		{ "fstat 0", SYS_fstat, { 0, to }, -EBADF, 0 },
		{ "fstat 1", SYS_fstat, { 1, to }, -EBADF, 0 },
		{ "fstat 2", SYS_fstat, { 2, to }, -EBADF, 0 },
		{ "fstat 3", SYS_fstat, { 3, to }, -EBADF, 0 },
		{ "openat",
		  SYS_openat,
		  { AT_FDCWD, (long)host_path, O_CREAT | O_RDWR, 0600 },
		  -ENOENT,
		  0 },
		{ "mkdir", SYS_mkdir, { (long)host_path, 0700 }, -ENOENT, 0 },
		{ "unlink", SYS_unlink, { (long)host_path }, -ENOENT, 0 },
		{ "execve",
		  SYS_execve,
		  { (long)"/proc/self/exe/no", (long)none, (long)none },
		  -ENOTDIR,
		  0 },
		{ "mmap",
		  SYS_mmap,
		  { hole, PAGE, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0 },
		  -ENOMEM,
		  0 },
		{ "mmap of RAM",
		  SYS_mmap,
		  { hole, PAGE, 3, MAP_SHARED | MAP_FIXED | MAP_POPULATE, STUB_FD_RAM, 0 },
		  -EBADF,
		  0 },
		{ "munmap", SYS_munmap, { stub.end - PAGE, PAGE }, -EINVAL, 0 },
		{ "mprotect", SYS_mprotect, { control, PAGE, PROT_READ | PROT_WRITE }, -ENOMEM, 0 },
		{ "mremap",
		  SYS_mremap,
		  { control, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hole },
		  ANY,
		  0 },
		{ "madvise", SYS_madvise, { (long)stub.state, PAGE, MADV_REMOVE }, ANY, 0 },
		{ "brk", SYS_brk, { 0 }, (long)sbrk(0), 0 },
		{ "kill", SYS_kill, { host_pid, SIGKILL }, -ESRCH, 0 },
		{ "tkill", SYS_tkill, { host_pid, SIGKILL }, -ESRCH, 0 },
		{ "ptrace", SYS_ptrace, { 16, host_pid }, -ESRCH, 0 },
		{ "process_vm_readv",
		  SYS_process_vm_readv,
		  { host_pid, (long)none, 0, (long)none, 0, 0 },
		  ANY,
		  0 },
		{ "process_vm_writev",
		  SYS_process_vm_writev,
		  { host_pid, (long)none, 0, (long)none, 0, 0 },
		  ANY,
		  0 },
		{ "socketpair", SYS_socketpair, { 1, 1, 0, to }, -EFAULT, 0 },
		{ "pipe", SYS_pipe, { to }, -EFAULT, 0 },
		{ "futex wake 4 GiB further",
		  SYS_futex,
		  { owner + (1L << 32), FUTEX_WAKE, 1 },
		  ANY,
		  0 },
		{ "futex wake elsewhere", SYS_futex, { to, FUTEX_WAKE, 1 }, -EFAULT, 0 },
		{ "futex wake all", SYS_futex, { owner, FUTEX_WAKE, 0x7fffffff }, -EFAULT, 0 },
		{ "futex private wake",
		  SYS_futex,
		  { owner, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1 },
		  -EFAULT,
		  0 },
		{ "futex wake op", SYS_futex, { owner, FUTEX_WAKE_OP, 1, 1, to, 0 }, -EFAULT, 0 },
		{ "futex requeue", SYS_futex, { owner, FUTEX_REQUEUE, 0, 1, to, 0 }, -EFAULT, 0 },
		{ "futex compare and requeue",
		  SYS_futex,
		  { owner, FUTEX_CMP_REQUEUE, 0, 1, to, 0 },
		  -EFAULT,
		  0 },
		{ "futex lock", SYS_futex, { owner, FUTEX_LOCK_PI, 0, 0 }, -EFAULT, 0 },
		{ "futex wait for another value",
		  SYS_futex,
		  { owner, FUTEX_WAIT, 0, 0 },
		  -EFAULT,
		  0 },
		{ "futex wait with a limit",
		  SYS_futex,
		  { owner, FUTEX_WAIT, STUB_TRAPPED, (long)&soon },
		  -EFAULT,
		  0 },
		{ "futex wait with a limit at 4 GiB",
		  SYS_futex,
		  { owner, FUTEX_WAIT, STUB_TRAPPED, 1L << 32 },
		  -EFAULT,
		  0 },
		{ "futex wait elsewhere",
		  SYS_futex,
		  { to, FUTEX_WAIT, STUB_TRAPPED, 0 },
		  -EFAULT,
		  0 },
		{ "futex wait bitset",
		  SYS_futex,
		  { owner, FUTEX_WAIT_BITSET, STUB_TRAPPED, 0, 0, -1 },
		  -EFAULT,
		  0 },
		{ "arch_prctl", SYS_arch_prctl, { 0x1003, to }, -EFAULT, 0 },
		{ "arch_prctl of gs", SYS_arch_prctl, { 0x1004, to }, -EFAULT, 0 },
		{ "arch_prctl cpuid", SYS_arch_prctl, { 0x1012, 0 }, ANY, 0 },
		{ "rt_sigprocmask", SYS_rt_sigprocmask, { 0, 0, to, 8 }, -EFAULT, 0 },
		{ "rt_sigaction", SYS_rt_sigaction, { SIGSEGV, 0, to, 8 }, -EFAULT, 0 },
		{ "rt_sigpending", SYS_rt_sigpending, { to, 8 }, -EFAULT, 0 },
		{ "sigaltstack", SYS_sigaltstack, { 0, to }, -EFAULT, 0 },
		{ "seccomp", SYS_seccomp, { 3, 0, to }, -EFAULT, 0 },
		{ "prctl", SYS_prctl, { 16, to }, -EFAULT, 0 },
		{ "prctl for the TSC's mode", SYS_prctl, { PR_GET_TSC, to }, -EFAULT, 0 },
		{ "prctl with no mode of the TSC", SYS_prctl, { PR_SET_TSC, 3 }, -EINVAL, 0 },
		{ "getrandom", SYS_getrandom, { to, 8, 0 }, -EFAULT, 0 },
		{ "clock_gettime", SYS_clock_gettime, { 1, to }, -EFAULT, 0 },
		{ "uname", SYS_uname, { to }, -EFAULT, 0 },
		{ "getcwd", SYS_getcwd, { to, 100 }, -EFAULT, 0 },
		{ "times", SYS_times, { to }, -EFAULT, 0 },
		{ "sched_getaffinity", SYS_sched_getaffinity, { 0, 128, to }, -EFAULT, 0 },
		{ "x32 getpid", 0x40000000 + SYS_getpid, { 0 }, -ENOSYS, 0 },
		{ "x32 futex", 0x40000000 + SYS_futex, { owner, FUTEX_WAKE, 1 }, -ENOSYS, 0 },
		{ "x32 rt_sigreturn", 0x40000000 + 513, { 0 }, -ENOSYS, 0 },
		{ "no call", -1, { 0 }, -ENOSYS, 0 },
		/* What the stub does, and may do, at one place each. */
		{ "the stub's wake",
		  SYS_futex,
		  { owner, FUTEX_WAKE, 1 },
		  -EFAULT,
		  stub.entries.sys_wake },
		{ "the stub's wait",
		  SYS_futex,
		  { owner, FUTEX_WAIT, STUB_TRAPPED },
		  -EFAULT,
		  stub.entries.sys_wait },
		{ "the stub's return", SYS_rt_sigreturn, { 0 }, SKIPPED, stub.entries.sys_return },
		{ "the stub's TSC",
		  SYS_prctl,
		  { PR_SET_TSC, PR_TSC_ENABLE },
		  0,
		  stub.entries.sys_tsc },
		{ "the stub's fs",
		  SYS_arch_prctl,
		  { SET_FS, 0 },
		  SKIPPED,
		  stub.control->fsgsbase ? 0 : stub.entries.sys_fs },
		{ "the stub's gs",
		  SYS_arch_prctl,
		  { SET_GS, 0 },
		  SKIPPED,
		  stub.control->fsgsbase ? 0 : stub.entries.sys_gs },
	};

	unsigned long count = 0;

	for (unsigned long at = next_call(page); at; at = next_call(at + 1), count++) {
		for (unsigned int i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
			const char *what;

			if (calls[i].own && at == (unsigned long)stub.code + calls[i].own)
				continue;
			what = try(at, &calls[i]);
			if (!what)
				continue;
			say("# %s at +%#lx of %#lx: %s\n", calls[i].name, at - page, page, what);
			kill(traced, SIGKILL);
			finish(traced, LIMIT_MS);
			*wrong = 1;
			return count;
		}
	}
	return count;
}

/* Jumps to the calls of a page, until one goes wrong. */
static void check_calls(unsigned long page, const char *sentence)
{
	unsigned long count;
	int wrong = 0;

	shared->rest = 1;		/* there are some thousand */
	begin_traced(stub.end + hole_behind);
	count = call_everywhere(page, &wrong);
	say("# %lu instructions were tried\n", count);
	check(count > 5 && !wrong, sentence);
	if (!wrong)
		check_equal(end_traced(), LANDED << 8,
			    "and nothing was mapped, unmapped or made writable by them");
	shared->rest = 0;
}

/* A copy of the stub's page, at an address with the same lower half. */
static unsigned long copy_stub(void)
{
	unsigned long at = 0x500000000 | ((unsigned long)stub.code & 0xffffffff);

	need(mmap((void *)at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == (void *)at);
	memcpy((void *)at, stub.code, PAGE);
	return at;
}

static void calls(void)
{
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	check_calls(
		(unsigned long)stub.code,
		"each system call instruction of the stub makes the guest's call but for the one that it is there for");
	check_calls(copy_stub(), "calls as the stub makes them are the guest's elsewhere");
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

/* ---- 2. ends and other ways to call ---- */

static void exit_at(long place)
{
	jump(place, &(struct registers){
			    .ax = SYS_exit_group, .di = LANDED, .r12 = LANDED, .flags = FLAGS });
}

static void exits(void)
{
	int calls = 0, own = 0;

	for (unsigned long at = next_call((unsigned long)stub.code); at; at = next_call(at + 1)) {
		int status = attack(exit_at, at);

		calls++;
		own += status != ENDLESS && WIFEXITED(status) && WEXITSTATUS(status) == LANDED;
	}
	check_equal(
		own, calls,
		"exit_group at every system call instruction of the stub ends the guest process as the guest's own call does");
}

static void by_int80(long number)
{
	take_signals();
	FAULT_OF(asm volatile("int $0x80"
			      :
			      : "a"(number), "b"(1L), "c"(stub.state), "d"(8L), "S"(0L), "D"(0L)
			      : "memory"));
	_exit(outcome.signo == SIGSEGV && outcome.ax == (unsigned long)number ? LANDED : 1);
}

static void by_sysenter(long number)
{
	asm volatile("mov %%rsp, %%rbp\n\tsysenter"
		     :
		     : "a"(number), "b"(LANDED + 1L), "c"(0L), "d"(0L)
		     : "memory");
}

static void old_entries(void)
{
	int status;

	check_equal(attack(by_int80, 20), LANDED << 8, "int 0x80 is a fault, not a system call");
	status = attack(by_sysenter, 1);	/* exit of 32-bit code */
	check(status != ENDLESS && WIFSIGNALED(status), "sysenter is a fault, not a system call");
}

/* ---- 3. new processes that begin in the stub ---- */

static const struct clone_kind {
	long number, flags;
} kinds[] = {
	{ SYS_fork, 0 },
	{ SYS_vfork, 0 },
	{ SYS_clone, SIGCHLD },
	{ SYS_clone, CLONE_VM | SIGCHLD },
	{ SYS_clone,
	  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM },
	{ SYS_clone3, 0 },
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static unsigned long clone_place;

/*
 * Parent and child go on in the stub, where most of them end up in a loop; some call again and
 * again.
 */
static void clone_at_place(long kind)
{
	static struct clone_args arguments = { .exit_signal = SIGCHLD };
	static char stack[PAGE];
	struct registers registers = { .ax = kinds[kind].number,
				       .di = kinds[kind].flags,
				       .sp = (unsigned long)stack + PAGE / 2,
				       .flags = FLAGS };
	struct rlimit few = { 20, 20 };

	setpgid(0, 0);
	if (kinds[kind].number == SYS_clone3) {
		registers.di = (unsigned long)&arguments;
		registers.si = sizeof(arguments);
	}
	if (setrlimit(RLIMIT_NPROC, &few) || setresuid(65534, 65534, 65534))
		_exit(1);
	jump(clone_place, &registers);
}

/* All of the group that child leads, which may have children of its own. */
static int end_group(pid_t child)
{
	int ended = 0;

	setpgid(child, child);
	kill(-child, SIGKILL);
	while (waitpid(-child, NULL, 0) > 0)
		ended++;
	return ended;
}

static void clones(void)
{
	int ended = 0, begun = 0, odd = 0;

	need(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	for (clone_place = next_call((unsigned long)stub.code); clone_place;
	     clone_place = next_call(clone_place + 1), odd = !odd) {
		pid_t children[KINDS];

		/* One half of the kinds, then the other. */
		for (unsigned int i = odd; i < KINDS; i += 2)
			children[i] = begin(clone_at_place, i);
		sleep_us(10000);
		for (unsigned int i = odd; i < KINDS; i += 2, begun++)
			ended += end_group(children[i]);
	}
	say("# %d processes made %d more\n", begun, ended - begun);
	check(ended > begun, "processes begin at the system call instructions of the stub");
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

int main(int argc, char **argv)
{
	pid_t innocent;
	int status;

	if (argc < 4) {
		check_skip("system calls in the seccomp engine's stub", "there is none here");
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
	calls();
	exits();
	old_entries();
	clones();
	shared->stop = 1;
	waitpid(innocent, &status, 0);
	check_equal(status, 0, "the innocent process finishes its work");
	return check_done();
}
