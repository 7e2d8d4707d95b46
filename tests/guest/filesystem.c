// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a file system owes a program, in a fresh directory: filesystem [<directory> [<entries>]]
 *
 * One function a subject; each checks its sentences and cleans up. What the file system, or the
 * user, may not do at all is skipped.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "check.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static long entries = 2000;

static int make(const char *name, const char *content)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);

	need(fd >= 0);
	need(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	return fd;
}

static int holds(const char *name, const char *content)
{
	char buffer[256] = "";
	int fd = open(name, O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer));

	if (fd >= 0)
		close(fd);
	return length == (ssize_t)strlen(content) && !memcmp(buffer, content, length);
}

static void test_links(void)
{
	struct stat a, b;
	char target[64] = "";

	close(make("a", "one"));
	check(link("a", "b") == 0 && !stat("a", &a) && !stat("b", &b) && a.st_ino == b.st_ino &&
		      a.st_nlink == 2,
	      "a hard link is the same file, with two links");
	check(unlink("a") == 0 && holds("b", "one") && !stat("b", &b) && b.st_nlink == 1,
	      "removing one name leaves the other");
	check(symlink("b", "s") == 0 && readlink("s", target, sizeof(target)) == 1 &&
		      target[0] == 'b' && holds("s", "one"),
	      "a symbolic link says and leads where it should");
	check(!lstat("s", &a) && S_ISLNK(a.st_mode) && a.st_size == 1, "its status is its own");
	check(link("b", "s") < 0 && errno == EEXIST, "a link over a name that is there is refused");
	unlink("s");
	unlink("b");
}

static void test_rename(void)
{
	struct stat status;

	close(make("a", "one"));
	close(make("b", "two"));
	check(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) < 0 && errno == EEXIST &&
		      holds("b", "two"),
	      "rename with NOREPLACE leaves what is there");
	check(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == 0 && holds("a", "two") &&
		      holds("b", "one"),
	      "rename with EXCHANGE exchanges");
	check(rename("a", "b") == 0 && holds("b", "two") && stat("a", &status) < 0 &&
		      errno == ENOENT,
	      "rename replaces");
	need(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
	check(rename("d", "d/e/f") < 0 && errno == EINVAL,
	      "a directory cannot be moved into itself");
	check(rename("b", "d/e/b") == 0 && holds("d/e/b", "two"),
	      "rename moves between directories");
	check(rename("d/e", "e") == 0 && holds("e/b", "two") && rmdir("d") == 0,
	      "directories move with what is in them");
	check(rmdir("e") < 0 && errno == ENOTEMPTY,
	      "a directory with something in it is not removed");
	unlink("e/b");
	rmdir("e");
}

static void test_unlinked(void)
{
	char buffer[8] = "";
	struct stat status;
	int fd = make("gone", "abc");

	need(unlink("gone") == 0);
	check(!fstat(fd, &status) && status.st_nlink == 0,
	      "an open file without a name has no links");
	check(pwrite(fd, "XY", 2, 1) == 2 && pread(fd, buffer, 8, 0) == 3 &&
		      !memcmp(buffer, "aXY", 3) && ftruncate(fd, 1) == 0 && fchmod(fd, 0600) == 0 &&
		      !fstat(fd, &status) && status.st_size == 1 && (status.st_mode & 0777) == 0600,
	      "and can be used like any other");
	close(fd);
}

/* Copies between two files, which meet what is cached of the target in the middle of pages. */
static void test_copies(void)
{
	int from = make("from", "hello\n"), to = make("to", "head\n");
	char all[64] = "", *map;
	loff_t at = 0, end = 5;

	check(copy_file_range(from, &at, to, &end, 6, 0) == 6 && write(to, "tail\n", 0) == 0 &&
	      pwrite(to, "tail\n", 5, 11) == 5 && holds("to", "head\nhello\ntail\n"),
	      "a copy from another file is between what was written before and after it");
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	need(map != MAP_FAILED);
	map[0] = 'H';
	at = 0;
	end = 5;
	check(copy_file_range(from, &at, to, &end, 5, 0) == 5 &&
		      !memcmp(map, "Head\nhello\ntail\n", 16),
	      "a copy into a page that is mapped and was written to keeps the rest of it");
	check(pread(to, all, sizeof(all), 0) == 16 && !memcmp(all, "Head\nhello\ntail\n", 16),
	      "and so does what is read");
	munmap(map, 4096);
	close(from);
	close(to);
	unlink("from");
	unlink("to");
}

static int same_file(int a, int b)
{
	struct stat one, two;

	return !fstat(a, &one) && !fstat(b, &two) && one.st_ino == two.st_ino &&
	       one.st_dev == two.st_dev;
}

