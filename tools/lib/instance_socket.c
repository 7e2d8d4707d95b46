// SPDX-License-Identifier: GPL-2.0-only
/* The sockets in an instance's folder; see instance_socket.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <mconsole.h>

#include "instance_socket.h"

/* 0, or a code of libmconsole. */
static int find_address(const char *name, const char *uml_dir, const char *entry,
			struct sockaddr_un *address)
{
	char *path, *slash;
	int code = mconsole_find(name, uml_dir, &path), length;

	if (code) {
		free(path);
		return code;
	}
	slash = strrchr(path, '/');
	length = snprintf(address->sun_path, sizeof(address->sun_path), "%.*s%s",
			  slash ? (int)(slash + 1 - path) : 0, path, entry);
	free(path);
	return length < (int)sizeof(address->sun_path) ? 0 : MCONSOLE_NOBODY;
}

int instance_connect(const char *name, const char *uml_dir, const char *entry)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int code = find_address(name, uml_dir, entry, &address), fd;

	if (code)
		return code;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (void *)&address, sizeof(address)))
		return fd;
	code = errno == ECONNREFUSED ? MCONSOLE_DEAD :
	       errno == EACCES ? MCONSOLE_DENIED : MCONSOLE_SYSTEM;
	if (errno == ENOENT)
		errno = EOPNOTSUPP;
	if (fd >= 0) {
		int error = errno;

		close(fd);
		errno = error;
	}
	return code;
}
