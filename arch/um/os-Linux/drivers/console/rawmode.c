// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raw terminals, and their way back.
 *
 *  1. An orderly end of ./linux: host_exit() calls restore_all().
 *  2. Any other end, SIGKILL included: a guardian, one small process per terminal, sleeps in read()
 *     on a pipe that ./linux alone can write. End of file means that ./linux is gone, and the
 *     guardian restores the terminal, unless the shell was faster: it only replaces the raw mode
 *     set here. In case 1 it is told to leave and waited for.
 *  3. A stop (SIGSTOP) gives the terminal to the shell; afterwards it is made raw again.
 *  4. In the background the terminal is someone else's: its settings are left alone, also at the
 *     end. They are changed when ./linux comes to the foreground. A shell need not tell us of that,
 *     so a thread (terminal.c) looks now and then while we are in the background, and only then.
 *
 * The guardian keeps nothing of ./linux: no descriptors, no guest RAM, no session (so no signal
 * from the terminal reaches it, and it may change a terminal that is not its own), all signals
 * blocked. It is made by clone() onto a stack of its own, since the caller's stack may lie in
 * guest RAM, which is shared memory.
 *
 * host_terminal_raw() runs on a virtual CPU during boot, host_terminals_follow() on the thread
 * for signals; restore_all() on whichever thread ends ./linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

#include "os.h"
#include "rawmode.h"

#define MAX_TERMINALS 16

static struct terminal {
	int fd;			/* duplicate, out of the way of 0 to 2 */
	dev_t device;
	int raw_now;
	int released;		/* no line uses it any more */
	int in_background, continued;	/* when last looked at; since then, after a stop */
	struct termios cooked, raw;
	int leash;		/* the pipe that the guardian reads */
	pid_t guardian;		/* 0: none */
} *terminals;			/* shared with the guardians */
static int count;
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;	/* modes, but at the end */

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
	munmap((void *)HOST_RAM_BASE, HOST_MEMMAP_END - HOST_RAM_BASE);
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

	sigemptyset(&output);
	sigaddset(&output, SIGTTOU);
	sigprocmask(SIG_BLOCK, &output, &before);
	for (int i = 0; i < count; i++) {
		if (terminals[i].raw_now && !host_in_background(terminals[i].fd))
			tcsetattr(terminals[i].fd, TCSANOW, &terminals[i].cooked);
		terminals[i].raw_now = 0;
		end_guardian(&terminals[i]);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

int host_in_background(int fd)
{
	pid_t foreground = tcgetpgrp(fd);	/* -1: not our controlling terminal */

	return foreground >= 0 && foreground != getpgrp();
}

/* What others set meanwhile is what the terminal gets back. */
static void make_raw(struct terminal *terminal)
{
	struct termios now;

	if (tcgetattr(terminal->fd, &now) < 0)
		return;
	if (now.c_lflag != terminal->raw.c_lflag || now.c_iflag != terminal->raw.c_iflag)
		terminal->raw_now = 0;
	if (!terminal->raw_now)
		terminal->cooked = now;
	terminal->raw_now = tcsetattr(terminal->fd, TCSANOW, &terminal->raw) == 0;
}

int host_terminals_follow(void)
{
	int background = 0, error = errno;

	for (int i = 0; i < __atomic_load_n(&count, __ATOMIC_ACQUIRE); i++) {
		int now;

		pthread_mutex_lock(&changing);
		now = !terminals[i].released && host_in_background(terminals[i].fd);
		if (!now && !terminals[i].released && (terminals[i].in_background || terminals[i].continued))
			make_raw(&terminals[i]);
		terminals[i].continued = 0;
		terminals[i].in_background = now;
		pthread_mutex_unlock(&changing);
		background |= now;
	}
	errno = error;
	return background;
}

void host_terminals_continued(void)
{
	for (int i = 0; i < count; i++)
		terminals[i].continued = 1;
}

static struct terminal *find(dev_t device)
{
	for (int i = 0; i < count; i++)
		if (terminals[i].device == device)
			return &terminals[i];
	return NULL;
}

/* The entry stays, without a guardian and never raw, for the case that it is used again. */
void host_terminal_restore(int fd)
{
	struct terminal *terminal;
	struct stat file;

	terminal = fstat(fd, &file) < 0 ? NULL : find(file.st_rdev);
	if (!terminal || terminal->released)
		return;
	pthread_mutex_lock(&changing);
	terminal->released = 1;
	if (terminal->raw_now && !host_in_background(terminal->fd))
		tcsetattr(terminal->fd, TCSANOW, &terminal->cooked);
	terminal->raw_now = 0;
	if (terminal->guardian) {
		end_guardian(terminal);
		close(terminal->leash);
	}
	pthread_mutex_unlock(&changing);
}

static int take_again(struct terminal *terminal)
{
	if (!terminal->released)
		return 0;
	start_guardian(terminal);
	pthread_mutex_lock(&changing);
	terminal->released = 0;
	terminal->in_background = host_in_background(terminal->fd);
	if (!terminal->in_background)
		make_raw(terminal);
	pthread_mutex_unlock(&changing);
	return 1;
}

int host_terminal_raw(int fd)
{
	struct terminal *terminal;
	struct stat file;

	if (!terminals)
		terminals = mmap(NULL, MAX_TERMINALS * sizeof(*terminals), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (terminals == MAP_FAILED) {
		terminals = NULL;
		return 0;
	}
	if (fstat(fd, &file) < 0 || !isatty(fd))
		return 0;
	terminal = find(file.st_rdev);
	if (terminal)
		return take_again(terminal);
	terminal = &terminals[count];
	if (count == MAX_TERMINALS || tcgetattr(fd, &terminal->cooked) < 0)
		return 0;
	terminal->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (terminal->fd < 0)
		return 0;
	terminal->device = file.st_rdev;
	terminal->raw = terminal->cooked;
	cfmakeraw(&terminal->raw);
	start_guardian(terminal);
	if (count == 0)
		host_at_exit(restore_all);
	terminal->in_background = host_in_background(fd);
	if (!terminal->in_background)
		make_raw(terminal);
	__atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
	host_terminals_look();
	return 1;
}
