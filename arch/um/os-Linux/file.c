// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files without a name: a memfd, or where the host refuses those, an unlinked file in TMPDIR, /dev/shm or /tmp, whichever
 * first takes the size and lets its pages be executed (a file system mounted noexec does not).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <host/process.h>

#include "os.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10
#endif

static int executable(int fd)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return 0;
	munmap(at, 4096);
	return 1;
}

/* The descriptor if the file serves; otherwise closes it and returns -errno. */
static int prepared(int fd, unsigned long long size)
{
	int error = 0;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size))
		error = errno;
	else if (!executable(fd))
		error = EACCES;
	if (!error)
		return fd;
	close(fd);
	return -error;
}

static int in_folder(const char *folder, unsigned long long size)
{
	char path[4096];
	int fd;

	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (fd < 0) {
		if (snprintf(path, sizeof(path), "%s/linux-XXXXXX", folder) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd >= 0)
		fchmod(fd, 0700);	/* the stub program is executed from such a file */
	return prepared(fd, size);
}

int host_nameless_file(const char *name, unsigned long long size)
{
	const char *folders[] = { getenv("TMPDIR"), "/dev/shm", "/tmp" };
	static int told;
	int fd, error;

	fd = memfd_create(name, MFD_CLOEXEC | MFD_EXEC);
	if (fd < 0 && errno == EINVAL)		/* before Linux 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC);
	error = fd = prepared(fd, size);
	for (unsigned int i = 0; fd < 0 && i < sizeof(folders) / sizeof(*folders); i++) {
		if (!folders[i] || !*folders[i])
			continue;
		fd = in_folder(folders[i], size);
		if (fd >= 0 && !told++)
			host_warn("memfd_create is refused (%s): guest RAM is a file in %s", strerror(-error), folders[i]);
	}
	return fd;
}
