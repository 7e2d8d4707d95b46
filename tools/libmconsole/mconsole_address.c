// SPDX-License-Identifier: GPL-2.0-only
/* libmconsole: addresses of sockets, and time limits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "mconsole_private.h"

static int connect_short(int fd, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	return connect(fd, (void *)&address, sizeof(address));
}

/* The socket's folder is opened, and named by its descriptor. */
static int connect_long(int fd, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[4096], by_fd[128];
	int at, result, error;

	if (!slash || slash - path >= (int)sizeof(folder)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(folder, path, slash - path);
	folder[slash - path] = '\0';
	at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -1;
	snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d%s", at, slash);
	result = connect_short(fd, by_fd);
	error = errno;
	close(at);
	errno = error;
	return result;
}

int mconsole_connect(int fd, const char *path)
{
	int result = connect_short(fd, path);

	return result && errno == ENAMETOOLONG ? connect_long(fd, path) : result;
}

int mconsole_connected(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0 || !mconsole_connect(fd, path))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int64_t mconsole_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int mconsole_left(int limit, int64_t start)
{
	int64_t passed = mconsole_now() - start;

	if (limit < 0)
		return -1;
	return passed < limit ? limit - passed : 0;
}
