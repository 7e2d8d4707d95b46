// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where records go: a file for each session in a folder, named <seconds>-<microseconds> after its
 * start, or one descriptor that was inherited.
 *
 * One file is open at a time, the one that was written last, so that a guest that opens thousands
 * of terminals does not use up the descriptors of ./linux. A file that was removed is made again.
 *
 * After a record that is written in part, by a full disk, the file is cut to where it began. Runs
 * on the thread that writes, but for the start and the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <host/process.h>

#include "log_files.h"
#include "log_ring.h"

static int folder = -1;			/* -1: one descriptor for all */
static int file = -1;			/* that descriptor, or the file of file_session */
static unsigned long file_session;	/* 0: of none */
static char name[PATH_MAX + 16];

const char *log_files_name(void)
{
	return name;
}

void log_files_use_folder(const char *path)
{
	snprintf(name, sizeof(name), "tty_log_dir=%s", path);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		host_fatal("%s: %s; name a folder that you can write to", name, strerror(errno));
	if (faccessat(folder, ".", W_OK | X_OK, AT_EACCESS))
		host_fatal("%s: files cannot be made there: %s; name a folder that you can write "
			   "to", name, strerror(errno));
}

void log_files_use_descriptor(const char *number)
{
	char *end;
	long fd = strtol(number, &end, 10);
	int flags;

	snprintf(name, sizeof(name), "tty_log_fd=%s", number);
	if (end == number || *end || fd < 0 || fd > INT_MAX)
		host_fatal("%s: not the number of a descriptor; start ./linux with, say, 9>log and "
			   "tty_log_fd=9", name);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		host_fatal("%s: %s; start ./linux with, say, %s>log", name,
			   flags < 0 ? "it is not open" : "it cannot be written to", number);
	file = fd;
	fcntl(file, F_SETFD, FD_CLOEXEC);
}

void log_files_leave(void)
{
	if (folder < 0 && file >= 0)
		fcntl(file, F_SETFD, 0);
}

static int is_removed(int fd)
{
	struct stat status;

	return !fstat(fd, &status) && !status.st_nlink;
}

/* The descriptor to write to, or -errno. */
static int file_of(const struct host_ttylog *session)
{
	char path[64];

	if (folder < 0 || (file_session == session->id && !is_removed(file)))
		return file;
	if (file >= 0)
		close(file);
	file_session = 0;
	snprintf(path, sizeof(path), "%lu-%06lu", session->seconds, session->microseconds);
	file = openat(folder, path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return -errno;
	file_session = session->id;
	return file;
}

/* Where the next byte goes, or -1 if the file cannot be cut there. */
static off_t place(int fd)
{
	struct stat status;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return -1;
	return fcntl(fd, F_GETFL) & O_APPEND ? status.st_size : lseek(fd, 0, SEEK_CUR);
}

static void cut(int fd, off_t at)
{
	if (at >= 0 && !ftruncate(fd, at))
		lseek(fd, at, SEEK_SET);
}

int log_files_write(const struct host_ttylog *session, const char *bytes, size_t length)
{
	int fd = file_of(session);
	off_t start = fd >= 0 ? place(fd) : -1;

	if (fd < 0)
		return fd;
	while (length) {
		ssize_t done = write(fd, bytes, length);

		if (done < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		} else if (done < 0 && errno != EINTR) {
			int error = -errno;

			cut(fd, start);
			return error;
		} else if (done > 0) {
			bytes += done;
			length -= done;
		}
	}
	return 0;
}
