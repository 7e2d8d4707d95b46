// SPDX-License-Identifier: GPL-2.0-only
/*
 * ptrace, seccomp and core dumps inside the guest: what gdb and strace stand on.
 *
 * Tracees are forked from this program and run small pieces of assembly whose instructions and
 * addresses are known.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "check.h"
#include "seccomp.h"
#include "xstate.h"

#define SYSEMU 31
#define SYSEMU_SINGLESTEP 32

static pid_t start(void (*body)(void))
{
	pid_t child = fork();
	int status;

	need(child >= 0);
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		body();
		_exit(0);
	}
	need(waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
	     WSTOPSIG(status) == SIGSTOP);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	return child;
}

static int go(pid_t child, int request, int sig)
{
	int status = -1;

	need(ptrace(request, child, 0, sig) == 0);
	need(waitpid(child, &status, 0) == child);
	return status;
}

static int stopped_by(int status, int sig)
{
	return WIFSTOPPED(status) && WSTOPSIG(status) == sig;
}

static void finish(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Eight instructions between the labels, one of them a system call. */
void stepped(void);
extern char step_0[], step_1[], step_2[], step_3[], step_4[], step_5[], step_6[], step_end[];
asm(".text\nstepped:\n"
"	int3\n"
"step_0:	mov $39, %eax\n"		/* getpid */
"step_1:	syscall\n"
"step_2:	mov $3, %ecx\n"
"step_3:	dec %ecx\n"
"	jnz step_3\n"
"step_4:	pushfq\n"
"step_5:	pop %rdx\n"
"step_6:	nop\n"
"step_end:	int3\n"
"	ret\n");

static void single_steps(void)
{
	static char *const path[] = { step_1, step_2, step_3, NULL,   step_3, NULL,
				      step_3, NULL,   step_4, step_5, step_6, step_end };
	struct user_regs_struct regs;
	pid_t child = start(stepped);
	int status = go(child, PTRACE_CONT, 0), good = 1;
	siginfo_t info;

	ptrace(PTRACE_GETREGS, child, 0, &regs);
	check(stopped_by(status, SIGTRAP) && regs.rip == (unsigned long)step_0,
	      "a breakpoint stops after its int3");
	for (unsigned int i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		status = go(child, PTRACE_SINGLESTEP, 0);
		ptrace(PTRACE_GETREGS, child, 0, &regs);
		if (!stopped_by(status, SIGTRAP) ||
		    (path[i] && regs.rip != (unsigned long)path[i])) {
			say("# step %u: status %#x, at %#llx, wanted %p\n", i, status, regs.rip,
			    path[i]);
			good = 0;
			break;
		}
		if (path[i] == step_2)
			good &= regs.rax == (unsigned long)child;
	}
	check(good, "single steps stop at each instruction, system calls and loops included");
	check((regs.eflags & 0x100) == 0,
	      "the trap flag of a single step does not show in the tracee's registers");
	ptrace(PTRACE_GETSIGINFO, child, 0, &info);
	check(info.si_signo == SIGTRAP && info.si_code == TRAP_TRACE, "a step's signal says TRACE");
	finish(child);
}

static void loop_of_calls(void)
{
	for (;;)
		if (syscall(SYS_getppid, 1, 2, 3, 4, 5, 6) == 777)
			_exit(7);
}