static int open_through(int fd, int flags)
{
	char itself[64];

	snprintf(itself, sizeof(itself), "/proc/self/fd/%d", fd);
	return open(itself, flags);
}

/* Files and directories that are open, and whose names are gone. */
static void test_nameless(void)
{
	int fd, again, path, dir;
	char text[8] = "";
	struct stat status;

	close(make("n", "text"));
	fd = open("n", O_RDONLY);
	path = open("n", O_PATH);
	need(fd >= 0 && path >= 0 && unlink("n") == 0);
	again = open_through(fd, O_RDWR);
	check(again >= 0 && same_file(fd, again) && pwrite(again, "TE", 2, 0) == 2 &&
	      pread(fd, text, 4, 0) == 4 && !strcmp(text, "TExt"),
	      "a file without a name is opened through /proc/self/fd, for writing too");
	close(again);
	again = open_through(path, O_RDONLY);
	check(again >= 0 && same_file(fd, again), "also through a path descriptor");
	check(fchmod(fd, 0640) == 0 && futimens(fd, NULL) == 0 && fstat(fd, &status) == 0 &&
	      (status.st_mode & 0777) == 0640 && status.st_nlink == 0,
	      "its attributes can be changed");
	close(fd);
	close(again);
	close(path);

	/* Nobody has it open but by a path. */
	close(make("n", "kept"));
	path = open("n", O_PATH);
	need(unlink("n") == 0);
	fd = open_through(path, O_RDONLY);
	check(fd >= 0 && read(fd, text, 4) == 4 && !strcmp(text, "kept"),
	      "a path descriptor alone keeps a file without a name");
	close(fd);
	close(path);
	close(make("n", "old"));
	close(make("m", "new"));
	path = open("n", O_PATH);
	need(rename("m", "n") == 0);
	fd = open_through(path, O_RDONLY);
	check(fd >= 0 && read(fd, text, 3) == 3 && !memcmp(text, "old", 3) && holds("n", "new"),
	      "and one whose name became another file's");
	close(fd);
	close(path);
	unlink("n");

	need(mkdir("d", 0700) == 0);
	dir = open("d", O_RDONLY | O_DIRECTORY);
	need(dir >= 0 && rmdir("d") == 0);
	check(fchmod(dir, 0711) == 0 && fstat(dir, &status) == 0 &&
		      (status.st_mode & 0777) == 0711 && futimens(dir, NULL) == 0,
	      "a directory without a name has attributes");
	again = openat(dir, ".", O_RDONLY | O_DIRECTORY);
	check(again >= 0 && same_file(dir, again), "and is opened again");
	check(openat(dir, "x", O_RDWR | O_CREAT, 0600) < 0 && errno == ENOENT,
	      "but nothing is made in it");
	close(again);
	close(dir);
}

static void test_tmpfile(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	char path[64];

	if (fd < 0 && errno == EOPNOTSUPP) {
		check_skip("O_TMPFILE makes a file without a name", "not on this file system");
		return;
	}
	check(fd >= 0 && write(fd, "tmp", 3) == 3, "O_TMPFILE makes a file without a name");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0 && close(fd) == 0 &&
		      holds("named", "tmp"),
	      "which can be given one");
	unlink("named");
}

static void test_append(void)
{
	int a, b;

	close(make("log", ""));
	a = open("log", O_WRONLY | O_APPEND);
	b = open("log", O_WRONLY | O_APPEND);
	check(write(a, "1", 1) == 1 && write(b, "2", 1) == 1 && write(a, "3", 1) == 1 &&
		      holds("log", "123"),
	      "two that append do not overwrite each other");
	close(a);
	close(b);
	unlink("log");
}

static void test_mapping(void)
{
	static char page[8192];
	char *shared, *private;
	int fd;

	memset(page, 'x', sizeof(page));
	fd = open("map", O_RDWR | O_CREAT, 0644);
	need(write(fd, page, sizeof(page)) == sizeof(page));
	shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	need(shared != MAP_FAILED && private != MAP_FAILED);
	private[0] = 'p';
	shared[4096] = 's';
	check(pread(fd, page, 1, 0) == 1 && page[0] == 'x',
	      "what is written to a private mapping stays there");
	check(pread(fd, page, 1, 4096) == 1 && page[0] == 's' && private[4096] == 's',
	      "what is written to a shared one is the file's");
	need(pwrite(fd, "w", 1, 5000) == 1);
	check(shared[5000] == 'w', "what is written to the file is in its mappings");
	close(fd);
	shared[4097] = 't';
	check(msync(shared, 8192, MS_SYNC) == 0,
	      "a mapping can be synced after the file was closed");
	munmap(shared, 8192);
	munmap(private, 8192);
	fd = open("map", O_RDONLY);
	check(pread(fd, page, 2, 4096) == 2 && !memcmp(page, "st", 2), "and is written back");
	close(fd);
	unlink("map");
}

