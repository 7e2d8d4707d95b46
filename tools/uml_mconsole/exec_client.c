// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: runs a command over the socket exec of an instance.
 *
 * One loop waits for the socket, for standard input and for signals, which come through a
 * descriptor. Input is read when the frame before has been sent, so that a command that does not
 * read its input does not hold its output. A new window size and signals go first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <host/exec.h>

#include "instance_socket.h"
#include "printable.h"
#include "raw_terminal.h"
#include "tool.h"
#include "exec_client.h"

#define PIECE		16384
#define ENDED_BY_LIMIT	124	/* as timeout(1) has it */
#define ESCAPE		'~'
#define LONGEST_TEXT	(1 << 20)	/* a guest may send any amount */

struct frame {
	unsigned int kind;
	char data[HOST_EXEC_FRAME - sizeof(unsigned int)];
};

struct client {
	struct session *session;
	const struct exec_wish *wish;
	struct exec_output *output, *errors;
	int socket, signals, timer;
	int is_raw;
	int reads_input;		/* until its end */
	int ends_input;			/* that is to be said */
	struct frame in, out;
	size_t out_length;		/* of out, which is to be sent */
	int has_new_size;
	unsigned int signal;		/* to be sent; 0: none */
	enum { AT_LINE_START, AFTER_ESCAPE, IN_LINE } typed;
	int status;			/* -1: it still runs */
};

static void complain(struct client *client, const char *why)
{
	char *line;

	terminal_restore();
	if (asprintf(&line, "%s: %s", client->session->name, why) < 0)
		return;
	make_printable(line);
	fprintf(stderr, "%s: %s\n", tool_name, line);
	free(line);
}

/* ---- frames to the instance ---- */

static void put_frame(struct client *client, unsigned int kind, const void *data, size_t length)
{
	client->out.kind = kind;
	if (data)
		memcpy(client->out.data, data, length);
	client->out_length = sizeof(client->out.kind) + length;
}

static void put_size(struct client *client)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	unsigned int numbers[2];

	ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	numbers[0] = size.ws_row;
	numbers[1] = size.ws_col;
	client->has_new_size = 0;
	put_frame(client, HOST_EXEC_SIZE, numbers, sizeof(numbers));
}

static void put_signal(struct client *client)
{
	put_frame(client, HOST_EXEC_SIGNAL, &client->signal, sizeof(client->signal));
	client->signal = 0;
}

static void put_input_end(struct client *client)
{
	put_frame(client, HOST_EXEC_INPUT_END, NULL, 0);
	client->ends_input = 0;
}

/* Whether there is room for another frame. An instance that has gone is noticed by receive(). */
static int send_frame(struct client *client)
{
	if (client->out_length && send(client->socket, &client->out, client->out_length,
				       MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return 0;
	client->out_length = 0;
	return 1;
}

/* Sends all that there is room for; whether input may be read. */
static int send_all(struct client *client)
{
	while (send_frame(client)) {
		if (client->has_new_size)
			put_size(client);
		else if (client->signal)
			put_signal(client);
		else if (client->ends_input)
			put_input_end(client);
		else
			return 1;
	}
	return 0;
}

/* ---- input ---- */

/*
 * As in ssh(1): at the start of a line, ~. ends the connection, whatever the guest does, and ~~ is
 * a ~. Copies the rest to @to, which has room for one byte more; returns its length.
 */
static size_t take_escapes(struct client *client, const char *from, size_t length, char *to)
{
	char *start = to;

	for (; length; from++, length--) {
		if (client->typed == AT_LINE_START && *from == ESCAPE) {
			client->typed = AFTER_ESCAPE;
			continue;
		}
		if (client->typed == AFTER_ESCAPE && *from == '.') {
			complain(client, "left; what runs there is hung up");
			client->status = REFUSED;
			break;
		}
		if (client->typed == AFTER_ESCAPE && *from != ESCAPE)
			*to++ = ESCAPE;
		*to++ = *from;
		client->typed = *from == '\r' || *from == '\n' ? AT_LINE_START : IN_LINE;
	}
	return to - start;
}

static void read_input(struct client *client)
{
	char text[PIECE];
	ssize_t got = read(STDIN_FILENO, text, sizeof(text));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		client->reads_input = 0;
		client->ends_input = 1;
		return;
	}
	if (client->is_raw) {
		size_t length = take_escapes(client, text, got, client->out.data);

		if (length)
			put_frame(client, HOST_EXEC_INPUT, NULL, length);
	} else {
		put_frame(client, HOST_EXEC_INPUT, text, got);
	}
}

/* ---- output ---- */

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t put = write(fd, text, length);

		if (put < 0 && errno == EAGAIN) {
			struct pollfd poll_for = { .fd = fd, .events = POLLOUT };

			poll(&poll_for, 1, -1);
			continue;
		}
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		text += put;
		length -= put;
	}
	return 0;
}

