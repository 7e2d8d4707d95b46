// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has a file locked. Locks of an open file belong to no process as far as fcntl() tells, so
 * look where the host shows them: /proc/<pid>/fdinfo/<fd> has a line "lock:" for a descriptor that
 * holds one. Only processes that we may look into are found. For messages at the start; not fast.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_lock.h"

static int holds_lock(const char *pid, const char *fd)
{
	char path[64], text[512];
	long length;
	int info;

	snprintf(path, sizeof(path), "/proc/%.10s/fdinfo/%.10s", pid, fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return 0;
	length = read(info, text, sizeof(text) - 1);
	close(info);
	text[length > 0 ? length : 0] = '\0';
	return strstr(text, "lock:") != NULL;
}

static int locks(const char *pid, const struct stat *file)
{
	char path[64];
	struct dirent *entry;
	struct stat other;
	int found = 0;
	DIR *descriptors;

	snprintf(path, sizeof(path), "/proc/%.10s/fd", pid);
	descriptors = opendir(path);
	if (!descriptors)
		return 0;
	while (!found && (entry = readdir(descriptors)))
		found = isdigit(entry->d_name[0]) &&
			fstatat(dirfd(descriptors), entry->d_name, &other, 0) == 0 &&
			other.st_ino == file->st_ino && other.st_dev == file->st_dev &&
			holds_lock(pid, entry->d_name);
	closedir(descriptors);
	return found;
}

int lock_owner(const struct stat *file)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	int owner = 0;

	if (!processes)
		return 0;
	while (!owner && (entry = readdir(processes)))
		if (isdigit(entry->d_name[0]) && locks(entry->d_name, file))
			owner = atoi(entry->d_name);
	closedir(processes);
	return owner;
}