static void test_direct(void)
{
	static char out[65536] __attribute__((aligned(4096))),
		in[65536] __attribute__((aligned(4096)));
	int fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0644), cached;

	if (fd < 0 && errno == EINVAL) {
		check_skip("O_DIRECT reads and writes", "not on this file system");
		return;
	}
	for (unsigned int i = 0; i < sizeof(out); i++)
		out[i] = i * 7 >> 3;
	check(fd >= 0 && write(fd, out, sizeof(out)) == sizeof(out) &&
		      pread(fd, in, sizeof(in), 0) == sizeof(in) && !memcmp(in, out, sizeof(in)),
	      "O_DIRECT reads and writes");
	cached = open("direct", O_RDWR);
	need(pread(cached, in, 100, 0) == 100);
	out[0] = 'd';
	check(pwrite(fd, out, 4096, 0) == 4096 && pread(cached, in, 1, 0) == 1 && in[0] == 'd',
	      "and ordinary reading sees it");
	check(pwrite(cached, "c", 1, 1) == 1 && pread(fd, in, 4096, 0) == 4096 && in[1] == 'c',
	      "as it sees what was written ordinarily");
	check(pread(fd, in, sizeof(in), 61440) == 4096, "it ends at the end of the file");
	close(fd);
	close(cached);
	unlink("direct");
}

static void test_sparse(void)
{
	char buffer[16];
	struct stat status;
	int fd = open("sparse", O_RDWR | O_CREAT, 0644);

	need(pwrite(fd, "end", 3, 1 << 20) == 3 && fsync(fd) == 0);
	check(!fstat(fd, &status) && status.st_size == (1 << 20) + 3 && status.st_blocks < 1024,
	      "a file with a hole takes little space");
	check(lseek(fd, 0, SEEK_DATA) == 1 << 20 && lseek(fd, 0, SEEK_HOLE) == 0 &&
	      lseek(fd, 1 << 20, SEEK_HOLE) == (1 << 20) + 3, "SEEK_DATA and SEEK_HOLE find it");
	check(lseek(fd, 2 << 20, SEEK_DATA) < 0 && errno == ENXIO, "and nothing past the end");
	check(fallocate(fd, FALLOC_FL_KEEP_SIZE, 2 << 20, 65536) == 0 && !fstat(fd, &status) &&
		      status.st_size == (1 << 20) + 3,
	      "space can be allocated past the end");
	check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 4096) == 0 &&
		      pread(fd, buffer, 16, 1 << 20) == 3 && !memcmp(buffer, "\0\0\0", 3),
	      "a hole can be punched");
	check(fallocate(fd, 0, 3 << 20, 4096) == 0 && !fstat(fd, &status) &&
		      status.st_size == (3 << 20) + 4096,
	      "allocation can make a file longer");
	close(fd);
	unlink("sparse");
}

static void test_times(void)
{
	struct timespec times[2] = { { 1000000000, 123456789 }, { 1234567890, 987654321 } };
	struct stat before, after;
	int fd = make("times", "x");

	check(futimens(fd, times) == 0 && !fstat(fd, &after) &&
		      after.st_mtim.tv_sec == 1234567890 && after.st_mtim.tv_nsec == 987654321 &&
		      after.st_atim.tv_sec == 1000000000 && after.st_atim.tv_nsec == 123456789,
	      "times are kept to the nanosecond");
	close(fd);
	check(!stat("times", &after) && after.st_mtim.tv_nsec == 987654321,
	      "also after what was written before them is on disk");
	times[0].tv_nsec = UTIME_OMIT;
	times[1].tv_nsec = UTIME_NOW;
	check(utimensat(AT_FDCWD, "times", times, 0) == 0 && !stat("times", &after) &&
		      after.st_atim.tv_sec == 1000000000 && after.st_mtim.tv_sec > 1600000000,
	      "one can be left, the other made now");
	need(!stat("times", &before));
	usleep(30000);
	fd = open("times", O_WRONLY);
	need(write(fd, "y", 1) == 1 && !fstat(fd, &after));
	check(after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
		      after.st_mtim.tv_nsec > before.st_mtim.tv_nsec,
	      "writing sets the time");
	close(fd);
	need(symlink("times", "link") == 0);
	times[1] = (struct timespec){ 1111111111, 1 };
	check(utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW) == 0 &&
		      !lstat("link", &after) && after.st_mtim.tv_sec == 1111111111,
	      "a symbolic link has times of its own");
	unlink("link");
	unlink("times");
}

