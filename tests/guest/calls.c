// SPDX-License-Identifier: GPL-2.0-only
/*
 * Patched sites (arch/um/x86_64/syscall_patch.c) from the program's side: calls made so often that
 * the kernel changes how they are made, which nothing but their speed may show. Natively, and where
 * there are no patched sites, the same holds.
 *
 *	calls [sites]		sites: that there are some is tested, too, where the processor can do it
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "check.h"

#define OFTEN 2000
#define FLAG_TF 0x100UL

/* One call of each of the forms that are known; where the instruction behind it is. */
long call_fourth(int fd, void *buffer, size_t length, long position);
long call_loaded(void), call_moved(int unused, int fd),
	call_sixth(long number, long a, long b, long c),
	call_read(int fd, void *buffer, size_t length);
extern const char call_loaded_end[], call_sixth_end[], call_read_end[];
asm(".text\n.balign 4096\n"
    "	.skip 64\n"
    "call_loaded:	movl $110, %eax\n	syscall\n" /* getppid */
    "call_loaded_end:	ret\n"
    "call_moved:	movl $1, %edx\n	xchgl %edx, %esi\n	movl $72, %eax\n	movl %edx, %edi\n	syscall\n	ret\n" /* fcntl(fd, F_GETFD) */
    "call_fourth:	movl $17, %eax\n	movq %rcx, %r10\n	syscall\n	ret\n" /* pread64 */
    "call_sixth:	movq %rdi, %rax\n	movq %rsi, %rdi\n	movq %rdx, %rsi\n	movq %rcx, %rdx\n"
    "	xorl %r10d, %r10d\n	xorl %r8d, %r8d\n"
    "	movq 8(%rsp), %r9\n	syscall\n"
    "call_sixth_end:	ret\n"
    "call_read:	xorl %eax, %eax\n	syscall\n"
    "call_read_end:	cmpq $-4096, %rax\n	ja 1f\n	ret\n"
    "	.byte 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0\n"
    "1:	ret\n"
    "	.balign 4096\n");

static int zero_fd, file_fd;	/* the second has one byte, at 5000 */

static int make_hot(void)
{
	char byte = 1;
	long parent = getppid(), wrong = 0;

	for (int i = 0; i < OFTEN; i++) {
		wrong += call_loaded() != parent;
		wrong += call_sixth(SYS_getppid, 0, 0, 0) != parent;
		wrong += call_moved(0, zero_fd) != FD_CLOEXEC;
		wrong += call_read(zero_fd, &byte, 1) != 1 || byte;
		wrong += call_fourth(file_fd, &byte, 1, 5000) != 1 || byte != 'x';
		byte = 1;
	}
	return wrong;
}

static long counter(const char *name)
{
	char line[128], format[64];
	FILE *file = fopen("/proc/um/counters", "r");
	long value = -1;

	snprintf(format, sizeof(format), "%s %%ld", name);
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, format, &value) == 1)
			break;
	if (file)
		fclose(file);
	return value;
}

/* ---- what the program's memory looks like ---- */

static void text_as_others_see_it(void)
{
	unsigned char seen[64];
	int fd = open("/proc/self/mem", O_RDONLY);

	check(pread(fd, seen, sizeof(seen), (off_t)call_loaded) == sizeof(seen) &&
		      !memcmp(seen, "\xb8\x6e\x00\x00\x00\x0f\x05\xc3", 8),
	      "debuggers read the program's own instructions where it calls often");
	close(fd);
}

/* ---- signals ---- */

/* Code of the program and its libraries. */
static struct { unsigned long start, end; } texts[8];

static void find_texts(void)
{
	char line[256], path[2];
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	int i = 0;

	while (maps && i < 8 && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*2cx%*s %*s %*s %*s %1[/]", &start, &end, path) != 3)
			continue;
		texts[i].start = start;
		texts[i++].end = end;
	}
	if (maps)
		fclose(maps);
}