static void system_calls(void)
{
	struct user_regs_struct regs;
	struct __ptrace_syscall_info info;
	pid_t child = start(loop_of_calls);
	int status = go(child, PTRACE_SYSCALL, 0);

	ptrace(PTRACE_GETREGS, child, 0, &regs);
	while (regs.orig_rax != SYS_getppid) {		/* raise's own end may come first */
		status = go(child, PTRACE_SYSCALL, 0);
		ptrace(PTRACE_GETREGS, child, 0, &regs);
	}
	if (regs.rax != (unsigned long)-ENOSYS) {
		status = go(child, PTRACE_SYSCALL, 0);
		ptrace(PTRACE_GETREGS, child, 0, &regs);
	}
	check(stopped_by(status, SIGTRAP | 0x80) && regs.rax == (unsigned long)-ENOSYS &&
		      regs.rdi == 1 && regs.r9 == 6,
	      "a call stops at entry with its number and arguments");
	need(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) > 0);
	check(info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_getppid &&
		      info.entry.args[5] == 6 && info.arch == AUDIT_ARCH_X86_64,
	      "PTRACE_GET_SYSCALL_INFO tells the same");
	status = go(child, PTRACE_SYSCALL, 0);
	ptrace(PTRACE_GETREGS, child, 0, &regs);
	check(stopped_by(status, SIGTRAP | 0x80) && (pid_t)regs.rax == getpid(),
	      "and at exit with its result");
	status = go(child, PTRACE_SYSCALL, 0);
	ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, orig_rax), SYS_getpid);
	status = go(child, PTRACE_SYSCALL, 0);
	check(ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, rax), 0) == child,
	      "another number at entry makes another call");
	status = go(child, PTRACE_SYSCALL, 0);
	ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, orig_rax), -1L);
	status = go(child, PTRACE_SYSCALL, 0);
	errno = 0;
	check(ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, rax), 0) == -ENOSYS,
	      "number -1 at entry makes none");
	ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, rax), 777);
	status = go(child, PTRACE_CONT, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 7,
	      "another result at exit is what the tracee sees");

	child = start(loop_of_calls);
	if (ptrace(SYSEMU, child, 0, 0)) {
		check(0, "PTRACE_SYSEMU stops at entry and makes no call");
	} else {
		need(waitpid(child, &status, 0) == child);
		ptrace(PTRACE_GETREGS, child, 0, &regs);
		while (regs.orig_rax != SYS_getppid) {
			status = go(child, SYSEMU, 0);
			ptrace(PTRACE_GETREGS, child, 0, &regs);
		}
		regs.rax = 777;
		ptrace(PTRACE_SETREGS, child, 0, &regs);
		status = go(child, PTRACE_CONT, 0);
		check(WIFEXITED(status) && WEXITSTATUS(status) == 7,
		      "PTRACE_SYSEMU stops at entry and makes no call");
	}
	finish(child);
}

/* Register sets */

void marked(void);
asm(".text\nmarked:\n"
"	mov $0x1111, %rbx; mov $0x2222, %r12\n"
"	mov $0x4455667788, %rax; movq %rax, %xmm3\n"
"	int3\n"
"	movq %xmm4, %rdi; add %r13, %rdi\n"
"	mov $231, %eax\n"			/* exit_group */
"	syscall\n");

