// SPDX-License-Identifier: GPL-2.0-only
/* Sockets with a name in the file system: taken over from a dead switch, and removed at the end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "switch.h"
#include "tool.h"

#define MOST_SOCKETS	2
#define LOCK_TRIES	200		/* of 10 ms */

static const char *bound[MOST_SOCKETS];
static unsigned int bound_count;
static int lock = -1;			/* on the folder, until all sockets serve */

/* Switches that start at the same time take turns. Other programs cannot hold it up for ever. */
static void lock_folder(const char *path)
{
	const struct timespec pause = { 0, 10000000 };
	char *copy = strdup(path);

	if (lock < 0 && copy)
		lock = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; lock >= 0 && i < LOCK_TRIES && flock(lock, LOCK_EX | LOCK_NB) < 0; i++)
		nanosleep(&pause, NULL);
	free(copy);
}

static int is_served(const struct sockaddr_un *address, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int served = fd < 0 || connect(fd, (const void *)address, sizeof(*address)) == 0 ||
		     errno != ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return served;
}

/* Only its user can connect until mode and group are right. */
static int bind_to(int fd, const struct sockaddr_un *address, int mode, int group)
{
	const char *path = address->sun_path;
	mode_t mask = umask(0), all = mode >= 0 ? (mode_t)mode : 0777 & ~mask;
	int error;

	umask(group >= 0 ? 0177 : 0777 & ~all);
	error = bind(fd, (const void *)address, sizeof(*address)) < 0 ? errno : 0;
	umask(mask);
	if (error || group < 0)
		return error;
	if (chown(path, -1, group) < 0 || chmod(path, all) < 0) {
		error = errno;
		unlink(path);
	}
	return error;
}

int socket_bound(const char *path, int type, int mode, int group)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error, fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("there can be no socket: %s", strerror(errno));
	if (strlen(path) >= sizeof(address.sun_path))
		die("%s: a socket's path has at most %zu bytes", path,
		    sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	lock_folder(path);
	error = bind_to(fd, &address, mode, group);
	if (error == EADDRINUSE && is_served(&address, type))
		die("The control socket '%s' has another server attached to it; name another one "
		    "with -unix, or end that server", path);
	if (error == EADDRINUSE) {
		if (unlink(path) < 0)
			die("%s is left from a switch that is gone, and cannot be removed: %s",
			    path, strerror(errno));
		error = bind_to(fd, &address, mode, group);
	}
	if (error)
		die("%s: the socket cannot be made: %s", path, strerror(error));
	if (!bound_count)
		atexit(sockets_remove);
	bound[bound_count++] = path;
	return fd;
}

void sockets_serve(int fd)
{
	if (listen(fd, SOMAXCONN) < 0)
		die("%s: %s", bound[0], strerror(errno));
	if (lock >= 0)
		close(lock);
	lock = -1;
}

void sockets_remove(void)
{
	while (bound_count)
		unlink(bound[--bound_count]);
}
