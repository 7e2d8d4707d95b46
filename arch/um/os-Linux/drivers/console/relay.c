// SPDX-License-Identifier: GPL-2.0-only
/*
 * ./linux --terminal-relay <name>: what runs inside a terminal emulator that xterm.c started.
 *
 * It makes its terminal raw, passes it by descriptor over a socket, and then does nothing but
 * keep the window open and report changes of its size, a byte each, until the socket is closed.
 * It is no kernel: main() calls it before anything else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "rawmode.h"
#include "relay.h"

socklen_t relay_address(struct sockaddr_un *address, const char *name)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "%s", name);
	return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address->sun_path + 1);
}

static int pass_terminal(int socket, int terminal)
{
	char byte = 0;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = { 0 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.header), &terminal, sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static void on_resize(int signal)
{
}

/* Until the other end is closed. */
static void report_sizes(int socket)
{
	struct pollfd poll_fd = { .fd = socket, .events = POLLIN };
	sigset_t none;

	sigemptyset(&none);
	for (;;) {
		int ready = ppoll(&poll_fd, 1, NULL, &none);

		if (ready > 0 || (ready < 0 && errno != EINTR))
			return;
		if (send(socket, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
			return;
	}
}

int host_terminal_relay(const char *name)
{
	struct sigaction resize = { .sa_handler = on_resize };
	struct sockaddr_un address;
	socklen_t length = relay_address(&address, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct termios before, raw;
	sigset_t resizes;

	if (tcgetattr(0, &before)) {
		fputs("linux: " RELAY_OPTION " is for terminal emulators that ./linux starts\n",
		      stderr);
		return 1;
	}
	sigemptyset(&resizes);
	sigaddset(&resizes, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resizes, NULL);
	sigaction(SIGWINCH, &resize, NULL);
	raw = before;
	cfmakeraw(&raw);
	tcsetattr(0, TCSANOW, &raw);
	if (connect(fd, (struct sockaddr *)&address, length) || pass_terminal(fd, 0)) {
		tcsetattr(0, TCSANOW, &before);
		fprintf(stderr, "linux: ./linux is not there any more: %s\n", strerror(errno));
		return 1;
	}
	report_sizes(fd);
	tcsetattr(0, TCSANOW, &before);
	return 0;
}