static void register_sets(void)
{
	struct user_regs_struct regs = { 0 };
	struct user_fpregs_struct fp = { 0 };
	static char extended[32768];
	struct iovec area = { &regs, sizeof(regs) };
	uint64_t value, features;
	pid_t child = start(marked);
	int status = go(child, PTRACE_CONT, 0);

	need(stopped_by(status, SIGTRAP));
	check(ptrace(PTRACE_GETREGSET, child, NT_PRSTATUS, &area) == 0 &&
		      area.iov_len == sizeof(regs) && regs.rbx == 0x1111 && regs.r12 == 0x2222 &&
		      regs.cs == 0x33 && regs.ss == 0x2b,
	      "NT_PRSTATUS gives the general registers");
	area = (struct iovec){ &fp, sizeof(fp) };
	check(ptrace(PTRACE_GETREGSET, child, NT_PRFPREG, &area) == 0 &&
		      area.iov_len == sizeof(fp) && fp.xmm_space[12] == 0x55667788 &&
		      fp.xmm_space[13] == 0x44 && fp.mxcsr == 0x1f80 && fp.cwd == 0x37f,
	      "NT_PRFPREG gives xmm and the control words");
	memset(&fp, 0, sizeof(fp));
	check(ptrace(PTRACE_GETFPREGS, child, 0, &fp) == 0 && fp.xmm_space[12] == 0x55667788,
	      "PTRACE_GETFPREGS gives the same");
	area = (struct iovec){ extended, sizeof(extended) };
	need(ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &area) == 0);
	memcpy(&value, extended + 160 + 3 * 16, 8);
	memcpy(&features, extended + 464, 8);
	check(area.iov_len == xstate_size(features) && value == 0x4455667788,
	      "NT_X86_XSTATE gives the extended state in the size that CPUID says");
	/* Tile data is no loss where nobody can ask for it. */
	check(features == xstate_on() || features == (xstate_on() & ~XSTATE_TILEDATA),
	      "and tells XCR0 in it");
	value = 40;
	memcpy(extended + 160 + 4 * 16, &value, 8);
	memset(extended + 512, 0, 8);
	extended[512] = 3;
	check(ptrace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &area) == 0,
	      "NT_X86_XSTATE can be set");
	memset(extended + 512 + 8, 1, 8);
	check(ptrace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &area) == -1,
	      "but not to what the CPU would refuse");
	check(ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, r13), 2) == 0,
	      "PTRACE_POKEUSER sets a register");
	check(ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, r13), 0) == 2,
	      "and PTRACE_PEEKUSER reads it");
	check(ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, cs), 0x10) == -1,
	      "a kernel's code segment is refused");
	check(ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, fs_base),
		     0x8000000000000000) == -1,
	      "an fs base beyond user space is refused");
	ptrace(PTRACE_GETREGS, child, 0, &regs);
	value = regs.fs_base;
	regs.gs_base = 0x5000;
	need(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
	ptrace(PTRACE_GETREGS, child, 0, &regs);
	check(value != 0 && regs.fs_base == value && regs.gs_base == 0x5000,
	      "segment bases are read and set");
	/*
	 * Descriptors that are not there: of the local table, of a program that has set none, and
	 * beyond the global one.
	 */
	check(ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, gs), 7) == 0 &&
		      ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, ds), 0x6b) ==
			      0 &&
		      ptrace(PTRACE_POKEUSER, child, offsetof(struct user_regs_struct, es),
			     0xfffb) == 0,
	      "selectors that do not load can be set");
	status = go(child, PTRACE_CONT, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 42,
	      "the tracee runs on with what was set");
}

/*
 * What a debugger does: write a breakpoint into code, take it out again, look at children and
 * exec.
 */

static __attribute__((noinline)) int target(int value)
{
	asm volatile("" : : : "memory");
	return value + 1;
}

static void calls_target(void)
{
	_exit(target(4) == 5 ? 6 : 1);
}

static void breakpoints(void)
{
	struct user_regs_struct regs;
	pid_t child = start(calls_target);
	long text = ptrace(PTRACE_PEEKTEXT, child, target, 0);
	int status;

	need(ptrace(PTRACE_POKETEXT, child, target, (text & ~0xffL) | 0xcc) == 0);
	status = go(child, PTRACE_CONT, 0);
	ptrace(PTRACE_GETREGS, child, 0, &regs);
	check(stopped_by(status, SIGTRAP) && regs.rip == (unsigned long)target + 1 &&
		      target(1) == 2,
	      "a breakpoint written into a tracee's code stops it, and not us");
	need(ptrace(PTRACE_POKETEXT, child, target, text) == 0);
	regs.rip--;
	need(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
	status = go(child, PTRACE_CONT, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 6, "taken out again the tracee runs on");
}

static void forks(void)
{
	pid_t child = fork();

	if (!child)
		_exit(3);
	waitpid(child, NULL, 0);
	execl("/proc/self/exe", "trace", "exit", NULL);
	_exit(1);
}

static void events(void)
{
	pid_t child = start(forks);
	unsigned long message = 0;
	int status;

	ptrace(PTRACE_SETOPTIONS, child, 0,
	       PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
	status = go(child, PTRACE_CONT, 0);
	ptrace(PTRACE_GETEVENTMSG, child, 0, &message);
	check(status >> 8 == (SIGTRAP | PTRACE_EVENT_FORK << 8) && message > 0,
	      "a fork is told, with the child's pid");
	waitpid(message, &status, __WALL);
	ptrace(PTRACE_DETACH, message, 0, 0);
	status = go(child, PTRACE_CONT, 0);
	if (stopped_by(status, SIGCHLD))
		status = go(child, PTRACE_CONT, SIGCHLD);
	check(status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8), "an exec is told");
	status = go(child, PTRACE_CONT, 0);
	check(status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8),
	      "an exit is told before it happens");
	status = go(child, PTRACE_CONT, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 9, "and then happens");
}

