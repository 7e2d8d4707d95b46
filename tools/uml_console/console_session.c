// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_console: attached to a line.
 *
 * One loop waits for the socket, for the terminal in both directions, and for signals, which come
 * through a descriptor. Output is written in pieces that do not wait, so that the escape key works
 * also when the terminal does not take output. No frame is received before the last one's output
 * was written, and no input is read before the last frame was sent.
 *
 * When the instance ends its connection, it may only have restarted: then it can be connected to
 * again at once. One that ends for good can not, or closes the new connection before it was served.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "instance_socket.h"
#include "printable.h"
#include "raw_terminal.h"
#include "tool.h"
#include "uml_console.h"

#define INPUT_PIECE	4096
#define OUTPUT_PIECE	4096
#define TERMINAL_PIECE	256		/* what a terminal takes that is ready */
#define CTRL_C		3

struct frame {
	unsigned int kind;
	char data[HOST_ATTACH_FRAME - sizeof(unsigned int)];
};

struct attachment {
	const struct wish *wish;
	int socket, signals;
	int window;			/* the terminal that has it; -1: none */
	int is_raw;			/* the input is a terminal */
	int reads_input;		/* until its end */
	unsigned int role;		/* 0: not told yet */
	long long answer_until;		/* ms; as long as it was not told */
	struct frame in, out;
	size_t out_length;		/* of out, which is to be sent */
	size_t shown, to_show;		/* of in.data: written, and to be written */
	size_t piece;			/* of output, at a time */
	int in_midline;			/* the output is */
	int has_new_size;
	int had_end;			/* the instance said that it ends */
	int status;			/* -1: attached still */
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* ---- lines of our own between the guest's output ---- */

static void note(struct attachment *at, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct attachment *at, const char *format, ...)
{
	const char *end = at->is_raw ? "\r\n" : "\n";
	va_list arguments;
	char *what, *line;

	va_start(arguments, format);
	if (vasprintf(&what, format, arguments) < 0)
		what = NULL;
	va_end(arguments);
	if (what && asprintf(&line, "%s: %s %s: %s", tool_name, at->wish->name, at->wish->line,
			     what) >= 0) {
		make_printable(line);
		fprintf(stderr, "%s%s%s", at->in_midline && isatty(STDERR_FILENO) ? end : "", line,
			end);
		at->in_midline = 0;
		free(line);
	}
	free(what);
}

/* How to leave, as the end of a sentence. */
static const char *way_out(const struct attachment *at)
{
	static char text[32];
	int key = at->wish->escape;

	if (!at->is_raw || (key < 0 && at->wish->only_reads))
		return "; Ctrl-C leaves";
	if (key < 0)
		return "";
	snprintf(text, sizeof(text), "; %s%c leaves", key < ' ' ? "Ctrl-" : "",
		 key < ' ' ? key + '@' : key);
	return text;
}

/* ---- frames to the instance ---- */

static void look_at_window(const struct attachment *at, unsigned int *rows, unsigned int *columns)
{
	struct winsize size = { 0 };

	if (at->window >= 0)
		ioctl(at->window, TIOCGWINSZ, &size);
	*rows = size.ws_row;
	*columns = size.ws_col;
}

static void put_size(struct attachment *at)
{
	unsigned int numbers[2];

	look_at_window(at, &numbers[0], &numbers[1]);
	at->out.kind = HOST_ATTACH_SIZE;
	memcpy(at->out.data, numbers, sizeof(numbers));
	at->out_length = sizeof(at->out.kind) + sizeof(numbers);
	at->has_new_size = 0;
}

static void put_request(struct attachment *at)
{
	struct host_attach_request request = {
		.kind = HOST_ATTACH_START,
		.version = HOST_ATTACH_VERSION,
		.flags = at->wish->only_reads ? HOST_ATTACH_READ_ONLY : 0,
	};

	look_at_window(at, &request.rows, &request.columns);
	memcpy(request.line, at->wish->line, sizeof(request.line));
	memcpy(&at->out, &request, sizeof(request));
	at->out_length = sizeof(request);
	at->has_new_size = 0;
	at->role = 0;
	at->answer_until = now_ms() + LIMIT;
}

/* Whether there is room for another frame. An instance that has gone is noticed by receive(). */
static int send_frames(struct attachment *at)
{
	do {
		if (at->out_length &&
		    send(at->socket, &at->out, at->out_length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		    (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
			return 0;
		at->out_length = 0;
		if (at->has_new_size && at->role)
			put_size(at);
	} while (at->out_length);
	return 1;
}

/* ---- input ---- */

/* How much of it comes before a key that leaves; and whether there is one. */
static size_t find_escape(const struct attachment *at, const char *text, size_t length, int *found)
{
	const struct wish *wish = at->wish;

	*found = 1;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] == wish->escape ||
		    (wish->only_reads && text[i] == CTRL_C))
			return i;
	*found = 0;
	return length;
}

static void read_input(struct attachment *at)
{
	ssize_t got = read(STDIN_FILENO, at->out.data, INPUT_PIECE);
	int leaves = 0;
	size_t length;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		at->reads_input = 0;
		/* The terminal is gone, and its user with it. */
		if (at->is_raw)
			at->status = 128 + SIGHUP;
		return;
	}
	length = at->is_raw ? find_escape(at, at->out.data, got, &leaves) : (size_t)got;
	if (length && at->role == HOST_ATTACH_WRITES) {
		at->out.kind = HOST_ATTACH_INPUT;
		at->out_length = sizeof(at->out.kind) + length;
		send_frames(at);
	}
	if (leaves) {
		note(at, "left");
		at->status = DONE;
	}
}

/* Input from a file waits until this client writes. Keys are read at any time, for the escape. */
static int wants_input(const struct attachment *at)
{
	return at->reads_input && (at->is_raw || at->role == HOST_ATTACH_WRITES);
}

/* ---- output ---- */

static void show(struct attachment *at)
{
	size_t length = at->to_show - at->shown;
	ssize_t put;

	put = write(STDOUT_FILENO, at->in.data + at->shown,
		    length < at->piece ? length : at->piece);
	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (put <= 0) {
		note(at, "cannot write the output: %s", strerror(errno));
		at->status = REFUSED;
		return;
	}
	at->shown += put;
	at->in_midline = at->in.data[at->shown - 1] != '\n';
}

static void take_role(struct attachment *at)
{
	unsigned int before = at->role;

	memcpy(&at->role, at->in.data, sizeof(at->role));
	if (at->had_end)
		note(at, "the guest starts again");
	at->had_end = 0;
	if (at->role == HOST_ATTACH_WRITES && before)
		note(at, "the one before you has left, now you write%s", way_out(at));
	else if (at->role == HOST_ATTACH_WRITES)
		note(at, "you write%s", way_out(at));
	else if (at->role == HOST_ATTACH_WATCHES)
		note(at, "another one writes, you watch%s", way_out(at));
	else
		note(at, "you watch%s", way_out(at));
}

static void take_failure(struct attachment *at, size_t length)
{
	char text[sizeof(((struct host_attach_failure *)0)->text) + 1] = "";
	const size_t head = sizeof(unsigned int);

	if (length > head)
		memcpy(text, at->in.data + head,
		       length - head < sizeof(text) ? length - head : sizeof(text) - 1);
	note(at, "%s", text);
	at->status = REFUSED;
}

static void take_frame(struct attachment *at, size_t length)
{
	const size_t numbers = 2 * sizeof(unsigned int);
	unsigned int lost;

	length -= sizeof(at->in.kind);
	if (at->in.kind == HOST_ATTACH_OUTPUT) {
		at->shown = 0;
		at->to_show = length;
	} else if (at->in.kind == HOST_ATTACH_ROLE && length == numbers) {
		take_role(at);
	} else if (at->in.kind == HOST_ATTACH_LOST && length == numbers) {
		memcpy(&lost, at->in.data, sizeof(lost));
		note(at, "%u bytes of output are missing here: they came too fast", lost);
	} else if (at->in.kind == HOST_ATTACH_END) {
		at->had_end = 1;
	} else if (at->in.kind == HOST_ATTACH_FAILURE) {
		take_failure(at, length);
	} else {
		note(at, "this is not the protocol of consoles");
		at->status = REFUSED;
	}
}

/* The connection has ended: the instance restarts, has ended, or was killed. */
static void connect_again(struct attachment *at)
{
	const struct wish *wish = at->wish;
	int fd = -1;

	close(at->socket);
	at->socket = -1;
	if (at->had_end && at->role)
		fd = instance_connect(wish->name, wish->uml_dir, "console");
	if (fd >= 0) {
		at->socket = fd;
		put_request(at);
	} else if (at->had_end) {
		note(at, "the guest has ended");
		at->status = DONE;
	} else {
		note(at, "the instance has gone");
		at->status = NOBODY_THERE;
	}
}

static void receive(struct attachment *at)
{
	ssize_t got = recv(at->socket, &at->in, sizeof(at->in), MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got >= (ssize_t)sizeof(at->in.kind))
		take_frame(at, got);
	else
		connect_again(at);
}

/* ---- signals ---- */

static int open_signals(void)
{
	static const int wanted[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT,
	};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned int i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		sigaddset(&set, wanted[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Stops with the terminal as it was, and takes it again when it continues. */
static void stop(struct attachment *at)
{
	terminal_restore();
	raise(SIGSTOP);
	if (at->is_raw)
		terminal_make_raw(STDIN_FILENO);
	at->has_new_size = 1;
}

static void take_signals(struct attachment *at)
{
	struct signalfd_siginfo signal;

	while (read(at->signals, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo == SIGWINCH)
			at->has_new_size = at->window >= 0;
		else if (signal.ssi_signo == SIGTSTP)
			stop(at);
		else if (signal.ssi_signo == SIGCONT)
			terminal_take_again();
		else
			at->status = 128 + signal.ssi_signo;
	}
}

/* ---- the loop ---- */

enum { SOCKET, SIGNALS, INPUT, OUTPUT, SOURCES };

static int patience(const struct attachment *at)
{
	long long left = at->answer_until - now_ms();

	return at->role ? -1 : left > 0 ? (int)left : 0;
}

static void wait_and_serve(struct attachment *at)
{
	struct pollfd sources[SOURCES] = {
		[SOCKET] = { .fd = at->socket },
		[SIGNALS] = { .fd = at->signals, .events = POLLIN },
		[INPUT] = { .fd = -1, .events = POLLIN },
		[OUTPUT] = { .fd = -1, .events = POLLOUT },
	};
	const int shows = at->shown < at->to_show;
	int count;

	if (!send_frames(at))
		sources[SOCKET].events |= POLLOUT;
	else if (wants_input(at))
		sources[INPUT].fd = STDIN_FILENO;
	if (shows)
		sources[OUTPUT].fd = STDOUT_FILENO;
	else
		sources[SOCKET].events |= POLLIN;
	if (!sources[SOCKET].events)
		sources[SOCKET].fd = -1;	/* its end is for later */
	count = poll(sources, SOURCES, patience(at));
	if (count < 0)
		return;
	if (!count && !at->role) {
		note(at, "no answer within %d s", LIMIT / 1000);
		at->status = NO_ANSWER;
	}
	if (sources[SIGNALS].revents)
		take_signals(at);
	if (sources[INPUT].revents && at->status < 0)
		read_input(at);
	if (sources[OUTPUT].revents && at->status < 0)
		show(at);
	if (!shows && sources[SOCKET].revents & ~POLLOUT && at->status < 0)
		receive(at);
}

static size_t piece_of(int fd)
{
	struct stat file;

	return !fstat(fd, &file) && !S_ISCHR(file.st_mode) ? OUTPUT_PIECE : TERMINAL_PIECE;
}

int attach_to_line(const struct wish *wish)
{
	struct attachment *at = allocate(sizeof(*at));
	int status;

	memset(at, 0, sizeof(*at));
	at->wish = wish;
	at->status = -1;
	at->socket = connect_to_instance(wish);
	if (at->socket < 0) {
		status = -at->socket;
		free(at);
		return status;
	}
	at->signals = open_signals();
	signal(SIGPIPE, SIG_IGN);	/* it is an error of write() */
	at->is_raw = isatty(STDIN_FILENO);
	at->reads_input = at->is_raw || !wish->only_reads;
	at->window = at->is_raw ? STDIN_FILENO : isatty(STDOUT_FILENO) ? STDOUT_FILENO : -1;
	at->piece = piece_of(STDOUT_FILENO);
	put_request(at);
	if (at->is_raw && terminal_make_raw(STDIN_FILENO)) {
		complain(wish, "cannot make the terminal raw: %s", strerror(errno));
		at->status = REFUSED;
	}
	while (at->status < 0)
		wait_and_serve(at);
	terminal_restore();
	status = at->status;
	free(at);
	return status;
}