static int is_strange(unsigned long ip)
{
	for (int i = 0; i < 8; i++)
		if (ip >= texts[i].start && ip < texts[i].end)
			return 0;
	return 1;
}

static volatile int alarms, strange;

static void on_alarm(int signo, siginfo_t *info, void *context)
{
	unsigned long ip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	alarms++;
	strange += is_strange(ip);
}

static void set_timer(int signo, void (*handler)(int, siginfo_t *, void *), int us)
{
	const struct sigaction action = { .sa_sigaction = handler,
					  .sa_flags = SA_SIGINFO | SA_RESTART };
	const struct itimerval often = { { 0, us }, { 0, us } };

	sigaction(signo, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void signals(void)
{
	int wrong = 0;

	alarms = strange = 0;
	set_timer(SIGALRM, on_alarm, 200);
	while (alarms < 500)
		wrong += make_hot();
	set_timer(SIGALRM, on_alarm, 0);
	check_equal(wrong, 0, "calls have their results while a timer interrupts them");
	check_equal(strange, 0, "a signal handler sees no instruction that is not the program's");
}

static void *write_later(void *fd)
{
	usleep(20000);
	if (write(*(int *)fd, "x", 1) != 1)
		abort();
	return NULL;
}

static void restarts(void)
{
	int pipes[2], before;
	pthread_t writer;
	char byte = 0;
	long got;

	if (pipe(pipes) || pthread_create(&writer, NULL, write_later, &pipes[1]))
		exit(99);
	alarms = 0;
	set_timer(SIGALRM, on_alarm, 1000);
	before = alarms;
	got = call_read(pipes[0], &byte, 1);
	set_timer(SIGALRM, on_alarm, 0);
	pthread_join(writer, NULL);
	check(got == 1 && byte == 'x' && alarms > before,
	      "a call that signals interrupt goes on after the handler (SA_RESTART)");
}

/* ---- stepping ---- */

static volatile int steps, sites_seen;

static void on_step(int signo, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	unsigned long ip = regs[REG_RIP];

	steps++;
	sites_seen += ip == (unsigned long)call_loaded + 5;
	if (steps > 40)
		regs[REG_EFL] &= ~FLAG_TF;
}

/* The trap flag, set by the program itself, around a hot site. */
static void steps_itself(void)
{
	const struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
	long result;

	sigaction(SIGTRAP, &action, NULL);
	asm volatile(
		"pushfq\n	orl $0x100, (%%rsp)\n	popfq\n	call call_loaded\n	pushfq\n	andl $~0x100, (%%rsp)\n	popfq"
		: "=a"(result)
		:
		: "rcx", "r11", "memory", "cc");
	check_equal(result, getppid(),
		    "a program that sets the trap flag itself goes through a call that was hot");
	check(steps >= 4 && steps < 40 && sites_seen == 1, "and sees each of its instructions");
}

static unsigned long continued(pid_t child, enum __ptrace_request how)
{
	struct user_regs_struct regs;
	int status;

	if (ptrace(how, child, 0, 0) || waitpid(child, &status, 0) != child ||
	    !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		return 0;
	ptrace(PTRACE_GETREGS, child, 0, &regs);
	return regs.rip;
}

static void go_to(pid_t child, unsigned long ip)
{
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, child, 0, &regs);
	regs.rip = ip;
	regs.orig_rax = -1;
	ptrace(PTRACE_SETREGS, child, 0, &regs);
}

static pid_t stopped_child(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		make_hot();
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		for (;;)
			make_hot();
	}
	waitpid(child, &status, 0);
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Without a breakpoint, which would be reason enough for the kernel to give the page back. */
static void stepped(void)
{
	pid_t child = stopped_child();

	go_to(child, (unsigned long)call_loaded);
	check_equal(continued(child, PTRACE_SINGLESTEP), (unsigned long)call_loaded + 5,
		    "a step at a hot site ends behind its first instruction");
	check_equal(continued(child, PTRACE_SINGLESTEP), (unsigned long)call_loaded_end,
		    "the next one behind the call");
	end(child);
}

static void broken_into(void)
{
	pid_t child = stopped_child();
	unsigned long text;

	text = ptrace(PTRACE_PEEKTEXT, child, call_loaded, 0);
	ptrace(PTRACE_POKETEXT, child, call_loaded, (text & ~0xffUL) | 0xcc);
	check_equal(continued(child, PTRACE_CONT), (unsigned long)call_loaded + 1,
		    "a breakpoint at a hot site is hit");
	ptrace(PTRACE_POKETEXT, child, call_loaded, text);
	go_to(child, (unsigned long)call_loaded);
	check_equal(continued(child, PTRACE_SINGLESTEP), (unsigned long)call_loaded + 5,
		    "and stepped over");
	end(child);
}

/* Stopped by a signal again and again, a child shows only its own instructions to its debugger. */
static void stopped(void)
{
	struct user_regs_struct regs;
	int status, bad = 0;
	pid_t child = stopped_child();

	for (int i = 0; i < 300; i++) {
		ptrace(PTRACE_CONT, child, 0, 0);
		if (i % 3)
			sched_yield();
		else
			usleep(1000);
		kill(child, SIGSTOP);
		waitpid(child, &status, 0);
		ptrace(PTRACE_GETREGS, child, 0, &regs);
		bad += is_strange(regs.rip);
	}
	end(child);
	check_equal(
		bad, 0,
		"a debugger that stops it at any moment sees no instruction that is not the program's");
}

/* ---- processes and threads ---- */

static void *hot_thread(void *wrong)
{
	double kept = 1.5;

	for (int i = 0; i < 20; i++) {
		*(long *)wrong += make_hot();
		sched_yield();
		kept = kept * 2 - 1.5;
	}
	*(long *)wrong += kept != 1.5;
	return NULL;
}

static void threads(void)
{
	pthread_t thread[4];
	long wrong[4] = { 0 }, all = 0;

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, hot_thread, &wrong[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		all += wrong[i];
	}
	check_equal(all, 0, "four threads call from the same sites");
}

static void forks(void)
{
	int bad = 0, status;

	for (int i = 0; i < 20; i++) {
		pid_t child = fork();

		if (!child)
			_exit(make_hot() ? 1 : 0);
		bad += waitpid(child, &status, 0) != child || status;
	}
	check_equal(bad, 0, "children of a process with hot sites call, too");
}

/* ---- what leads into the void ---- */

/* The mapping with trampolines: the vDSO, or one for the program itself. */
static unsigned long pages_start, pages_end;

static void find_trampolines(const char *name)
{
	char line[256];
	FILE *maps = fopen("/proc/self/maps", "r");

	pages_start = 0;
	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, name))
			sscanf(line, "%lx-%lx", &pages_start, &pages_end);
	if (maps)
		fclose(maps);
}

