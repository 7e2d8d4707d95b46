// SPDX-License-Identifier: GPL-2.0-only
/*
 * The channel unix:<path>: a listening stream socket of the host that its owner alone can connect
 * to. One that a killed ./linux has left is taken over, one that a program listens on is refused.
 * That is found out and the name bound under a lock on the folder, so that of several that start
 * at once only one gets it. It is removed at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "handles.h"
#include "os.h"
#include "socket_session.h"

#define MOST_SOCKETS 80

static struct bound {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device;
	ino_t inode;
} bound[MOST_SOCKETS];	/* path "": a free entry */

/* If the name is still that of our socket. */
static void remove_name(struct bound *entry)
{
	struct stat file;

	if (entry->path[0] && !lstat(entry->path, &file) && file.st_dev == entry->device &&
	    file.st_ino == entry->inode)
		unlink(entry->path);
	entry->path[0] = '\0';
}

static void remove_all(void)
{
	for (int i = 0; i < MOST_SOCKETS; i++)
		remove_name(&bound[i]);
}

static void remember(const struct sockaddr_un *address)
{
	static int registered;
	struct stat file;

	if (!registered)
		host_at_exit(remove_all);
	registered = 1;
	for (int i = 0; i < MOST_SOCKETS && !stat(address->sun_path, &file); i++) {
		if (bound[i].path[0])
			continue;
		bound[i].device = file.st_dev;
		bound[i].inode = file.st_ino;
		memcpy(bound[i].path, address->sun_path, sizeof(bound[i].path));
		return;
	}
}

static void unix_closed(const char *name)
{
	for (int i = 0; i < MOST_SOCKETS; i++)
		if (!strcmp(bound[i].path, name + strlen("unix:")))
			remove_name(&bound[i]);
}

/* A lock that does not come within a second is of a program that has another purpose. */
static int lock_folder(const char *path)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	char folder[sizeof(bound->path) + 2];
	char *slash;
	int fd;

	snprintf(folder, sizeof(folder), "%s%s", path[0] == '/' ? "" : "./", path);
	slash = strrchr(folder, '/');
	slash[slash == folder] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < 100 && flock(fd, LOCK_EX | LOCK_NB); i++)
		nanosleep(&moment, NULL);
	return fd;
}

/* Removes a socket that no program listens on. 0 or -errno. */
static int take_over(const struct sockaddr_un *address, char *why)
{
	struct stat file;
	int probe, result;

	if (lstat(address->sun_path, &file))
		return 0;
	if (!S_ISSOCK(file.st_mode))
		return handle_refuse(why, -EEXIST,
				     "the file exists and is no socket; name another");
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	result = connect(probe, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(probe);
	if (result != ECONNREFUSED)
		return handle_refuse(why, -EADDRINUSE,
				     "a program listens there already; name another socket");
	if (unlink(address->sun_path))
		return handle_refuse(why, -errno, "the stale socket cannot be removed: %s",
				     strerror(errno));
	return 0;
}

static int bind_there(int fd, const struct sockaddr_un *address, char *why)
{
	int error = take_over(address, why);

	if (error)
		return error;
	if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	    listen(fd, 32))
		return handle_refuse(why, -errno, "cannot listen there: %s", strerror(errno));
	remember(address);
	return 0;
}

static int unix_listen(const char *path, char *name, unsigned long size, char *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int folder, fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return handle_refuse(why, -ENAMETOOLONG,
				     "the path is longer than the 107 bytes of a socket");
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return handle_refuse(why, -errno, "the host refuses a socket: %s", strerror(errno));
	folder = lock_folder(path);
	error = bind_there(fd, &address, why);
	if (folder >= 0)
		close(folder);
	if (error) {
		close(fd);
		return error;
	}
	snprintf(name, size, "unix:%s", path);
	return fd;
}

static const struct socket_kind unix_kind = {
	.listen = unix_listen,
	.closed = unix_closed,
};

int host_console_open_unix(const char *path, int flags, char *why)
{
	char name[256];

	snprintf(name, sizeof(name), "unix:%s", path);
	return socket_session_open(&unix_kind, name, path, flags, why);
}
