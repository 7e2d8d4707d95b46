// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watchdog's program, uml_watchdog: it writes a byte to its output when it is ready, reads a
 * byte from its input for each ping, and takes the end of its input for a clean stop. So the end
 * of ./linux, whatever ended it, is one too.
 *
 * Debian's has no option for the time-out. It ends without a byte when its first option is one,
 * and is started again without.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <host/process.h>
#include <host/time.h>
#include <host/watchdog.h>

#include "os.h"
#include "drivers/mconsole/instance.h"

#define PROGRAM		"uml_watchdog"
#define READY_WITHIN	(10 * 1000000000ULL)	/* nanoseconds */
#define ENDS_WITHIN	(1000000000ULL)

static int pings = -1;		/* the program's input */
static pid_t program;		/* 0: none that is not waited for */

/* ---- starting ---- */

/* The one next to ./linux, or the name alone, which PATH is searched for. */
static const char *find_program(char path[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof(PROGRAM) - 1);
	char *slash;

	path[length > 0 ? length : 0] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return PROGRAM;
	strcpy(slash + 1, PROGRAM);
	return access(path, X_OK) ? PROGRAM : path;
}

/* Its own session: a terminal's Ctrl-C is not for it. Descriptors of devices stay here. */
static int spawn(pid_t *pid, char *const *words, int input, int output)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, 0);
	posix_spawn_file_actions_adddup2(&actions, output, 1);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
					      POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	error = posix_spawnp(pid, words[0], &actions, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

/* Waits for the byte: 0, -EPROTO at the end of the program's output, or -ETIMEDOUT. */
static int wait_until_ready(int output)
{
	unsigned long long deadline = host_monotonic_ns() + READY_WITHIN;
	struct pollfd ready = { .fd = output, .events = POLLIN };
	char byte;

	while (host_monotonic_ns() < deadline) {
		if (poll(&ready, 1, 1) > 0)
			return read(output, &byte, 1) == 1 ? 0 : -EPROTO;
		kernel_pause();
	}
	return -ETIMEDOUT;
}

static void reap(int flags)
{
	if (program && waitpid(program, NULL, flags) == program)
		program = 0;
}

/* The last one ends, since its input has: without this, each would be left unreaped. */
static void wait_for_last(void)
{
	unsigned long long deadline = host_monotonic_ns() + ENDS_WITHIN;

	for (reap(WNOHANG); program && host_monotonic_ns() < deadline; reap(WNOHANG))
		kernel_pause();
	if (program)
		kill(program, SIGKILL);
	reap(0);
}

/* 0 with the pipe in @input, or why not. */
static int start(char *const *words, int *input)
{
	int in[2], out[2], error;

	if (pipe2(in, O_CLOEXEC))
		return -errno;
	if (pipe2(out, O_CLOEXEC)) {
		error = -errno;
		goto close_in;
	}
	error = spawn(&program, words, in[0], out[1]);
	close(out[1]);
	if (error)
		program = 0;
	else
		error = wait_until_ready(out[0]);
	close(out[0]);
	if (!error) {
		close(in[0]);
		fcntl(in[1], F_SETFL, O_NONBLOCK);
		*input = in[1];
		return 0;
	}
	if (program)
		kill(program, SIGKILL);
	reap(0);
close_in:
	close(in[0]);
	close(in[1]);
	return error;
}

/* ---- the contract ---- */

int host_watchdog_start(unsigned int timeout, int *fixed)
{
	char path[PATH_MAX], seconds[16], pid[16];
	const char *socket = host_notify_socket();
	char *name = (char *)find_program(path), *option = socket ? "-mconsole" : "-pid";
	char *value = socket ? (char *)socket : pid;
	char *words[] = { name, "-timeout", seconds, option, value, NULL };
	char *without[] = { name, option, value, NULL };
	int input, error;

	snprintf(seconds, sizeof(seconds), "%u", timeout);
	snprintf(pid, sizeof(pid), "%d", getpid());
	wait_for_last();
	error = start(words, &input);
	*fixed = error == -EPROTO;
	if (*fixed)
		error = start(without, &input);
	if (!error)
		pings = input;
	return error;
}

int host_watchdog_ping(void)
{
	if (pings < 0)
		return -EBADF;
	/* A pipe that is full has more than enough of them. */
	return write(pings, "p", 1) < 0 && errno != EAGAIN ? -errno : 0;
}

void host_watchdog_stop(void)
{
	int fd = pings;

	pings = -1;
	if (fd >= 0)
		close(fd);
	reap(WNOHANG);
}
