// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user's terminal in raw mode, and back.
 *
 * An orderly end calls terminal_restore(). After any other, a guardian does it: a child process
 * that reads from a pipe whose other end only this program has. The end of that pipe means that the
 * program has gone; a byte in it means that there is nothing to do any more. The guardian leaves
 * settings alone that are not those which were set here: the shell was faster. It is in its own
 * process group, so that signals from the terminal, or to all of the program's, do not reach it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "raw_terminal.h"

static struct termios before, raw;
static int terminal = -1;		/* the raw one */
static int to_guardian = -1;
static pid_t guardian;

static int is_ours(void)
{
	struct termios now;

	return !tcgetattr(terminal, &now) && now.c_lflag == raw.c_lflag &&
	       now.c_iflag == raw.c_iflag && now.c_oflag == raw.c_oflag;
}

static void guard(int from_program)
{
	sigset_t all;
	char byte;
	ssize_t got;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);	/* SIGTTOU among them: it may set a terminal */
	setpgid(0, 0);
	prctl(PR_SET_NAME, "terminal guard");
	/* The program's output must end with the program. */
	dup2(terminal, 0);
	dup2(from_program, 3);
	dup2(0, 1);
	dup2(0, 2);
	close_range(4, ~0U, 0);
	terminal = 0;
	do {
		got = read(3, &byte, 1);
	} while (got < 0 && errno == EINTR);
	if (!got && is_ours())
		tcsetattr(terminal, TCSADRAIN, &before);
	_exit(0);
}

static int start_guardian(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	guardian = fork();
	if (!guardian) {
		close(ends[1]);
		guard(ends[0]);
	}
	close(ends[0]);
	to_guardian = ends[1];
	if (guardian > 0)
		return 0;
	close(to_guardian);
	to_guardian = -1;
	return -1;
}

static void dismiss_guardian(void)
{
	while (write(to_guardian, "", 1) < 0 && errno == EINTR)
		;
	close(to_guardian);
	to_guardian = -1;
	while (waitpid(guardian, NULL, 0) < 0 && errno == EINTR)
		;
}

int terminal_make_raw(int fd)
{
	if (terminal >= 0 || tcgetattr(fd, &before))
		return -1;
	raw = before;
	cfmakeraw(&raw);
	terminal = fd;
	if (!start_guardian()) {
		if (!tcsetattr(fd, TCSADRAIN, &raw) && !tcgetattr(fd, &raw))
			return 0;
		dismiss_guardian();
	}
	terminal = -1;
	return -1;
}

void terminal_take_again(void)
{
	if (terminal >= 0)
		tcsetattr(terminal, TCSADRAIN, &raw);
}

void terminal_restore(void)
{
	if (terminal < 0)
		return;
	tcsetattr(terminal, TCSADRAIN, &before);
	terminal = -1;
	dismiss_guardian();
}
