// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stub processes under ptrace.
 *
 *  1. The embedded program (stub/ptrace.S) is started by exec (spawn.c), with guest RAM as
 *     descriptor 0, its own file as 1, and no others. If ./linux dies, however that happens, the
 *     host kills it (PTRACE_O_EXITKILL).
 *  2. The tracer makes it map its code and request pages at the top of the address space, one call
 *     at a time through registers;
 *  3. then, from there, unmap everything else.
 *
 * Guest code never runs while PTRACE_CONT lets the stub's own system calls through: a stub does
 * what the tracer pointed it at. Runs on the thread of the virtual CPU, which is the tracer.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <host/engine.h>
#include <host/memory.h>
#include <host/process.h>

#include "os.h"
#include "engines.h"
#include "stub_process.h"

extern const unsigned char host_ptrace_stub[], host_ptrace_stub_end[];

static int stub_fd = -1;
static unsigned long batch_offset;	/* of the batch loop in the stub's page */
static unsigned long syscall_offset;	/* of its system call instruction */

/* ---- 1. a process ---- */

int stub_wait(int pid)
{
	int status, done;

	do {
		done = wait4(pid, &status, __WALL, NULL);
	} while (done < 0 && errno == EINTR);
	return done == pid && WIFSTOPPED(status) ? status : -1;
}

void stub_end(int pid)
{
	int status;

	host_kill_stub(pid);
	while (wait4(pid, &status, __WALL, NULL) == pid && !WIFEXITED(status) && !WIFSIGNALED(status))
		;
}

static int launch(void)
{
	static char name[] = "linux-stub";
	char *const arguments[] = { name, NULL };
	const struct host_program program = { .image = stub_fd, .fds = &host_ram_fd, .count = 1, .arguments = arguments, .traced = 1 };
	unsigned long no_signals = 0;	/* as large as the host's set, which is not libc's */
	int pid = host_spawn(&program);

	if (pid < 0)
		return pid;
	host_refused_call = "wait4";
	if (stub_wait(pid) < 0) {
		stub_end(pid);
		return -ESRCH;
	}
	host_refused_call = "ptrace";
	/*
	 * Exec kept the mask that the child was made with, which would keep the virtual CPU's kick
	 * from stopping it.
	 */
	if (ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) ||
	    ptrace(PTRACE_SETSIGMASK, pid, sizeof(no_signals), &no_signals)) {
		int error = errno;

		stub_end(pid);
		return -error;
	}
	return pid;
}

/* ---- running its code ---- */

/*
 * Lets the stub run until its int3. Signals for it mean nothing: the kick of the virtual CPU comes
 * again when it matters.
 */
static int run_to_int3(int pid, struct user_regs_struct *regs)
{
	regs->orig_rax = -1;
	if (ptrace(PTRACE_SETREGS, pid, 0, regs))
		return -ESRCH;
	for (;;) {
		int status;

		if (ptrace(PTRACE_CONT, pid, 0, 0))
			return -ESRCH;
		status = stub_wait(pid);
		if (status < 0)
			return -ESRCH;
		if (WSTOPSIG(status) == SIGTRAP)
			break;
		if (WSTOPSIG(status) == SIGSEGV || WSTOPSIG(status) == SIGBUS || WSTOPSIG(status) == SIGILL)
			return -ESRCH;
	}
	return ptrace(PTRACE_GETREGS, pid, 0, regs) ? -ESRCH : 0;
}

static void base_registers(struct user_regs_struct *regs)
{
	memset(regs, 0, sizeof(*regs));
	regs->cs = 0x33;
	regs->ss = 0x2b;
	regs->eflags = 0x202;
}

int stub_perform(int pid, int count)
{
	struct user_regs_struct regs;
	int error;

	base_registers(&regs);
	regs.rip = STUB_CODE + batch_offset;
	regs.rbx = STUB_REQUESTS;
	regs.r12 = count;
	error = run_to_int3(pid, &regs);
	if (error || !regs.r12)
		return error;
	return (long)regs.rax < 0 ? (int)regs.rax : -EIO;
}

/* One host call by a stub whose code still lies at page, with all arguments in registers. */
static long remote_call(int pid, unsigned long page, long number, const long *arguments)
{
	struct user_regs_struct regs;
	int error;

	base_registers(&regs);
	regs.rip = page + syscall_offset;
	regs.r12 = 1;
	regs.rax = number;
	regs.rdi = arguments[0];
	regs.rsi = arguments[1];
	regs.rdx = arguments[2];
	regs.r10 = arguments[3];
	regs.r8 = arguments[4];
	regs.r9 = arguments[5];
	error = run_to_int3(pid, &regs);
	return error ? error : (long)regs.rax;
}

/* ---- 2, 3. its address space ---- */

static long map_page(int pid, unsigned long code, unsigned long address, int prot, int fd, unsigned long offset)
{
	const long arguments[] = { address, 4096, prot, MAP_SHARED | MAP_FIXED, fd, offset };
	long result = remote_call(pid, code, SYS_mmap, arguments);

	return result == (long)address ? 0 : result < 0 ? result : -EIO;
}

/* The requests that leave nothing but the two pages. */
static int write_cleaning_requests(struct stub_syscall *requests)
{
	requests[0] = (struct stub_syscall) { SYS_munmap, { 0, STUB_CODE } };
	requests[1] = (struct stub_syscall) { SYS_close, { 1 } };
	return 2;
}

static int furnish(int pid, unsigned long page_offset)
{
	unsigned long loaded = ((const Elf64_Ehdr *)host_ptrace_stub)->e_entry & ~4095UL;
	struct stub_syscall *requests = (void *)(HOST_RAM_BASE + page_offset);
	long error;

	host_refused_call = "mmap in the stub process";
	error = map_page(pid, loaded, STUB_CODE, PROT_READ | PROT_EXEC, 1, 0);
	if (!error)
		error = map_page(pid, loaded, STUB_REQUESTS, PROT_READ, 0, page_offset);
	if (!error) {
		host_refused_call = "munmap in the stub process";
		error = stub_perform(pid, write_cleaning_requests(requests));
	}
	return error;
}

static int prepare_image(void)
{
	unsigned long size = host_ptrace_stub_end - host_ptrace_stub;
	const Elf64_Ehdr *header = (const void *)host_ptrace_stub;
	const unsigned char *at;
	int fd;

	if (stub_fd >= 0)
		return 0;
	batch_offset = header->e_entry & 4095;
	at = memmem(host_ptrace_stub + batch_offset, size - batch_offset, "\x0f\x05", 2);
	if (!at)
		return -ENOEXEC;
	syscall_offset = at - host_ptrace_stub;
	host_refused_call = "a file for the program";
	fd = host_program_image(host_ptrace_stub, size);
	if (fd < 0)
		return fd;
	stub_fd = fd;
	return 0;
}

int stub_start(unsigned long page_offset)
{
	int pid, error = prepare_image();

	if (error)
		return error;
	pid = launch();
	if (pid < 0)
		return pid;
	error = furnish(pid, page_offset);
	if (!error)
		return pid;
	stub_end(pid);
	return error;
}

int stub_adopt(int pid, unsigned long page_offset)
{
	struct stub_syscall *requests = (void *)(HOST_RAM_BASE + page_offset);
	long error = map_page(pid, STUB_CODE, STUB_REQUESTS, PROT_READ, 0, page_offset);

	requests[0] = (struct stub_syscall) { SYS_munmap, { 0, STUB_CODE } };
	return error ? error : stub_perform(pid, 1);
}

unsigned long stub_batch_offset(void)
{
	return batch_offset;
}
