// SPDX-License-Identifier: GPL-2.0-only
/*
 * How ./linux ends or begins again, and the lines it says on standard error.
 *
 * The end may come in a signal handler, in the middle of anything (signals.c:on_ending). So what is
 * undone at the end takes no memory and no locks, and what it walks is in order at every moment.
 * Stub processes are not among it: the host kills them as we go. Only host_restart(), which is
 * never in a handler, ends them itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <host/process.h>

#include "printable.h"
#include "os.h"
#include "drivers/mconsole/instance.h"

#define MAX_AT_EXIT 16

static void (*at_exit[MAX_AT_EXIT])(void);
static int at_exit_count;
static void (*at_restart)(void);

void host_at_exit(void (*function)(void))
{
	if (at_exit_count == MAX_AT_EXIT)
		host_fatal("too many things to undo at exit");
	at_exit[at_exit_count] = function;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	at_exit_count++;
}

void host_at_restart(void (*function)(void))
{
	at_restart = function;
}

static void undo(void)
{
	sigset_t all;

	/* A second wish to end must not cut short what the first one does. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	while (at_exit_count)
		at_exit[--at_exit_count]();
}

/* The host kills the stub processes as we go (PDEATHSIG, under ptrace EXITKILL as well). */
void host_exit(int status)
{
	undo();
	host_instance_remove();
	_exit(status);
}

void host_restart(void)
{
	static char *const no_arguments[] = { NULL };

	undo();
	if (at_restart)
		at_restart();
	host_signals_default();
	host_oom_as_before();
	host_unpin();
	host_instance_hand_over();
	if (host_self_fd >= 0)
		syscall(SYS_execveat, host_self_fd, "", host_argv ? host_argv : (char **)no_arguments, environ, AT_EMPTY_PATH);
	host_fatal("cannot start again: %s", strerror(errno));
}

#define PANICS "LINUX_PANICS"	/* in the environment of the program that is started again */

unsigned int host_panics;

void host_panics_init(void)
{
	const char *text = getenv(PANICS);

	host_panics = text ? strtoul(text, NULL, 10) : 0;
	unsetenv(PANICS);
}

void host_restart_later(unsigned int seconds, unsigned int panics)
{
	struct timespec left = { .tv_sec = seconds };
	char text[16];

	snprintf(text, sizeof(text), "%u", panics);
	setenv(PANICS, text, 1);
	while (nanosleep(&left, &left) && errno == EINTR)
		;
	host_restart();
}

const char *host_error_text(int error)
{
	return strerror(-error);
}

static void say_in(char *line, int room, const char *format, va_list arguments)
{
	int length = snprintf(line, room, "linux: ");

	length += vsnprintf(line + length, room - length - 1, format, arguments);
	if (length > room - 2)
		length = room - 2;
	line[length] = '\0';
	make_printable(line);
	length = strlen(line);
	line[length++] = '\n';
	if (write(2, line, length) < 0)
		return;		/* nobody listens */
}

/*
 * There is room for the command line several times, with its longest paths; that much is not on
 * every stack that this may run on. A message that comes while another is told, from a signal
 * handler or another thread, has room for a line of the usual length.
 */
static void say(const char *format, va_list arguments)
{
	static char whole[16384];
	static atomic_flag in_use = ATOMIC_FLAG_INIT;
	char usual[1024];

	if (atomic_flag_test_and_set(&in_use)) {
		say_in(usual, sizeof(usual), format, arguments);
	} else {
		say_in(whole, sizeof(whole), format, arguments);
		atomic_flag_clear(&in_use);
	}
}

void host_fatal(const char *format, ...)
{
	va_list arguments;

	undo();
	host_instance_remove();
	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
	_exit(1);
}

void host_warn(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}

void host_early_write(const char *text, unsigned int length)
{
	char part[256];

	while (length) {
		unsigned long taken = printable_part(part, sizeof(part), text, length);
		ssize_t done;

		for (char *at = part; *at; at += done) {
			done = write(1, at, strlen(at));
			if (done <= 0)
				return;
		}
		text += taken;
		length -= taken;
	}
}

int host_random(void *buffer, unsigned long length)
{
	ssize_t done = getrandom(buffer, length, 0);
	int fd;

	if (done == (ssize_t)length)
		return 0;
	fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);	/* a sandbox may refuse the call */
	done = read(fd, buffer, length);
	close(fd);
	return done == (ssize_t)length ? 0 : -EIO;
}

const char *host_description(void)
{
	static char text[512];
	struct utsname name;

	if (!uname(&name))
		snprintf(text, sizeof(text), "%s %s %s", name.sysname, name.release, name.machine);
	return text;
}

void host_image_discard(void *start, unsigned long length)
{
	mmap(start, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

int host_image_protect(const void *start, unsigned long length)
{
	return mprotect((void *)start, length, PROT_READ) ? -errno : 0;
}