static void test_modes(void)
{
	struct stat status;
	mode_t old = umask(027);
	int fd = open("mode", O_RDWR | O_CREAT | O_EXCL, 0666);

	check(!fstat(fd, &status) && (status.st_mode & 07777) == 0640,
	      "a new file has the mode that umask leaves");
	umask(0);
	check(mkdir("dir", 01777) == 0 && !stat("dir", &status) &&
		      (status.st_mode & 07777) == 01777,
	      "a directory too");
	umask(old);
	check(fchmod(fd, 0400) == 0 && write(fd, "still", 5) == 5,
	      "who has a file open may go on writing when its mode forbids it");
	close(fd);
	fd = open("readonly", O_RDWR | O_CREAT | O_EXCL, 0444);
	check(fd >= 0 && write(fd, "x", 1) == 1 && !close(fd) && holds("readonly", "x"),
	      "also in a file made read-only");
	check(chmod("mode", 04755) == 0 && !stat("mode", &status) &&
		      (status.st_mode & 07777) == 04755,
	      "set-user-id can be set");
	unlink("readonly");
	unlink("mode");
	rmdir("dir");
}

static void test_xattrs(void)
{
	char value[65536], list[1024];
	ssize_t length;

	close(make("x", ""));
	if (setxattr("x", "user.test", "value", 5, XATTR_CREATE) && errno == EOPNOTSUPP) {
		check_skip("extended attributes", "not on this file system");
		unlink("x");
		return;
	}
	check(getxattr("x", "user.test", value, sizeof(value)) == 5 && !memcmp(value, "value", 5),
	      "an extended attribute is kept");
	check(getxattr("x", "user.test", NULL, 0) == 5 &&
		      getxattr("x", "user.test", value, 2) < 0 && errno == ERANGE,
	      "its size can be asked, and a short buffer is refused");
	check(setxattr("x", "user.test", "v", 1, XATTR_CREATE) < 0 && errno == EEXIST &&
		      setxattr("x", "user.none", "v", 1, XATTR_REPLACE) < 0 && errno == ENODATA,
	      "creating and replacing are told apart");
	length = listxattr("x", list, sizeof(list));
	check(length > 0 && memmem(list, length, "user.test", 10), "it is listed");
	check(removexattr("x", "user.test") == 0 && getxattr("x", "user.test", value, 5) < 0 &&
		      errno == ENODATA,
	      "and can be removed");
	need(mkdir("xd", 0755) == 0);
	check(setxattr("xd", "user.dir", "d", 1, 0) == 0 &&
		      getxattr("xd", "user.dir", value, 5) == 1,
	      "directories have them too");
	rmdir("xd");
	unlink("x");
}

static void test_special(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), in;
	struct stat status;
	char byte = 0;

	check(mkfifo("pipe", 0600) == 0 && !stat("pipe", &status) && S_ISFIFO(status.st_mode),
	      "a named pipe can be made");
	in = open("pipe", O_RDONLY | O_NONBLOCK);
	check(in >= 0 && write(open("pipe", O_WRONLY), "p", 1) == 1 && read(in, &byte, 1) == 1 &&
		      byte == 'p',
	      "and used");
	close(in);
	check(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		      !stat("socket", &status) && S_ISSOCK(status.st_mode),
	      "a socket can be bound");
	close(fd);
	unlink("pipe");
	unlink("socket");
	if (mknod("null", S_IFCHR | 0666, makedev(1, 3)) && errno == EPERM) {
		check_skip("a device can be made", "this user may not");
		return;
	}
	check(!stat("null", &status) && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3),
	      "a device can be made");
	unlink("null");
}

static void test_names(void)
{
	static const char odd[] = "\xff\xfe \n\"'\\*?[", *const refused[] = { "", "x/", NULL };
	char longest[256];

	close(make(odd, "odd"));
	check(holds(odd, "odd") && unlink(odd) == 0, "a name is any bytes");
	memset(longest, 'n', 255);
	longest[255] = 0;
	close(make(longest, "long"));
	check(holds(longest, "long") && unlink(longest) == 0, "a name can be 255 bytes long");
	for (const char *const *name = refused; *name; name++)
		check(open(*name, O_RDWR | O_CREAT, 0600) < 0, "what is no name is refused");
}

static int compare_numbers(const void *a, const void *b)
{
	return *(const long *)a - *(const long *)b;
}

