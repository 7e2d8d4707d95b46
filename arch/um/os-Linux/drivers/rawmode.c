// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raw terminals, and their way back.
 *
 *  1. An orderly end of ./linux: host_exit() calls restore_all().
 *  2. Any other end, SIGKILL included: a guardian, one small process per terminal, sleeps in read() on a pipe that
 *     ./linux alone can write. End of file means that ./linux is gone, and the guardian restores the terminal, unless the
 *     shell was faster: it only replaces the raw mode set here. In case 1 it is told to leave and waited for.
 *  3. A stop (SIGSTOP, SIGTTIN) gives the terminal to the shell; on_continue() makes it raw again afterwards.
 *
 * The guardian keeps nothing of ./linux: no descriptors, no guest RAM, no session (so no signal from the terminal reaches it, and
 * it may change a terminal that is not its own), all signals blocked. It is made by clone() onto a stack of its own, since the
 * caller's stack may lie in guest RAM, which is shared memory.
 *
 * host_terminal_raw() runs on a virtual CPU during boot; restore_all() on whichever thread ends ./linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <host/memory.h>
#include <host/process.h>

#include "../os.h"

#define MAX_TERMINALS 16

static struct terminal {
	int fd;			/* duplicate, out of the way of 0 to 2 */
	dev_t device;
	int raw_now;
	struct termios cooked, raw;
	int leash;		/* the pipe that the guardian reads */
	pid_t guardian;		/* 0: none */
} terminals[MAX_TERMINALS];
static int count;

static char guardian_stack[16384] __attribute__((aligned(16)));

/* ---- the guardian process ---- */

struct guard {
	struct terminal *terminal;
	int pipe;
};

static void rename_guardian(void)
{
	char *name = program_invocation_name;	/* where ps and pkill -f look */

	prctl(PR_SET_NAME, "tty-guardian");
	if (name)
		strncpy(name, "tty-guardian", strlen(name));
}

static int guardian(void *argument)
{
	struct guard *guard = argument;
	struct terminal *terminal = guard->terminal;
	struct termios now;
	char byte;
	long length;

	/* 0 and 1 may be what is copied, so go by way of high numbers. */
	int pipe = fcntl(guard->pipe, F_DUPFD, 10), fd = fcntl(terminal->fd, F_DUPFD, 10);

	dup2(pipe, 0);
	dup2(fd, 1);
	if (close_range(2, ~0U, 0) < 0)		/* before Linux 5.9 */
		for (int i = 2; i < 1024; i++)
			close(i);
	setsid();
	(void)!chdir("/");
	munmap((void *)HOST_RAM_BASE, HOST_VMALLOC_END - HOST_RAM_BASE);
	rename_guardian();

	do
		length = read(0, &byte, 1);
	while (length < 0 && errno == EINTR);
	if (length == 0 && tcgetattr(1, &now) == 0 && now.c_lflag == terminal->raw.c_lflag &&
	    now.c_iflag == terminal->raw.c_iflag && now.c_oflag == terminal->raw.c_oflag)
		tcsetattr(1, TCSANOW, &terminal->cooked);
	_exit(0);
}

static void start_guardian(struct terminal *terminal)
{
	sigset_t all, before;
	struct guard guard = { .terminal = terminal };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	guard.pipe = ends[0];
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	terminal->guardian = clone(guardian, guardian_stack + sizeof(guardian_stack), SIGCHLD, &guard);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[0]);
	terminal->leash = ends[1];
	if (terminal->guardian > 0)
		return;
	terminal->guardian = 0;
	close(ends[1]);
	host_warn("no process for guarding the terminal: if ./linux is killed, type: reset");
}

static void end_guardian(struct terminal *terminal)
{
	if (!terminal->guardian)
		return;
	(void)!write(terminal->leash, "", 1);
	while (waitpid(terminal->guardian, NULL, 0) < 0 && errno == EINTR)
		;
	terminal->guardian = 0;
}

/* ---- ./linux itself ---- */

static void restore_all(void)
{
	sigset_t output, before;

	/* From the background, this signal would stop us instead. */
	sigemptyset(&output);
	sigaddset(&output, SIGTTOU);
	sigprocmask(SIG_BLOCK, &output, &before);
	for (int i = 0; i < count; i++) {
		if (terminals[i].raw_now)
			tcsetattr(terminals[i].fd, TCSANOW, &terminals[i].cooked);
		terminals[i].raw_now = 0;
		end_guardian(&terminals[i]);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void on_continue(int signal)
{
	int error = errno;

	(void)signal;
	for (int i = 0; i < count; i++)
		if (terminals[i].raw_now && tcgetpgrp(terminals[i].fd) == getpgrp())
			tcsetattr(terminals[i].fd, TCSANOW, &terminals[i].raw);
	errno = error;
}

static int is_known(dev_t device)
{
	for (int i = 0; i < count; i++)
		if (terminals[i].device == device)
			return 1;
	return 0;
}

void host_terminal_raw(int fd)
{
	struct terminal *terminal = &terminals[count];
	struct sigaction again = { .sa_handler = on_continue, .sa_flags = SA_RESTART | SA_ONSTACK };
	struct stat file;

	if (count == MAX_TERMINALS || fstat(fd, &file) < 0 || tcgetattr(fd, &terminal->cooked) < 0)
		return;
	if (is_known(file.st_rdev))
		return;
	terminal->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (terminal->fd < 0)
		return;
	terminal->device = file.st_rdev;
	terminal->raw = terminal->cooked;
	cfmakeraw(&terminal->raw);
	start_guardian(terminal);
	if (count++ == 0) {
		host_at_exit(restore_all);
		sigaction(SIGCONT, &again, NULL);
	}
	terminal->raw_now = tcsetattr(fd, TCSANOW, &terminal->raw) == 0;
}
