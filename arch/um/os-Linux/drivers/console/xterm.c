// SPDX-License-Identifier: GPL-2.0-only
/*
 * The channel xterm: a terminal emulator in a window, started when the guest opens the line.
 *
 * No helper program has to be installed: in the emulator ./linux itself runs, as a relay
 * (relay.c), and passes the emulator's terminal to us over a socket. So it may be any emulator,
 * also one whose windows belong to a server. The reader leaves when the window is closed, which
 * ends the relay; when we close the socket, the relay ends, and the window with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <host/process.h>

#include "os.h"
#include "relay.h"
#include "session.h"

#define START_SECONDS 10	/* an emulator without a relay for so long may be started again */

struct xterm_session {
	struct session session;
	char *settings;			/* cut at its commas */
	const char *emulator, *title_switch, *exec_switch;
	char *title;
	char name[RELAY_NAME_MAX];	/* of the socket */
	int listener;
	int relay;			/* the connection with it, or -1 */
	pid_t pid;			/* of the emulator, until it was waited for; 0 */
	int pid_fd;			/* watched for its end, or -1 */
	time_t started;			/* 0: none was, since the last window was closed */
	pid_t ending[4];		/* emulators whose window was closed, until waited for */
};

/* ---- the emulator ---- */

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + 1;
}

static int spawn(struct xterm_session *xterm)
{
	char self[4096] = "/proc/self/exe";
	char *const arguments[] = {
		(char *)xterm->emulator, (char *)xterm->title_switch, xterm->title,
		(char *)xterm->exec_switch, self, RELAY_OPTION, xterm->name, NULL
	};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	long length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int error;

	if (length > 0)
		self[length] = '\0';
	/* The program may have been replaced by a new one since. */
	if (length <= 0 || access(self, X_OK))
		snprintf(self, sizeof(self), "/proc/%d/exe", getpid());
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);	/* inherited ones are for lines */
	error = posix_spawnp(&xterm->pid, xterm->emulator, &actions, &attributes, arguments,
			     environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (error)
		xterm->pid = 0;
	return -error;
}

static void wait_for_ending(struct xterm_session *xterm)
{
	for (int i = 0; i < 4; i++)
		if (xterm->ending[i] && waitpid(xterm->ending[i], NULL, WNOHANG))
			xterm->ending[i] = 0;
}

/* The window is closed: the line may have another one before this emulator has ended. */
static void let_end(struct xterm_session *xterm)
{
	for (int i = 0; xterm->pid && i < 4; i++) {
		if (xterm->ending[i])
			continue;
		xterm->ending[i] = xterm->pid;
		xterm->pid = 0;
	}
	if (xterm->pid_fd >= 0) {
		host_unwatch(xterm->pid_fd);
		close(xterm->pid_fd);
	}
	xterm->pid_fd = -1;
	xterm->pid = 0;
	xterm->started = 0;
}

static void xterm_show(struct handle *handle)
{
	struct xterm_session *xterm = (struct xterm_session *)handle;
	int error;

	wait_for_ending(xterm);
	if (xterm->session.state == SESSION_JOINED || xterm->pid ||
	    (xterm->started && now() - xterm->started < START_SECONDS))
		return;
	error = spawn(xterm);
	if (error) {
		host_warn("%s=xterm: %s cannot be started: %s", xterm->title, xterm->emulator,
			  strerror(-error));
		return;
	}
	xterm->started = now();
	xterm->pid_fd = syscall(SYS_pidfd_open, xterm->pid, 0);
	if (xterm->pid_fd >= 0)
		handle_watch(xterm->pid_fd, 0);
}

/* One that ends well may have left its window to a server. */
static void look_at_emulator(struct xterm_session *xterm)
{
	int status;

	if (!xterm->pid)
		return;
	if (waitpid(xterm->pid, &status, WNOHANG) != xterm->pid) {
		if (xterm->pid_fd >= 0)
			handle_watch(xterm->pid_fd, 0);
		return;
	}
	if (xterm->pid_fd >= 0) {
		host_unwatch(xterm->pid_fd);
		close(xterm->pid_fd);
	}
	xterm->pid_fd = -1;
	xterm->pid = 0;
	if (xterm->relay >= 0 || (WIFEXITED(status) && !WEXITSTATUS(status)))
		return;
	if (xterm->started)
		host_warn("%s=xterm: %s ended without a window (status %d); is DISPLAY right?",
			  xterm->title, xterm->emulator,
			  WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	xterm->started = 0;
}

/* ---- the relay ---- */

static void close_relay(struct xterm_session *xterm)
{
	if (xterm->relay < 0)
		return;
	host_unwatch(xterm->relay);
	close(xterm->relay);
	xterm->relay = -1;
}

static void accept_relay(struct xterm_session *xterm)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int fd = accept4(xterm->listener, NULL, NULL, SOCK_CLOEXEC);

	handle_watch(xterm->listener, 0);
	if (fd < 0)
		return;
	if (xterm->relay >= 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) ||
	    peer.uid != geteuid()) {
		close(fd);
		return;
	}
	xterm->relay = fd;
}

