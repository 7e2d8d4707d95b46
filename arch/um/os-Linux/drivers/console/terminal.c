// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inherited descriptors and terminals of the host as handles: fd:<n>, tty:<device>. Their reader
 * is always there. Each direction has a handle of its own or shares one.
 *
 * SIGWINCH and SIGCONT are handled on a thread, which also follows terminals in the background;
 * virtual CPUs block them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <host/irq.h>

#include "handles.h"
#include "os.h"
#include "rawmode.h"

struct terminal_handle {
	struct handle handle;
	struct stream in;
	int is_terminal;	/* the output */
	int fd;			/* inherited; -1: opened by name */
	char *path;		/* of the one that was opened */
	int raw_fd;		/* what was made raw, or -1 */
};

unsigned int host_console_resizes;

/* ---- signals ---- */

static void on_resize(int signal)
{
	(void)signal;
	__atomic_add_fetch(&host_console_resizes, 1, __ATOMIC_RELAXED);
	handle_raise();
}

static void on_continue(int signal)
{
	(void)signal;
	host_terminals_continued();
}

static int input_waits;		/* for a terminal in the background: it is not watched */

/*
 * Waits for signals. While a terminal is in the background it looks at it now and then: nobody
 * tells when it comes to the foreground. Then there may be input for the lines.
 */
static void *take_signals(void *signals)
{
	const struct timespec now_and_then = { .tv_nsec = 250000000 };
	sigset_t none;

	(void)signals;
	sigfillset(&none);
	sigdelset(&none, SIGWINCH);
	sigdelset(&none, SIGCONT);
	for (;;) {
		int background = host_terminals_follow();

		if (!background && __atomic_exchange_n(&input_waits, 0, __ATOMIC_SEQ_CST)) {
			handle_raise();
			/* If it is in the background still, not again at once. */
			nanosleep(&now_and_then, NULL);
		}
		ppoll(NULL, 0, background ? &now_and_then : NULL, &none);
	}
	return NULL;
}

void host_terminals_look(void)
{
	kill(getpid(), SIGCONT);	/* which that thread notices, now or when it waits */
}