static void spin(void)
{
	for (;;)
		asm volatile("pause");
}

static void attaching(void)
{
	struct user_regs_struct regs;
	pid_t child = fork();
	int status;

	if (!child)
		spin();
	usleep(10000);
	need(ptrace(PTRACE_SEIZE, child, 0, 0) == 0 && ptrace(PTRACE_INTERRUPT, child, 0, 0) == 0);
	need(waitpid(child, &status, 0) == child);
	check(status >> 8 == (SIGTRAP | PTRACE_EVENT_STOP << 8),
	      "a running process is seized and interrupted");
	check(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0 && regs.orig_rax == (unsigned long)-1,
	      "it was in no system call");
	ptrace(PTRACE_DETACH, child, 0, 0);
	need(ptrace(PTRACE_ATTACH, child, 0, 0) == 0);
	waitpid(child, &status, 0);
	check(stopped_by(status, SIGSTOP), "and attached to once more");
	status = go(child, PTRACE_CONT, SIGTERM);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM,
	      "a signal given with PTRACE_CONT kills it");
}

/* seccomp */

static void filter(unsigned int call, unsigned int action)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog all = { sizeof(program) / sizeof(program[0]), program };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all))
		_exit(50);
}

static siginfo_t trapped;

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	trapped = *info;
}

static void filtered_errno(void)
{
	filter(SYS_getppid, SECCOMP_RET_ERRNO | 77);
	_exit(syscall(SYS_getppid) == -1 && errno == 77 && syscall(SYS_getpid) > 0 ? 0 : 1);
}

static void filtered_trap(void)
{
	struct sigaction action = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &action, NULL);
	filter(SYS_getppid, SECCOMP_RET_TRAP | 5);
	syscall(SYS_getppid);
	_exit(trapped.si_signo == SIGSYS && trapped.si_syscall == SYS_getppid &&
			      trapped.si_arch == AUDIT_ARCH_X86_64 && trapped.si_errno == 5 &&
			      trapped.si_call_addr ?
		      0 :
		      1);
}

static void filtered_kill(void)
{
	filter(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
	syscall(SYS_getppid);
}

static void strict(void)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0))
		_exit(50);
	syscall(SYS_getppid);
}

