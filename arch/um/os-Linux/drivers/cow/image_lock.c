// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks on images: two users of one image, of which one writes, are kept apart. They are locks of
 * an open file, so the same image twice in one ./linux is refused like in two of them, and they end
 * with the process, whatever ends it. Any thread; may sleep for a second.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cow.h"
#include "cow_files.h"
#include "image_lock.h"

#define PAUSE_NS 10000000		/* between trials to lock an image whose owner has gone */
#define TRIAL_SECONDS 1

static void name_owner(int fd, const char *path, struct flock *lock, int *owner, char *why)
{
	struct stat status;

	*owner = 0;
	if (fcntl(fd, F_OFD_GETLK, lock) == 0 && lock->l_type != F_UNLCK && lock->l_pid > 0)
		*owner = lock->l_pid;
	else if (fstat(fd, &status) == 0)
		*owner = lock_owner(&status);
	if (*owner == getpid())
		*owner = -1;
	if (*owner < 0)
		cow_error(0, why, "%s is another disk already", path);
	else if (*owner)
		cow_error(0, why, "%s is in use by process %d", path, *owner);
	else
		cow_error(0, why, "%s is in use by another process", path);
}

/*
 * 0 or -errno. A killed process may be gone before its last transfers are, and its locks end with
 * these. So a lock without an owner is waited for.
 */
static int lock_in_time(int fd, const struct flock *lock)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct timespec start, now;
	struct stat status;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (fcntl(fd, F_OFD_SETLK, lock) < 0) {
		int error = -errno;

		clock_gettime(CLOCK_MONOTONIC, &now);
		if (error != -EAGAIN && error != -EACCES)
			return error;
		if (now.tv_sec > start.tv_sec + TRIAL_SECONDS || fstat(fd, &status) < 0 ||
		    lock_owner(&status))
			return error;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int image_lock(int fd, const char *path, int write, int *owner, char *why)
{
	struct flock lock = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	int error = lock_in_time(fd, &lock);

	if (error == -ENOLCK || error == -EINVAL || error == -ENOSYS || error == -EOPNOTSUPP)
		return 0;	/* there are no locks there */
	if (!error || (error != -EAGAIN && error != -EACCES))
		return error;
	name_owner(fd, path, &lock, owner, why);
	return -EAGAIN;
}

void image_unlock(int fd)
{
	const struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (fd >= 0)
		fcntl(fd, F_OFD_SETLK, &lock);
}