/* In a child, which is lost if the call is. */
static int survives(void (*what)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		make_hot();
		what();
		_exit(make_hot() ? 1 : 0);
	}
	if (waitpid(child, &status, 0) == child && !status)
		return 1;
	say("# ended with %#x\n", status);
	return 0;
}

static void drop_trampolines(void)
{
	call_sixth(SYS_munmap, pages_start, pages_end - pages_start, 0);
}

static void move_trampolines(void)
{
	void *to = mmap(NULL, pages_end - pages_start, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	if (mremap((void *)pages_start, pages_end - pages_start, pages_end - pages_start,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		_exit(2);
}

static void close_trampolines(void)
{
	if (mprotect((void *)pages_start, pages_end - pages_start, PROT_READ))
		_exit(2);
}

static void write_text(void)
{
	unsigned long page = (unsigned long)call_loaded & -4096UL;
	char *at = (char *)call_loaded;

	if (mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC))
		_exit(2);
	if (at[0] != (char)0xb8 || at[5] != 0x0f)
		_exit(4);
	at[1] = SYS_getpid;
	if (call_loaded() != getpid())
		_exit(3);
	at[1] = SYS_getppid;
}

/* Other code where hot sites were: a copy of the page with another call in it. */
static void replace_text(void)
{
	unsigned long page = (unsigned long)call_loaded & -4096UL;
	char copy[4096];
	int fd = syscall(SYS_memfd_create, "code", 0);

	memcpy(copy, (void *)page, sizeof(copy));
	/* A call of getpid. */
	memcpy(copy + ((unsigned long)call_loaded & 4095), "\xb8\x27\x00\x00\x00\x0f\x05", 7);
	if (write(fd, copy, sizeof(copy)) != sizeof(copy) ||
	    mmap((void *)page, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) ==
		    MAP_FAILED)
		_exit(2);
	for (int i = 0; i < OFTEN; i++)
		if (call_loaded() != getpid())
			_exit(3);
	_exit(0);
}

/* Restarts come from the system call instruction itself, and make a changed site hot once more. */
static void restart_often(void)
{
	int pipes[2];
	pthread_t writer;
	char byte = 0;

	for (int i = 0; i < 3; i++) {
		if (pipe(pipes) || pthread_create(&writer, NULL, write_later, &pipes[1]))
			_exit(2);
		set_timer(SIGALRM, on_alarm, 500);
		if (call_read(pipes[0], &byte, 1) != 1 || byte != 'x')
			_exit(3);
		set_timer(SIGALRM, on_alarm, 0);
		pthread_join(writer, NULL);
		if (make_hot())
			_exit(5);
	}
}

/* Jumps past the instruction before the system call, which programs may. */
static void call_in_the_middle(void)
{
	long result;

	for (int i = 0; i < OFTEN; i++) {
		asm volatile("call *%1"
			     : "=a"(result)
			     : "r"(call_loaded + 5), "a"(SYS_getpid)
			     : "rcx", "r11", "memory");
		if (result != getpid())
			_exit(4);
	}
}

static void odd_programs(void)
{
	/* Far from its libraries, a program has two. It has called often enough by now. */
	static const char *const names[] = { "[vdso]", "[trampolines]" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++) {
		find_trampolines(names[i]);
		if (!pages_start) {
			check_skip("programs that unmap or move a mapping with trampolines",
				   names[i]);
			continue;
		}
		say("# %s\n", names[i]);
		check(survives(drop_trampolines),
		      "a program that unmaps its trampolines goes on calling");
		check(survives(close_trampolines),
		      "a program whose trampolines may not be executed any more goes on calling");
		check(survives(move_trampolines),
		      "a program that moves its trampolines goes on calling");
	}
	check(survives(write_text),
	      "a program that changes its instructions executes what it wrote");
	check(survives(replace_text),
	      "a program that maps other code in place of what it had executes that");
	check(survives(restart_often), "a call that is restarted again and again is the same one");
	check(survives(call_in_the_middle),
	      "a jump right to the system call instruction makes the call that its registers say");
}

/* Patched sites are only made where extended state can be stored cheaply. */
static int has_xsaveopt(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(13, 1, &a, &b, &c, &d) && (a & 1);
}

int main(int argc, char **argv)
{
	long sites = counter("patched_sites"), calls = counter("fast_syscalls");

	find_texts();
	zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	file_fd = memfd_create("calls", 0);
	need(file_fd >= 0 && pwrite(file_fd, "x", 1, 5000) == 1);
	check_equal(make_hot(), 0, "five calls made often have their results");
	if (argc > 1 && !has_xsaveopt()) {
		check_skip("they became patched sites", "this processor or host has no XSAVEOPT");
	} else if (argc > 1) {
		check(counter("patched_sites") >= sites + 4, "they became patched sites");
		check(counter("fast_syscalls") > calls + 4 * OFTEN - 400,
		      "from which nearly all calls came");
	}
	text_as_others_see_it();
	signals();
	restarts();
	stopped();
	threads();
	forks();
	odd_programs();
	stepped();
	broken_into();
	steps_itself();
	return check_done();
}
