// SPDX-License-Identifier: GPL-2.0-only
/*
 * The channels pts and pty: a pseudo terminal of the host, whose slave a program opens by name.
 *
 * A slave that no program has open shows as POLLHUP at the master, also at first, since it is
 * opened and closed once. While that is so there is no reader. inotify reports when one opens it,
 * and when another program opens or closes it, such as stty(1), after which the window may have
 * another size. A host that refuses inotify has us keep the slave open: then a reader is always
 * there.
 *
 * The slave is raw, so that nothing is echoed before a reader sets it up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "session.h"

struct pty_session {
	struct session session;
	const char *kind;	/* "pts" */
	int master;
	int slave;		/* kept open where openings cannot be noticed, or -1 */
	int watch;		/* of inotify, or -1 */
	char path[64];
};

/* ---- openings of slaves ---- */

static int notices = -1;	/* one descriptor for all */

static int notice(const char *path)
{
	if (notices < 0) {
		notices = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		if (notices >= 0)
			handle_watch(notices, 0);
	}
	return notices < 0 ? -1 : inotify_add_watch(notices, path, IN_OPEN | IN_CLOSE);
}

/*
 * Another line may have been looked at before its notice was read here: all are to look again,
 * until there are no notices.
 */
static void read_notices(void)
{
	char buffer[4096];
	int some = 0;

	if (notices < 0)
		return;
	while (read(notices, buffer, sizeof(buffer)) > 0)
		some = 1;
	handle_watch(notices, 0);
	if (some)
		handle_raise();
}

/* ---- readers ---- */

static int is_open(const struct pty_session *pty)
{
	struct pollfd poll_fd = { .fd = pty->master };

	return poll(&poll_fd, 1, 0) >= 0 && !(poll_fd.revents & POLLHUP);
}

static void pty_look(struct session *session)
{
	struct pty_session *pty = (struct pty_session *)session;

	read_notices();
	if (session->state == SESSION_NONE && is_open(pty))
		session_begin(session, pty->master, 0);
}

static void set_up_slave(int fd)
{
	struct termios mode;

	if (tcgetattr(fd, &mode))
		return;
	cfmakeraw(&mode);
	tcsetattr(fd, TCSANOW, &mode);
	tcflush(fd, TCIFLUSH);		/* what the last reader has not read */
}

static void pty_leave(struct session *session)
{
	struct pty_session *pty = (struct pty_session *)session;
	int fd = open(pty->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	set_up_slave(fd);
	close(fd);
}

static int pty_size(struct session *session, unsigned short *rows, unsigned short *columns)
{
	struct winsize size;

	if (ioctl(((struct pty_session *)session)->master, TIOCGWINSZ, &size) || !size.ws_row ||
	    !size.ws_col)
		return -ENOTTY;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return 0;
}

static const struct session_kind pty_session_kind = {
	.look = pty_look,
	.leave = pty_leave,
	.size = pty_size,
};

/* ---- opening ---- */

static void pty_describe(struct handle *handle, char *text, unsigned long size)
{
	struct pty_session *pty = (struct pty_session *)handle;

	snprintf(text, size, "%s:%s", pty->kind, pty->path);
}

static void pty_close(struct handle *handle)
{
	struct pty_session *pty = (struct pty_session *)handle;

	session_end(&pty->session);
	if (pty->watch >= 0)
		inotify_rm_watch(notices, pty->watch);
	if (pty->slave >= 0)
		close(pty->slave);
	if (pty->master >= 0)
		close(pty->master);
	session_free(&pty->session);
}

static const struct handle_kind pty_handle_kind = {
	SESSION_HANDLE,
	.describe = pty_describe,
	.close = pty_close,
};

/* One of the BSD pairs that no other program has; -1: there is none. */
static int open_bsd(struct pty_session *pty)
{
	static const char series[] = "pqrstuvwxyzabcde", digits[] = "0123456789abcdef";

	for (int i = 0; i < 256; i++) {
		int fd;

		snprintf(pty->path, sizeof(pty->path), "/dev/pty%c%c", series[i / 16],
			 digits[i % 16]);
		fd = open(pty->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT && i % 16 == 0)
			return -1;
		if (fd < 0)
			continue;
		pty->path[strlen("/dev/")] = 't';
		if (!access(pty->path, R_OK | W_OK))
			return fd;
		close(fd);
	}
	return -1;
}

static int open_unix98(struct pty_session *pty)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (!grantpt(fd) && !unlockpt(fd) && !ptsname_r(fd, pty->path, sizeof(pty->path)))
		return fd;
	close(fd);
	return -1;
}

static int open_pair(struct pty_session *pty, int bsd, char *why)
{
	pty->kind = "pty";
	pty->master = bsd ? open_bsd(pty) : -1;
	if (pty->master < 0) {
		pty->kind = "pts";
		pty->master = open_unix98(pty);
	}
	if (pty->master < 0)
		return handle_refuse(why, -errno, "the host gives no pseudo terminal: %s",
				     strerror(errno));
	pty->slave = open(pty->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pty->slave < 0)
		return handle_refuse(why, -errno, "%s: %s", pty->path, strerror(errno));
	set_up_slave(pty->slave);
	pty->watch = notice(pty->path);
	if (pty->watch >= 0) {
		close(pty->slave);
		pty->slave = -1;
	}
	return 0;
}

int host_console_open_pty(int bsd, int flags, char *why)
{
	struct pty_session *pty = session_new(sizeof(*pty), &pty_handle_kind, &pty_session_kind,
					      flags, why);
	int number;

	if (!pty)
		return -ENOMEM;
	pty->master = pty->slave = pty->watch = -1;
	number = open_pair(pty, bsd, why);
	if (!number)
		number = handle_add(&pty->session.handle, why);
	if (number < 0)
		pty_close(&pty->session.handle);
	else
		handle_raise();
	return number;
}