/* Every entry is listed once, from the start and from positions that were told before. */
static void test_directory(void)
{
	long *positions = calloc(entries + 2, sizeof(long)),
	     *numbers = calloc(entries + 2, sizeof(long)), found = 0, doubled = 0;
	struct dirent *entry;
	char name[300];
	DIR *dir;
	int good = 1;

	need(mkdir("many", 0755) == 0);
	for (long i = 0; i < entries; i++) {
		snprintf(name, sizeof(name), "many/entry-%ld", i);
		int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);

		need(fd >= 0);
		close(fd);
	}
	dir = opendir("many");
	need(dir);
	for (;;) {
		long position = telldir(dir);

		entry = readdir(dir);
		if (!entry)
			break;
		if (entry->d_name[0] == '.')
			continue;
		positions[found] = position;
		need(found < entries);
		numbers[found++] = atol(entry->d_name + 6);
	}
	check_equal(found, entries, "a directory lists all its entries");
	for (long i = 0; i < found; i += found / 50 + 1) {
		seekdir(dir, positions[i]);
		entry = readdir(dir);
		good &= entry && atol(entry->d_name + 6) == numbers[i];
	}
	check(good, "positions in it can be gone back to");
	qsort(numbers, found, sizeof(long), compare_numbers);
	for (long i = 1; i < found; i++)
		doubled += numbers[i] == numbers[i - 1];
	check(doubled == 0, "none is listed twice");
	rewinddir(dir);
	while ((entry = readdir(dir))) {
		snprintf(name, sizeof(name), "many/%s", entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(name);
	}
	closedir(dir);
	check(rmdir("many") == 0, "and can be emptied while it is listed");
	free(positions);
	free(numbers);
}

static void test_errors(void)
{
	struct rlimit limit, old;
	int fd;

	close(make("file", "x"));
	need(mkdir("dir", 0755) == 0);
	check(open("file/x", O_RDONLY) < 0 && errno == ENOTDIR, "a file is no directory");
	check(open("dir", O_WRONLY) < 0 && errno == EISDIR, "a directory is not written");
	check(open("none", O_RDONLY) < 0 && errno == ENOENT, "what is not there is not there");
	check(open("file", O_CREAT | O_EXCL | O_WRONLY, 0600) < 0 && errno == EEXIST,
	      "what is there is not made");
	check(rmdir("file") < 0 && errno == ENOTDIR && unlink("dir") < 0 &&
		      (errno == EISDIR || errno == EPERM),
	      "files are unlinked, directories removed");
	signal(SIGXFSZ, SIG_IGN);
	need(getrlimit(RLIMIT_FSIZE, &old) == 0);
	limit = old;
	limit.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &limit);
	fd = open("file", O_WRONLY);
	check(pwrite(fd, "x", 1, 4096) < 0 && errno == EFBIG, "the limit of file sizes holds");
	setrlimit(RLIMIT_FSIZE, &old);
	close(fd);
	unlink("file");
	rmdir("dir");
}

static void test_statfs(void)
{
	struct statfs status;

	check(statfs(".", &status) == 0 && status.f_blocks && status.f_bsize &&
		      status.f_namelen == 255,
	      "statfs tells of the space");
}

static void test_many_open(void)
{
	int fd[400], count, good = 1;
	char name[32], byte;

	for (count = 0; count < 400; count++) {
		snprintf(name, sizeof(name), "open-%d", count);
		fd[count] = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd[count] < 0)
			break;
		good &= write(fd[count], (char[]){ count }, 1) == 1;
	}
	for (int i = 0; i < count; i++) {
		good &= pread(fd[i], &byte, 1, 0) == 1 && byte == (char)i;
		close(fd[i]);
		snprintf(name, sizeof(name), "open-%d", i);
		unlink(name);
	}
	check(count == 400 && good, "400 files are open at once");
}

int main(int argc, char **argv)
{
	const char *where = argc > 1 ? argv[1] : ".";
	char top[32] = "filesystem-test";

	if (argc > 2)
		entries = atol(argv[2]);
	need(chdir(where) == 0 && mkdir(top, 0755) == 0 && chdir(top) == 0);
	test_links();
	test_rename();
	test_unlinked();
	test_copies();
	test_nameless();
	test_tmpfile();
	test_append();
	test_mapping();
	test_direct();
	test_sparse();
	test_times();
	test_modes();
	test_xattrs();
	test_special();
	test_names();
	test_directory();
	test_errors();
	test_statfs();
	test_many_open();
	need(chdir("..") == 0);
	check(rmdir(top) == 0, "everything was removed");
	return check_done();
}
