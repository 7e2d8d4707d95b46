// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting the embedded programs (stub/) as host processes: vfork and exec from a file without a name, so that nothing of ./linux, of
 * libc or of its restartable sequences is in the new process.
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
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"

#define MAX_FDS 8
#define OUT_OF_THE_WAY 16	/* descriptors from here on are in nobody's place */

/* Given to the child and read back: parent and child share memory until exec. */
static struct {
	const struct host_program *program;
	int parent;
	volatile int error;
} handover;
static char child_stack[16384] __attribute__((aligned(16)));

static void close_from(unsigned int first)
{
	struct rlimit limit = { 1024, 1024 };

	if (!syscall(SYS_close_range, first, ~0U, 0))
		return;
	getrlimit(RLIMIT_NOFILE, &limit);	/* before Linux 5.9 */
	for (unsigned int fd = first; fd < limit.rlim_cur && fd < 65536; fd++)
		close(fd);
}

/* The program's descriptors become 0, 1, ... and its image the one after them; there are no others. */
static int arrange_descriptors(const struct host_program *program)
{
	int moved[MAX_FDS + 1], count = program->count;

	for (int i = 0; i <= count; i++) {
		moved[i] = fcntl(i < count ? program->fds[i] : program->image, F_DUPFD, OUT_OF_THE_WAY);
		if (moved[i] < 0)
			return -1;
	}
	for (int i = 0; i <= count; i++)
		if (dup2(moved[i], i) < 0)
			return -1;
	close_from(count + 1);
	return 0;
}

/* The program that is not traced takes care of the signals that it wants. Others that are sent to a group of processes pass it by. */
static void ignore_signals(void)
{
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_IGN);
}

static int child(void *nothing)
{
	const struct host_program *program = handover.program;
	char *const no_environment[] = { NULL };
	struct rlimit none = { 0, 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != handover.parent)
		_exit(1);
	setrlimit(RLIMIT_CORE, &none);
	if (arrange_descriptors(program))
		goto failed;
	if (program->traced) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			goto failed;
	} else {
		ignore_signals();
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			goto failed;
	}
	syscall(SYS_execveat, program->count, "", program->arguments, no_environment, AT_EMPTY_PATH);
failed:
	handover.error = errno;
	_exit(1);
}

static void reap(int pid)
{
	int status;

	while (wait4(pid, &status, __WALL, NULL) < 0 && errno == EINTR)
		;
}

int host_spawn(const struct host_program *program)
{
	sigset_t all, before;
	int pid;

	handover.program = program;
	handover.parent = getpid();
	handover.error = 0;
	/* The child runs on our memory: no handler may run in it. SIGTRAP is how exec stops a traced one, and must not stay pending. */
	sigfillset(&all);
	sigdelset(&all, SIGTRAP);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = clone(child, child_stack + sizeof(child_stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	if (pid < 0)
		handover.error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (!handover.error)
		return pid;
	if (pid > 0)
		reap(pid);
	return -handover.error;
}

int host_program_image(const void *image, unsigned long size)
{
	int fd = host_nameless_file("linux-stub", size), reopened;
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