/* A signal to the process goes to a thread that does not block it: the one started here. */
static void start_signals(void)
{
	static sigset_t signals;
	struct sigaction resize = { .sa_handler = on_resize, .sa_flags = SA_RESTART | SA_ONSTACK };
	struct sigaction again = { .sa_handler = on_continue, .sa_flags = SA_RESTART | SA_ONSTACK };

	sigemptyset(&signals);
	sigaddset(&signals, SIGWINCH);
	sigaddset(&signals, SIGCONT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	sigaction(SIGWINCH, &resize, NULL);
	sigaction(SIGCONT, &again, NULL);
	/* In the background reading fails and writing works, rather than stop the guest. */
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	host_thread(take_signals, &signals);
	/* A reader that went away is an error of write(), not our end. */
	signal(SIGPIPE, SIG_IGN);
}

/* ---- opening ---- */

/*
 * Inherited descriptors came through exec, so they are not close-on-exec, and all of ours are: no
 * later descriptor can be taken for an inherited one. 0 to 2 are always the user's.
 */
static int is_inherited(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && (fd <= 2 || !(flags & FD_CLOEXEC));
}

static int open_streams(struct terminal_handle *terminal, int fd, int flags)
{
	int error = 0;

	if (flags & HOST_CONSOLE_OUT)
		error = stream_open(&terminal->handle.out, fd, O_WRONLY);
	if (!error && (flags & HOST_CONSOLE_IN)) {
		error = stream_open(&terminal->in, fd, O_RDONLY);
		if (fd == 0)
			error = 0;
	}
	return error;
}

static void terminal_close(struct handle *handle)
{
	struct terminal_handle *terminal = (struct terminal_handle *)handle;

	if (terminal->raw_fd >= 0)
		host_terminal_restore(terminal->raw_fd);
	stream_close(&terminal->in);
	stream_close(&handle->out);
	free(terminal->path);
	handle_free(handle);
}

static const struct handle_kind terminal_kind;

/* fd: open; it stays the caller's. */
static int terminal_add(int fd, const char *path, int flags, char *why)
{
	static int signals_started;
	struct terminal_handle *terminal = handle_new(sizeof(*terminal), &terminal_kind, why);
	int number;

	if (!terminal)
		return -ENOMEM;
	if (!signals_started)
		start_signals();
	signals_started = 1;
	terminal->in.fd = terminal->raw_fd = -1;
	terminal->fd = path ? -1 : fd;
	terminal->path = path ? strdup(path) : NULL;
	terminal->handle.attached = 1;
	number = open_streams(terminal, fd, flags);
	if (number) {
		handle_refuse(why, number, "it is not open for %s; open it in the shell, as in %s",
			      !(flags & HOST_CONSOLE_OUT) ? "reading" :
			      !(flags & HOST_CONSOLE_IN) ? "writing" : "reading and writing",
			      !(flags & HOST_CONSOLE_OUT) ? "5<input" :
			      !(flags & HOST_CONSOLE_IN) ? "5>output" :
			      "5<>file, or give <in>,<out>");
	} else {
		number = handle_add(&terminal->handle, why);
	}
	if (number < 0) {
		terminal_close(&terminal->handle);
		return number;
	}
	if ((flags & HOST_CONSOLE_IN) && !(flags & HOST_CONSOLE_AS_IS) && host_terminal_raw(fd))
		terminal->raw_fd = terminal->in.fd;
	terminal->is_terminal = (flags & HOST_CONSOLE_OUT) && isatty(fd);
	return number;
}

int host_console_open(int fd, int flags, char *why)
{
	if (!is_inherited(fd) && fd != 0)
		return handle_refuse(why, -EBADF,
				     "it is not open; open it in the shell, as in 5<>file");
	return terminal_add(fd, NULL, flags, why);
}

int host_console_open_tty(const char *path, int flags, char *why)
{
	int directions = flags & (HOST_CONSOLE_IN | HOST_CONSOLE_OUT);
	int access = directions == HOST_CONSOLE_IN ? O_RDONLY :
		     directions == HOST_CONSOLE_OUT ? O_WRONLY : O_RDWR;
	int fd = open(path, access | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), number;

	if (fd < 0)
		return handle_refuse(why, -errno, "%s", strerror(errno));
	if (isatty(fd))
		number = terminal_add(fd, path, flags, why);
	else
		number = handle_refuse(why, -ENOTTY, "it is no terminal; name one, such as /dev/tty2");
	close(fd);
	return number;
}

/* ---- transfers ---- */

static void terminal_watch(struct handle *handle, int write)
{
	struct terminal_handle *terminal = (struct terminal_handle *)handle;
	struct stream *stream = write ? &handle->out : &terminal->in;

	if (stream->fd < 0)
		return;
	/* In the background input is not ours: take_signals() tells when that is over. */
	if (!write && host_in_background(stream->fd)) {
		__atomic_store_n(&input_waits, 1, __ATOMIC_SEQ_CST);
		host_terminals_look();
	} else {
		host_watch(stream->fd, write, HOST_IRQ_CONSOLE);
	}
}

static long terminal_read(struct handle *handle, void *buffer, unsigned long length)
{
	struct stream *in = &((struct terminal_handle *)handle)->in;
	long got = stream_read(in, buffer, length);

	if (got == -EIO && host_in_background(in->fd))
		return -EAGAIN;		/* what is typed is for another */
	return got;
}

static long terminal_send(struct handle *handle, const void *buffer, unsigned long length)
{
	long put = stream_write(&handle->out, buffer, length);

	if (put == -EAGAIN)
		terminal_watch(handle, 1);
	return put;
}

/* Asked each time: another line, or the user, may make the terminal raw or undo it. */
static int terminal_needs_returns(struct handle *handle)
{
	struct terminal_handle *terminal = (struct terminal_handle *)handle;
	struct termios now;

	return terminal->is_terminal && tcgetattr(handle->out.fd, &now) == 0 &&
	       !(now.c_oflag & OPOST);
}

static int terminal_size(struct handle *handle, unsigned short *rows, unsigned short *columns)
{
	struct terminal_handle *terminal = (struct terminal_handle *)handle;
	struct winsize size;

	if (ioctl(handle->out.fd, TIOCGWINSZ, &size) < 0 &&
	    ioctl(terminal->in.fd, TIOCGWINSZ, &size) < 0)
		return -ENOTTY;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return 0;
}

static void terminal_describe(struct handle *handle, char *text, unsigned long size)
{
	struct terminal_handle *terminal = (struct terminal_handle *)handle;

	if (terminal->path)
		snprintf(text, size, "tty:%s", terminal->path);
	else
		snprintf(text, size, "fd:%d", terminal->fd);
}

static const struct handle_kind terminal_kind = {
	.read = terminal_read,
	.send = terminal_send,
	.watch = terminal_watch,
	.size = terminal_size,
	.needs_returns = terminal_needs_returns,
	.describe = terminal_describe,
	.close = terminal_close,
};