static void take_output(struct client *client, struct exec_output *to, const char *text,
			size_t length)
{
	if (to->fd < 0 && to->length + length > LONGEST_TEXT) {
		complain(client, "the guest's answer is too long");
		client->status = REFUSED;
		to->length = 0;
		free(to->text);
		to->text = NULL;
	} else if (to->fd < 0) {
		char *more = realloc(to->text, to->length + length + 1);

		if (!more)
			die("there is no memory");
		memcpy(more + to->length, text, length);
		to->text = more;
		to->length += length;
		more[to->length] = '\0';
	} else if (write_all(to->fd, text, length)) {
		int error = errno;

		terminal_restore();
		fprintf(stderr, "%s: cannot write the output: %s\n", tool_name, strerror(error));
		client->status = REFUSED;
	}
}

static void take_failure(struct client *client, size_t length)
{
	const size_t head = sizeof(unsigned int);
	char text[sizeof(((struct host_exec_failure *)0)->text) + 1] = "";

	if (length > head)
		memcpy(text, client->in.data + head,
		       length - head < sizeof(text) ? length - head : sizeof(text) - 1);
	complain(client, text);
	client->status = REFUSED;
}

static void take_frame(struct client *client, size_t length)
{
	const struct frame *frame = &client->in;

	length -= sizeof(frame->kind);
	if (frame->kind == HOST_EXEC_OUTPUT) {
		take_output(client, client->output, frame->data, length);
	} else if (frame->kind == HOST_EXEC_ERRORS) {
		take_output(client, client->errors, frame->data, length);
	} else if (frame->kind == HOST_EXEC_FAILURE) {
		take_failure(client, length);
	} else if (frame->kind == HOST_EXEC_STATUS && length == sizeof(unsigned int)) {
		memcpy(&client->status, frame->data, sizeof(client->status));
	} else {
		complain(client, "this is not the protocol of exec");
		client->status = REFUSED;
	}
}

static void receive(struct client *client)
{
	ssize_t got = recv(client->socket, &client->in, sizeof(client->in), MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got >= (ssize_t)sizeof(client->in.kind)) {
		take_frame(client, got);
		return;
	}
	terminal_restore();
	client->status = explain(client->session, MCONSOLE_GONE);
}

/* ---- signals ---- */

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };

static int open_signals(sigset_t *before)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	for (unsigned int i = 0; i < sizeof(forwarded) / sizeof(*forwarded); i++)
		sigaddset(&wanted, forwarded[i]);
	sigaddset(&wanted, SIGWINCH);
	sigaddset(&wanted, SIGTSTP);
	sigaddset(&wanted, SIGCONT);
	sigprocmask(SIG_BLOCK, &wanted, before);
	return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Stops with the terminal as it was, and takes it again when it continues. */
static void stop(struct client *client)
{
	terminal_restore();
	raise(SIGSTOP);
	if (client->is_raw)
		terminal_make_raw(STDIN_FILENO);
	client->has_new_size = client->wish->has_terminal;
}

static void take_signals(struct client *client)
{
	struct signalfd_siginfo signal;

	while (read(client->signals, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo == SIGWINCH)
			client->has_new_size = client->wish->has_terminal;
		else if (signal.ssi_signo == SIGTSTP)
			stop(client);
		else if (signal.ssi_signo == SIGCONT)
			terminal_take_again();
		else if (client->is_raw || client->signal)
			client->status = 128 + signal.ssi_signo;
		else
			client->signal = signal.ssi_signo;
	}
}

/* ---- connecting ---- */

/* Appends to the frame; whether there was room. */
static int append(struct frame *frame, size_t *length, const void *data, size_t size)
{
	if (size > sizeof(frame->data) - *length)
		return 0;
	if (size)
		memcpy(frame->data + *length, data, size);
	*length += size;
	return 1;
}

static int append_strings(struct frame *frame, size_t *length, char **strings)
{
	for (; *strings; strings++)
		if (!append(frame, length, *strings, strlen(*strings) + 1))
			return 0;
	return 1;
}