/* The terminal that the relay passes; -EAGAIN: not yet. Anything else: the relay is no use. */
static int receive_terminal(int relay)
{
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	long got = recvmsg(relay, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (got < 0)
		return -errno;
	if (!got || !CMSG_FIRSTHDR(&message))
		return -EPIPE;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

static void join_terminal(struct xterm_session *xterm)
{
	int fd = receive_terminal(xterm->relay);

	if (fd == -EAGAIN) {
		handle_watch(xterm->relay, 0);
	} else if (fd < 0) {
		close_relay(xterm);
	} else {
		if (session_begin(&xterm->session, fd, 1)) {
			close_relay(xterm);
			let_end(xterm);
		}
		close(fd);
	}
}

/* A byte for each change of the size; its end is the reader's. */
static void look_at_relay(struct xterm_session *xterm)
{
	char bytes[64];
	long got;

	do
		got = recv(xterm->relay, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0 && errno == EAGAIN)
		handle_watch(xterm->relay, 0);
	else
		session_end(&xterm->session);
}

static void xterm_look(struct session *session)
{
	struct xterm_session *xterm = (struct xterm_session *)session;

	wait_for_ending(xterm);
	look_at_emulator(xterm);
	if (session->state == SESSION_NONE) {
		accept_relay(xterm);
		if (xterm->relay >= 0)
			join_terminal(xterm);
	}
	if (session->state == SESSION_JOINED)
		look_at_relay(xterm);
}

static void xterm_leave(struct session *session)
{
	struct xterm_session *xterm = (struct xterm_session *)session;

	close_relay(xterm);
	let_end(xterm);
}

static int xterm_size(struct session *session, unsigned short *rows, unsigned short *columns)
{
	struct winsize size;

	if (ioctl(session->in.fd, TIOCGWINSZ, &size))
		return -ENOTTY;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return 0;
}

static const struct session_kind xterm_session_kind = {
	.look = xterm_look,
	.leave = xterm_leave,
	.size = xterm_size,
};

/* ---- opening ---- */

static void xterm_describe(struct handle *handle, char *text, unsigned long size)
{
	snprintf(text, size, "xterm");
}

static void xterm_close(struct handle *handle)
{
	struct xterm_session *xterm = (struct xterm_session *)handle;

	session_end(&xterm->session);
	close_relay(xterm);
	if (xterm->listener >= 0) {
		host_unwatch(xterm->listener);
		close(xterm->listener);
	}
	if (xterm->pid_fd >= 0) {
		host_unwatch(xterm->pid_fd);
		close(xterm->pid_fd);
	}
	free(xterm->settings);
	free(xterm->title);
	session_free(&xterm->session);
}

static const struct handle_kind xterm_handle_kind = {
	SESSION_HANDLE,
	.show = xterm_show,
	.describe = xterm_describe,
	.close = xterm_close,
};

/* The next field of the settings, if there is one that is not empty. */
static const char *field(char **rest, const char *otherwise)
{
	char *start = *rest, *comma = start ? strchr(start, ',') : NULL;

	if (comma)
		*comma = '\0';
	*rest = comma ? comma + 1 : NULL;
	return start && *start ? start : otherwise;
}

static int is_executable(const char *path)
{
	struct stat file;

	return !stat(path, &file) && S_ISREG(file.st_mode) && !access(path, X_OK);
}

static int is_in_path(const char *name)
{
	const char *folder = getenv("PATH");
	char path[4096];

	if (strchr(name, '/'))
		return is_executable(name);
	for (folder = folder ? folder : "/usr/bin:/bin"; *folder; folder += *folder == ':') {
		int length = strcspn(folder, ":");

		snprintf(path, sizeof(path), "%.*s/%s", length, folder, name);
		if (is_executable(path))
			return 1;
		folder += length;
	}
	return 0;
}

static int prepare(struct xterm_session *xterm, char *why)
{
	struct sockaddr_un address;
	unsigned long long number;
	socklen_t length;
	char *rest = xterm->settings;

	xterm->emulator = field(&rest, "xterm");
	xterm->title_switch = field(&rest, "-T");
	xterm->exec_switch = field(&rest, "-e");
	if (!getenv("DISPLAY") && !getenv("WAYLAND_DISPLAY"))
		return handle_refuse(why, -ENXIO, "DISPLAY is not set, so there is no place for a "
				     "window; set it, or use pts and screen(1)");
	if (!is_in_path(xterm->emulator))
		return handle_refuse(why, -ENOENT, "there is no program %s in PATH; install it, or "
				     "name another by xterm=<emulator>", xterm->emulator);
	if (host_random(&number, sizeof(number)))
		return handle_refuse(why, -EIO, "the host has no random numbers");
	snprintf(xterm->name, sizeof(xterm->name), "uml-terminal-%d-%016llx", getpid(), number);
	length = relay_address(&address, xterm->name);
	xterm->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (xterm->listener < 0 || bind(xterm->listener, (struct sockaddr *)&address, length) ||
	    listen(xterm->listener, 4))
		return handle_refuse(why, -errno, "no socket for it: %s", strerror(errno));
	return 0;
}

int host_console_open_xterm(const char *settings, const char *title, int flags, char *why)
{
	struct xterm_session *xterm = session_new(sizeof(*xterm), &xterm_handle_kind,
						  &xterm_session_kind, flags, why);
	int number;

	if (!xterm)
		return -ENOMEM;
	xterm->listener = xterm->relay = xterm->pid_fd = -1;
	xterm->settings = strdup(settings ? settings : "");
	xterm->title = strdup(title);
	number = prepare(xterm, why);
	if (!number)
		number = handle_add(&xterm->session.handle, why);
	if (number < 0)
		xterm_close(&xterm->session.handle);
	else
		handle_watch(xterm->listener, 0);
	return number;
}
