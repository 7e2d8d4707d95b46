// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes files that must survive whatever happens once their number has been printed: fsyncer
 * <folder> <first number>.
 *
 * Number n is kept in file n % FILES, in one of three ways by turns: a new file that is synced and
 * then renamed over the old; a file that is removed and written anew with O_DSYNC; a line at the
 * end of a log and fdatasync. Then "KEPT n" is printed. Contents are the number, eight digits,
 * over and over.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

#include "check.h"

#define FILES	24
#define MOST	(96 * 1024)

static char data[MOST + 16];

static void fill(int n, int length)
{
	for (int i = 0; i < length; i += 8)
		sprintf(data + i, "%08d", n);
}

static int length_of(int n)
{
	return 8 * (1 + (n * 7919) % (MOST / 8));
}

static void write_whole(const char *path, int flags, int n)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0644), length = length_of(n);

	need(fd >= 0);
	fill(n, length);
	need(write(fd, data, length) == length && ftruncate(fd, length) == 0 && fsync(fd) == 0);
	close(fd);
}

static void sync_folder(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);

	need(fd >= 0 && fsync(fd) == 0);
	close(fd);
}

static void keep(int n)
{
	char name[32];
	int fd;

	switch (n % 3) {
	case 0:
		sprintf(name, "renamed-%d", n % FILES);
		write_whole("new", O_TRUNC, n);
		need(rename("new", name) == 0);
		sync_folder();
		break;
	case 1:
		sprintf(name, "rewritten-%d", n % FILES);
		unlink(name);
		write_whole(name, O_EXCL | O_DSYNC, n);
		sync_folder();
		break;
	case 2:
		fd = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644);
		sprintf(data, "%08d\n", n);
		need(fd >= 0 && write(fd, data, 9) == 9 && fdatasync(fd) == 0);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	need(argc == 3 && chdir(argv[1]) == 0);
	sync_folder();
	for (int n = atoi(argv[2]);; n++) {
		keep(n);
		say("KEPT %d\n", n);
	}
}
