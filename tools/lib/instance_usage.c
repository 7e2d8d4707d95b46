// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's resources that an instance uses.
 *
 * Guest RAM is one file without a name that the main process keeps open: its length is what the
 * guest was given, its blocks are what it uses. Guest code runs in child processes.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "instance_usage.h"

/* Reads a file of /proc/@pid as a string; whether it was there. */
static int read_file(int pid, const char *name, char *text, size_t room)
{
	char path[64];
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	got = fread(text, 1, room - 1, file);
	text[got] = '\0';
	fclose(file);
	return got > 0;
}

struct times {
	unsigned long long start;	/* since the host's start */
	unsigned long long run, of_children;
};

/* In clock ticks. The process's name, in parentheses, may have anything in it. */
static int read_times(int pid, struct times *times)
{
	unsigned long user, kernel;
	long user_of_children, kernel_of_children;
	char text[1024], *end;

	if (!read_file(pid, "stat", text, sizeof(text)))
		return -1;
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1,
			   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld"
			   " %*d %*d %*d %*d %llu", &user, &kernel, &user_of_children,
			   &kernel_of_children, &times->start) != 5)
		return -1;
	times->run = user + kernel;
	times->of_children = user_of_children + kernel_of_children;
	return 0;
}

/* The time of a process, and of all below it, those that have ended included. */
static unsigned long long ticks_of(int pid, int depth)
{
	char name[64], list[16384], *at = list;
	unsigned long long sum;
	struct times times;
	long child;

	if (read_times(pid, &times))
		return 0;
	sum = times.run + times.of_children;
	snprintf(name, sizeof(name), "task/%d/children", pid);
	if (!depth || !read_file(pid, name, list, sizeof(list)))
		return sum;
	while ((child = strtol(at, &at, 10)) > 0)
		sum += ticks_of(child, depth - 1);
	return sum;
}

/* The link of a descriptor that is guest RAM: ours, or that of the port inside Linux. */
static int is_ram(const char *link)
{
	const char *base = strrchr(link, '/');

	return !strncmp(link, "/memfd:guest-ram", 16) || (base && !strncmp(base, "/vm_file-", 9));
}

static int find_ram(int pid, struct stat *status)
{
	char path[300], link[256];
	struct dirent *entry;
	int found = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	while (folder && !found && (entry = readdir(folder))) {
		ssize_t length = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);

		if (length <= 0)
			continue;
		link[length] = '\0';
		found = is_ram(link) && !fstatat(dirfd(folder), entry->d_name, status, 0);
	}
	if (folder)
		closedir(folder);
	return found;
}

static unsigned long long resident(int pid)
{
	unsigned long long size, pages = 0;
	char text[128];

	if (!read_file(pid, "statm", text, sizeof(text)) ||
	    sscanf(text, "%llu %llu", &size, &pages) != 2)
		return 0;
	return pages * sysconf(_SC_PAGESIZE);
}

static double host_uptime(void)
{
	double seconds = 0;
	FILE *file = fopen("/proc/uptime", "re");

	if (file && fscanf(file, "%lf", &seconds) != 1)
		seconds = 0;
	if (file)
		fclose(file);
	return seconds;
}

int instance_usage(int pid, struct instance_usage *usage)
{
	double second = sysconf(_SC_CLK_TCK);
	struct times times;
	struct stat ram;

	memset(usage, 0, sizeof(*usage));
	if (pid <= 0 || read_times(pid, &times))
		return -1;
	usage->uptime = host_uptime() - times.start / second;
	if (usage->uptime < 0)
		usage->uptime = 0;
	usage->cpu = ticks_of(pid, 3) / second;
	if (find_ram(pid, &ram)) {
		usage->used = ram.st_blocks * 512ULL;
		usage->given = ram.st_size;
	} else {
		usage->used = resident(pid);
	}
	return 0;
}
