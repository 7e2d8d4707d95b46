// SPDX-License-Identifier: GPL-2.0-only
/* What uml_moo and uml_mkcow have in common: locks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>

#include "cow_files.h"
#include "cow_tool.h"
#include "image_lock.h"

int locked_by(int fd, int write)
{
	struct flock lock = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	struct stat file;
	int owner;

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	if (lock.l_pid > 0)
		return lock.l_pid;
	owner = fstat(fd, &file) == 0 ? lock_owner(&file) : 0;
	return owner ? owner : -1;
}

int lock_file(void *unused, int fd, const char *path, int write, char why[COW_WHY])
{
	char said[COW_WHY];
	int owner, error = image_lock(fd, path, write, &owner, said);

	(void)unused;
	if (error == -EAGAIN)
		return cow_error(error, why, "%s; end that first", said);
	return error;
}
