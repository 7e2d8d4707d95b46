// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting the embedded programs (stub/) as host processes: vfork and exec from a file without a
 * name, so that nothing of ./linux, of libc or of its restartable sequences is in the new process.
 *
 * Runs on the thread of a virtual CPU, whose death ends what was started (PDEATHSIG).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host/process.h>

#include "os.h"
#include "engines.h"

#define MAX_FDS 8
#define OUT_OF_THE_WAY 16	/* descriptors from here on are in nobody's place */

/* Given to the child and read back: parent and child share memory until exec. */
static struct {
	const struct host_program *program;
	int parent;
	volatile int error;
	const char *volatile refused;
} handover;
static char child_stack[16384] __attribute__((aligned(16)));

const char *host_refused_call = "";

/* Closes the descriptors from first to last. */
static void close_between(unsigned int first, unsigned int last)
{
	struct rlimit limit = { 1024, 1024 };

	if (first > last || !syscall(SYS_close_range, first, last, 0))
		return;
	getrlimit(RLIMIT_NOFILE, &limit);	/* before Linux 5.9 */
	for (unsigned int fd = first; fd <= last && fd < limit.rlim_cur && fd < 65536; fd++)
		close(fd);
}

static int descriptor(const struct host_program *program, int i)
{
	return i < program->count ? program->fds[i] : program->image;
}

/*
 * The child has all of ./linux's descriptors, which may be as many as it may have: then there is
 * none left to move its own to.
 */
static void close_others(const struct host_program *program)
{
	unsigned int first = 0;

	for (;;) {
		unsigned int next = ~0U;

		for (int i = 0; i <= program->count; i++) {
			unsigned int fd = descriptor(program, i);

			if (fd >= first && fd < next)
				next = fd;
		}
		if (next == ~0U)
			break;
		if (next)
			close_between(first, next - 1);
		first = next + 1;
	}
	close_between(first, ~0U);
}

/*
 * The program's descriptors become 0, 1, ... and its image the one after them; there are no others.
 */
static const char *arrange_descriptors(const struct host_program *program)
{
	int moved[MAX_FDS + 1], count = program->count;

	close_others(program);
	for (int i = 0; i <= count; i++) {
		moved[i] = fcntl(descriptor(program, i), F_DUPFD, OUT_OF_THE_WAY);
		if (moved[i] < 0)
			return "fcntl";
	}
	for (int i = 0; i <= count; i++)
		if (dup2(moved[i], i) < 0)
			return "dup2";
	close_between(count + 1, ~0U);
	return NULL;
}

/*
 * What the caller set with setarch(8) is not for stub processes: a page at address 0 that cannot be
 * unmapped (Linux 6.10 seals it), or that all that can be read can be executed.
 */
static const char *reset_personality(void)
{
	int now = personality(0xffffffff);

	if (now != -1 && now & ~ADDR_NO_RANDOMIZE && personality(now & ADDR_NO_RANDOMIZE) == -1)
		return "personality";
	return NULL;
}

static const char *get_traced(void)
{
	return ptrace(PTRACE_TRACEME, 0, 0, 0) ? "ptrace" : NULL;
}

/*
 * The program that is not traced takes care of the signals that it wants. Others that are sent to a
 * group of processes pass it by.
 */
static void ignore_signals(void)
{
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_IGN);
}

static const char *get_guarded(void)
{
	ignore_signals();
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? "prctl" : NULL;
}

static int child(void *nothing)
{
	const struct host_program *program = handover.program;
	char *const no_environment[] = { NULL };
	struct rlimit none = { 0, 0 };
	const char *refused;

	/* Without it, this process would be left when ./linux ends. */
	refused = prctl(PR_SET_PDEATHSIG, SIGKILL) ? "prctl" : NULL;
	setrlimit(RLIMIT_CORE, &none);
	host_oom_as_before();
	if (!refused && getppid() != handover.parent) {
		errno = EPERM;
		refused = "getppid";
	}
	if (!refused)
		refused = reset_personality();
	if (!refused)
		refused = arrange_descriptors(program);
	if (!refused)
		refused = program->traced ? get_traced() : get_guarded();
	if (!refused) {
		syscall(SYS_execveat, program->count, "", program->arguments, no_environment, AT_EMPTY_PATH);
		refused = "execveat";
	}
	handover.error = errno;
	handover.refused = refused;
	_exit(1);
}

static void reap(int pid)
{
	int status;

	while (wait4(pid, &status, __WALL, NULL) < 0 && errno == EINTR)
		;
}

void host_kill_stub(int pid)
{
	if (kill(pid, SIGKILL) && errno != ESRCH && syscall(SYS_tgkill, pid, pid, SIGKILL))
		host_fatal("the host does not let this process end its stub processes (kill: %s): allow kill, in a container by a "
			   "seccomp profile that has it", strerror(errno));
}

int host_spawn(const struct host_program *program)
{
	sigset_t all, before;
	int pid;

	handover.program = program;
	handover.parent = getpid();
	handover.error = 0;
	handover.refused = "clone";
	/*
	 * The child runs on our memory: no handler may run in it. SIGTRAP is how exec stops a
	 * traced one, and must not stay pending.
	 */
	sigfillset(&all);
	sigdelset(&all, SIGTRAP);
	host_signal_mask(SIG_BLOCK, &all, &before);
	pid = clone(child, child_stack + sizeof(child_stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	if (pid < 0)
		handover.error = errno;
	host_signal_mask(SIG_SETMASK, &before, NULL);
	if (!handover.error)
		return pid;
	host_refused_call = handover.refused;
	if (pid > 0)
		reap(pid);
	return -handover.error;
}

int host_program_image(const void *image, unsigned long size)
{
	struct host_nameless file = { .name = "linux-stub", .size = size, .needed = size, .program = 1 };
	int fd = host_nameless_make(&file), reopened;
	char path[64];

	if (fd < 0)
		return fd;
	if (pwrite(fd, image, size, 0) != (ssize_t)size) {
		close(fd);
		return -EIO;
	}
	/* What is open for writing cannot be executed, unless it is a memfd. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reopened = open(path, O_RDONLY | O_CLOEXEC);
	if (reopened < 0)
		return fd;
	close(fd);
	return reopened;
}