static int status_of(void (*body)(void))
{
	struct rlimit none = { 0, 0 };
	pid_t child = fork();
	int status;

	if (!child) {
		setrlimit(RLIMIT_CORE, &none);
		body();
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status;
}

static void seccomp_filters(void)
{
	int status;

	/* With filters, it is the address that is wrong. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 && errno == EINVAL) {
		check_skip("seccomp filters", "this kernel is built without SECCOMP_FILTER");
		return;
	}
	check_equal(status_of(filtered_errno), 0,
		    "a seccomp filter makes a call fail with its errno");
	check_equal(status_of(filtered_trap), 0,
		    "a seccomp filter sends SIGSYS with the call's number and address");
	status = status_of(filtered_kill);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "a seccomp filter kills");
}

static void seccomp(void)
{
	int status;

	seccomp_filters();
	if (!has_seccomp()) {
		check_skip("strict seccomp kills", NO_SECCOMP);
		return;
	}
	status = status_of(strict);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "strict seccomp kills");
}

/* Core dumps */

static char mark[] = "written in the dumped process";

static void dump(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_CORE, &all);
	mark[0] = 'W';
	asm volatile(
		"mov $0x0123456789abcdef, %%rbx\n\tmov $0x77, %%r15\n\tmov $0x33445566, %%eax\n\tmovd %%eax, %%xmm6\n\t"
		".globl dump_here\ndump_here:\tud2"
		:
		:
		: "rbx", "r15", "rax", "xmm6");
}
extern char dump_here[];

static int read_core(const char *path)
{
	Elf64_Ehdr *elf;
	Elf64_Phdr *segments;
	struct elf_prstatus *status = NULL;
	struct user_fpregs_struct *fp = NULL;
	int fd = open(path, O_RDONLY), has_mark = 0, xstate = 0;
	struct stat facts;
	char *core;

	if (fd < 0 || fstat(fd, &facts))
		return 0;
	core = mmap(NULL, facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (core == MAP_FAILED)
		return 0;
	elf = (void *)core;
	segments = (void *)(core + elf->e_phoff);
	for (int i = 0; i < elf->e_phnum; i++) {
		Elf64_Phdr *s = &segments[i];

		if (s->p_type == PT_LOAD && (unsigned long)mark >= s->p_vaddr &&
		    (unsigned long)mark < s->p_vaddr + s->p_filesz)
			has_mark = !strcmp(core + s->p_offset + ((unsigned long)mark - s->p_vaddr),
					   "Written in the dumped process");
		if (s->p_type != PT_NOTE)
			continue;
		for (char *at = core + s->p_offset; at < core + s->p_offset + s->p_filesz;) {
			Elf64_Nhdr *note = (void *)at;
			char *body = at + sizeof(*note) + ((note->n_namesz + 3) & ~3U);

			if (note->n_type == NT_PRSTATUS && !status)
				status = (void *)body;
			if (note->n_type == NT_PRFPREG && !fp)
				fp = (void *)body;
			xstate |= note->n_type == NT_X86_XSTATE;
			at = body + ((note->n_descsz + 3) & ~3U);
		}
	}
	if (status) {
		struct user_regs_struct *r = (void *)&status->pr_reg;

		check(r->rip == (unsigned long)dump_here && r->rbx == 0x0123456789abcdef &&
			      r->r15 == 0x77 && status->pr_cursig == SIGILL,
		      "a core dump has the registers and the signal");
	}
	check(fp && fp->xmm_space[24] == 0x33445566, "a core dump has the xmm registers");
	check(xstate, "a core dump has the extended state");
	check(has_mark, "a core dump has the memory");
	return status != NULL;
}

static void core_dumps(void)
{
	char pattern[128] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY), status;
	char folder[] = "/tmp/core-XXXXXX";
	pid_t child;

	if (fd < 0 || read(fd, pattern, sizeof(pattern) - 1) <= 0 || strcmp(pattern, "core\n")) {
		check_skip("a core dump has the registers", "core_pattern is not `core`");
		return;
	}
	close(fd);
	need(mkdtemp(folder) && chdir(folder) == 0);
	child = fork();
	if (!child)
		dump();
	waitpid(child, &status, 0);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL && WCOREDUMP(status),
	      "a process that dies of SIGILL dumps core");
	if (access("core", R_OK)) {		/* kernel.core_uses_pid */
		char name[32];

		snprintf(name, sizeof(name), "core.%d", child);
		rename(name, "core");
	}
	check(read_core("core"), "the core can be read");
	unlink("core");
	need(chdir("/") == 0);
	rmdir(folder);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 9;
	single_steps();
	system_calls();
	register_sets();
	breakpoints();
	events();
	attaching();
	seccomp();
	core_dumps();
	return check_done();
}
