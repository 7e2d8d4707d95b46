// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files without a name: a memfd, or where the host refuses those, an unlinked file in TMPDIR,
 * /dev/shm or /tmp, whichever first takes the size, has room for what is needed at once and lets
 * its pages be executed (a file system mounted noexec does not).
 *
 * A memfd is sealed against being made smaller: a server that shares guest RAM must not be able to
 * take it away. It is not sealed against growing, which harms nobody and is how guest RAM would be
 * made larger while it is in use; and the set of seals is sealed, since F_SEAL_FUTURE_WRITE would
 * take the right to make new mappings.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <host/process.h>

#include "os.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8
#endif

static int executable(int fd)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return 0;
	munmap(at, 4096);
	return 1;
}

/* Whether so many bytes can be had now: asks for them and gives them back. */
static int has_room(int fd, unsigned long long needed)
{
	struct statvfs room;

	if (!needed)
		return 1;
	if (!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, needed))
		return !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, needed);
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return 0;
	errno = ENOSPC;
	return !fstatvfs(fd, &room) && room.f_bavail * room.f_frsize >= needed;
}

/*
 * The descriptor if the file serves and has room for what is needed; otherwise closes it and
 * returns -errno.
 */
static int prepared(int fd, const struct host_nameless *file, unsigned long long needed)
{
	int error = 0;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, file->size))
		error = errno;
	else if (!executable(fd))
		error = EACCES;
	else if (!has_room(fd, needed))
		error = errno;
	if (!error)
		return fd;
	close(fd);
	return -error;
}

static int in_folder(const char *folder, const struct host_nameless *file)
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
	if (fd >= 0 && file->program)
		fchmod(fd, 0700);
	return prepared(fd, file, file->needed);
}

/*
 * Has all the memory that the host has, which is not asked for ahead. What is only mapped needs no
 * right to be started as a program, and a host may refuse that right (vm.memfd_noexec=2). Linux
 * before 6.3 knows neither flag.
 */
static int file_in_memory(const struct host_nameless *file)
{
	unsigned int exec = file->program ? MFD_EXEC : MFD_NOEXEC_SEAL;
	int fd = memfd_create(file->name, MFD_CLOEXEC | MFD_ALLOW_SEALING | exec);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(file->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fd = prepared(fd, file, 0);
	if (fd >= 0)
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL);
	return fd;
}

static void file_note(struct host_nameless *file, const char *place, int error)
{
	unsigned long used = strlen(file->why);

	snprintf(file->why + used, sizeof(file->why) - used, "%s%.120s%s: %s", used ? "; " : "", place,
		 strlen(place) > 120 ? "..." : "", strerror(-error));
}

int host_nameless_make(struct host_nameless *file)
{
	const char *folders[] = { getenv("TMPDIR"), "/dev/shm", "/tmp" };
	int fd = file_in_memory(file);

	file->folder = NULL;
	file->why[0] = '\0';
	if (fd >= 0)
		return fd;
	file_note(file, "memfd_create", fd);
	for (unsigned int i = 0; fd < 0 && i < sizeof(folders) / sizeof(*folders); i++) {
		if (!folders[i] || !*folders[i])
			continue;
		fd = in_folder(folders[i], file);
		if (fd < 0)
			file_note(file, folders[i], fd);
		else
			file->folder = folders[i];
	}
	return fd;
}

int host_nameless_file(const char *name, unsigned long long size)
{
	struct host_nameless file = { .name = name, .size = size };

	return host_nameless_make(&file);
}
