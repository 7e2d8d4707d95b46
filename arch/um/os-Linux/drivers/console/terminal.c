// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inherited descriptors as terminal lines: the host half of the consoles, <host/console.h>.
 *
 * Nothing here may make a virtual CPU wait, yet O_NONBLOCK is not for us to set: it belongs to the
 * open file, which the shell and others share with us. So each descriptor gets the gentlest way
 * that works:
 *   - a pipe or a terminal is opened anew through /proc/self/fd, without waiting;
 *   - a socket has MSG_DONTWAIT;
 *   - anything else (and what cannot be opened anew) is asked with poll() first, and written in
 *     small pieces.
 * Each direction has a descriptor of its own, so that the watcher can wait for both.
 *
 * SIGWINCH and SIGCONT are handled on a thread of its own, which also follows terminals in the
 * background; virtual CPUs block them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <host/console.h>
#include <host/irq.h>
#include <host/vcpu.h>

#include "os.h"
#include "printable.h"

#define MAX_CONSOLES	80	/* 16 consoles and 64 serial lines */
#define PIECE		256	/* a terminal that polls as writable takes this much */

enum way { NO_WAIT, SOCKET, POLL };

struct stream {
	int fd;			/* -1: no such direction */
	enum way way;
};

static struct console {
	struct stream in, out;
	int is_terminal;	/* the output */
} consoles[MAX_CONSOLES];
static int count;

unsigned int host_console_resizes;

/* ---- signals ---- */

static void on_resize(int signal)
{
	(void)signal;
	__atomic_add_fetch(&host_console_resizes, 1, __ATOMIC_RELAXED);
	host_raise(&host_vcpus[0], HOST_IRQ_CONSOLE);
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
			host_raise(&host_vcpus[0], HOST_IRQ_CONSOLE);
			/* If it is in the background still, not again at once. */
			nanosleep(&now_and_then, NULL);
		}
		ppoll(NULL, 0, background ? &now_and_then : NULL, &none);
	}
	return NULL;
}

void host_terminals_look(void)
{
	kill(getpid(), SIGCONT);	/* of which that thread takes notice, now or when it waits */
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

static int may_reopen(int fd, const struct stat *file)
{
	/* The master side of a pseudo terminal would be a new one. */
	return S_ISFIFO(file->st_mode) ||
	       (S_ISCHR(file->st_mode) && isatty(fd) && file->st_rdev != makedev(5, 2));
}

static int open_stream(struct stream *stream, int fd, int unwanted)
{
	int mode = fcntl(fd, F_GETFL);
	char path[32];
	struct stat file;

	if (!is_inherited(fd) || mode < 0 || (mode & O_ACCMODE) == unwanted || fstat(fd, &file) < 0)
		return -EBADF;
	if (may_reopen(fd, &file)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		stream->way = NO_WAIT;
		stream->fd = open(path, (mode & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (stream->fd >= 0)
			return 0;
	}
	stream->way = S_ISSOCK(file.st_mode) ? SOCKET : S_ISREG(file.st_mode) ? NO_WAIT : POLL;
	stream->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return stream->fd < 0 ? -errno : 0;
}

int host_console_open(int in, int out)
{
	struct console *console = &consoles[count];
	int error;

	if (count == MAX_CONSOLES)
		return -EMFILE;
	if (count == 0)
		start_signals();
	console->in.fd = console->out.fd = -1;
	if (out >= 0) {
		error = open_stream(&console->out, out, O_RDONLY);
		if (error)
			return error;
	}
	if (in >= 0) {
		error = open_stream(&console->in, in, O_WRONLY);
		if (error && in != 0)
			return error;
		host_terminal_raw(in);
	}
	console->is_terminal = out >= 0 && isatty(out);
	return count++;
}

/* ---- transfers ---- */

static int terminal_is_ready(int fd, int events, int timeout)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	return poll(&poll_fd, 1, timeout) > 0;
}

/* The host could not reach the memory: guest RAM that it cannot give ends ./linux here. */
static int terminal_error(const void *buffer, unsigned long length)
{
	int error = -errno;

	if (error == -EFAULT)
		host_ram_prove(buffer, length);
	return error;
}

long host_console_read(int console, void *buffer, unsigned long length)
{
	struct stream *in = &consoles[console].in;
	long got;

	if (in->fd < 0)
		return -EBADF;
	do {
		if (in->way == POLL && !terminal_is_ready(in->fd, POLLIN, 0))
			return -EAGAIN;
		if (in->way == SOCKET)
			got = recv(in->fd, buffer, length, MSG_DONTWAIT);
		else
			got = read(in->fd, buffer, length);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EIO && host_in_background(in->fd))
		return -EAGAIN;		/* what is typed is for another */
	return got < 0 ? terminal_error(buffer, length) : got;
}

static long write_stream(struct stream *out, const void *buffer, unsigned long length)
{
	long put;

	if (out->fd < 0)
		return length;
	do {
		if (out->way == POLL) {
			if (!terminal_is_ready(out->fd, POLLOUT, 0))
				return -EAGAIN;
			if (length > PIECE)
				length = PIECE;
		}
		if (out->way == SOCKET)
			put = send(out->fd, buffer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			put = write(out->fd, buffer, length);
	} while (put < 0 && errno == EINTR);
	return put < 0 ? terminal_error(buffer, length) : put;
}

long host_console_write(int console, const void *buffer, unsigned long length)
{
	return write_stream(&consoles[console].out, buffer, length);
}

static void print_all(struct stream *out, const char *text, unsigned long length)
{
	while (length) {
		long put = write_stream(out, text, length);

		if (put == -EAGAIN) {
			terminal_is_ready(out->fd, POLLOUT, -1);
			continue;
		}
		if (put <= 0)
			return;
		text += put;
		length -= put;
	}
}

/* Asked each time: another line, or the user, may make the terminal raw or undo it. */
static int adds_returns(const struct console *console)
{
	struct termios now;

	return !console->is_terminal || tcgetattr(console->out.fd, &now) < 0 || (now.c_oflag & OPOST);
}

static void print_part(int console, const char *text, unsigned long length)
{
	struct stream *out = &consoles[console].out;
	char buffer[512];
	unsigned long used = 0;

	if (adds_returns(&consoles[console])) {
		print_all(out, text, length);
		return;
	}
	while (length--) {
		if (*text == '\n')
			buffer[used++] = '\r';
		buffer[used++] = *text++;
		if (used >= sizeof(buffer) - 1 || !length) {
			print_all(out, buffer, used);
			used = 0;
		}
	}
}

/* The log holds names of programs and files, which are to be read and not obeyed. */
void host_console_print(int console, const char *text, unsigned long length)
{
	char part[256];

	while (length) {
		unsigned long taken = printable_part(part, sizeof(part), text, length);

		print_part(console, part, strlen(part));
		text += taken;
		length -= taken;
	}
}

void host_console_watch(int console, int write)
{
	struct stream *stream = write ? &consoles[console].out : &consoles[console].in;

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

int host_console_size(int console, unsigned short *rows, unsigned short *columns)
{
	struct console *line = &consoles[console];
	struct winsize size;

	if (ioctl(line->out.fd, TIOCGWINSZ, &size) < 0 && ioctl(line->in.fd, TIOCGWINSZ, &size) < 0)
		return -ENOTTY;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return 0;
}