static unsigned int count(char **strings)
{
	unsigned int result = 0;

	while (strings[result])
		result++;
	return result;
}

/* Whether the request fits. */
static int put_request(struct client *client)
{
	const struct exec_wish *wish = client->wish;
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	struct host_exec_start head = {
		.kind = HOST_EXEC_START,
		.version = HOST_EXEC_VERSION,
		.flags = wish->has_terminal ? HOST_EXEC_TERMINAL : 0,
		.user = wish->uid,
		.group = wish->gid,
		.groups = wish->group_count,
		.arguments = count(wish->words),
		.variables = count(wish->variables),
	};
	size_t length = 0;

	ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	head.rows = size.ws_row;
	head.columns = size.ws_col;
	client->out.kind = head.kind;
	if (!append(&client->out, &length, &head.version, sizeof(head) - sizeof(head.kind)) ||
	    !append(&client->out, &length, wish->groups,
		    wish->group_count * sizeof(*wish->groups)) ||
	    !append(&client->out, &length, wish->directory, strlen(wish->directory) + 1) ||
	    !append_strings(&client->out, &length, wish->words) ||
	    !append_strings(&client->out, &length, wish->variables))
		return 0;
	client->out_length = sizeof(client->out.kind) + length;
	return 1;
}

static int open_timer(unsigned int seconds)
{
	struct itimerspec limit = { .it_value.tv_sec = seconds };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	timerfd_settime(fd, 0, &limit, NULL);
	return fd;
}

/* ---- the loop ---- */

enum { SOCKET, SIGNALS, TIMER, INPUT, SOURCES };

static void wait_and_serve(struct client *client)
{
	struct pollfd sources[SOURCES] = {
		[SOCKET] = { .fd = client->socket, .events = POLLIN },
		[SIGNALS] = { .fd = client->signals, .events = POLLIN },
		[TIMER] = { .fd = client->timer, .events = POLLIN },
		[INPUT] = { .fd = -1, .events = POLLIN },
	};

	if (!send_all(client))
		sources[SOCKET].events |= POLLOUT;
	else if (client->reads_input)
		sources[INPUT].fd = STDIN_FILENO;
	if (poll(sources, SOURCES, -1) < 0)
		return;
	if (sources[SIGNALS].revents)
		take_signals(client);
	if (sources[TIMER].revents)
		client->status = ENDED_BY_LIMIT;
	if (sources[INPUT].revents)
		read_input(client);
	if (sources[SOCKET].revents & ~POLLOUT && client->status < 0)
		receive(client);
}

static int serve(struct client *client)
{
	const struct exec_wish *wish = client->wish;

	client->is_raw = wish->has_terminal && wish->has_input && isatty(STDIN_FILENO) &&
			 client->output->fd >= 0;
	if (client->is_raw && terminal_make_raw(STDIN_FILENO)) {
		fprintf(stderr, "%s: cannot make the terminal raw: %s\n", tool_name,
			strerror(errno));
		return REFUSED;
	}
	client->reads_input = wish->has_input;
	while (client->status < 0)
		wait_and_serve(client);
	terminal_restore();
	return client->status;
}

int exec_run(struct session *session, const struct exec_wish *wish, struct exec_output *output,
	     struct exec_output *errors)
{
	struct client *client = allocate(sizeof(*client));
	sigset_t before;
	int status;

	memset(client, 0, sizeof(*client));
	client->session = session;
	client->wish = wish;
	client->output = output;
	client->errors = errors;
	client->status = -1;
	client->socket = instance_connect(session->name, session->uml_dir, "exec");
	if (client->socket < 0) {
		status = explain(session, client->socket);
	} else if (!put_request(client)) {
		fprintf(stderr, "%s: the command and its environment are over %d bytes long\n",
			tool_name, HOST_EXEC_FRAME);
		status = WRONG_USAGE;
	} else {
		client->signals = open_signals(&before);
		client->timer = wish->limit ? open_timer(wish->limit) : -1;
		/* A terminal's input has no end before the command's. */
		client->ends_input = !wish->has_input && !wish->has_terminal;
		status = serve(client);
		close(client->signals);
		sigprocmask(SIG_SETMASK, &before, NULL);
		if (client->timer >= 0)
			close(client->timer);
	}
	if (client->socket >= 0)
		close(client->socket);
	free(client);
	return status;
}
