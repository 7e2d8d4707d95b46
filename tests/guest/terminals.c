// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminals whose log the host keeps, for ttylog.t.
 *
 * Without arguments it uses ptys in every way that might keep something out of the log, and shows
 * lines that begin with "mark" there.
 *
 * With "search" it looks for a word in /proc, /sys and the kernel's log; the word is given
 * backwards, so that the search does not find itself. With "pass" it moves all byte values both
 * ways in raw mode. With "many" and a number it opens so many ptys at once, and with "flood" it
 * writes so many bytes to a pty.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include "check.h"

#define MOST_DISCIPLINES 31

struct pair {
	int master, slave;
	char name[64];
};

static int open_pair(struct pair *pair)
{
	int unlocked = 0;

	pair->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pair->master < 0 || ioctl(pair->master, TIOCSPTLCK, &unlocked) ||
	    ptsname_r(pair->master, pair->name, sizeof(pair->name)))
		return -1;
	pair->slave = open(pair->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return pair->slave < 0 ? -1 : 0;
}

static void close_pair(struct pair *pair)
{
	close(pair->slave);
	close(pair->master);
}

/* Reads what the slave shows, so that it does not fill up. */
static void drain(int master)
{
	struct pollfd ready = { .fd = master, .events = POLLIN };
	char bytes[4096];

	while (poll(&ready, 1, 20) > 0 && ready.revents & POLLIN &&
	       read(master, bytes, sizeof(bytes)) > 0)
		;
}

static int put(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static void set_raw(int fd)
{
	struct termios mode;

	tcgetattr(fd, &mode);
	cfmakeraw(&mode);
	tcsetattr(fd, TCSANOW, &mode);
}

/* ---- a session with a program ---- */

static void run_in_session(const struct pair *pair)
{
	char slave[64];

	strcpy(slave, pair->name);
	setsid();
	dup2(pair->slave, 0);
	dup2(pair->slave, 1);
	dup2(pair->slave, 2);
	if (ioctl(0, TIOCSCTTY, 0))
		_exit(1);
	execl("/bin/sh", "sh", "-c", "echo mark program; read line; echo \"mark $line\"",
	      "an argument", NULL);
	_exit(2);
}

static void program(void)
{
	struct pair pair;
	int status = -1;
	pid_t pid;

	need(!open_pair(&pair));
	pid = fork();
	if (!pid)
		run_in_session(&pair);
	check(put(pair.master, "typed to it\n"), "a program is typed to");
	waitpid(pid, &status, 0);
	drain(pair.master);
	check_equal(status, 0, "the program of a session ends");
	close_pair(&pair);
}

/* ---- what might stop a log ---- */

static void disciplines(void)
{
	struct pair pair;
	int was = 0, changed = 0;

	need(!open_pair(&pair));
	for (int number = 1; number < MOST_DISCIPLINES; number++) {
		if (!ioctl(pair.slave, TIOCSETD, &number)) {
			changed++;
			if (write(pair.slave, "mark in discipline\n", 19) < 0)
				errno = 0;
		}
		if (!ioctl(pair.master, TIOCSETD, &number))
			ioctl(pair.master, TIOCSETD, &was);
		drain(pair.master);
	}
	ioctl(pair.slave, TIOCSETD, &was);
	check(changed, "the line discipline can be changed");
	check(put(pair.slave, "mark after disciplines\n"), "it can be used when it is back");
	check(put(pair.master, "typed after disciplines\n"), "and be typed on");
	drain(pair.master);
	close_pair(&pair);
}

static void hangup(void)
{
	struct pair pair;
	pid_t pid;

	need(!open_pair(&pair));
	pid = fork();
	if (!pid) {
		setsid();
		signal(SIGHUP, SIG_IGN);
		_exit(ioctl(pair.slave, TIOCSCTTY, 1) || syscall(SYS_vhangup));
	}
	waitpid(pid, NULL, 0);
	close(pair.slave);
	pair.slave = open(pair.name, O_RDWR | O_NOCTTY);
	check(pair.slave >= 0 && put(pair.slave, "mark after hangup\n"),
	      "a terminal that was hung up is opened again");
	drain(pair.master);
	close_pair(&pair);
}

static void modes(void)
{
	struct termios mode;
	struct pair pair;
	int on = 1;

	need(!open_pair(&pair));
	ioctl(pair.master, TIOCPKT, &on);
	ioctl(pair.slave, TIOCEXCL);
	tcgetattr(pair.slave, &mode);
	mode.c_lflag |= EXTPROC;
	mode.c_lflag &= ~(ECHO | ICANON);
	tcsetattr(pair.slave, TCSANOW, &mode);
	check(put(pair.slave, "mark packet\n"), "packet mode, EXTPROC, TIOCEXCL");
	put(pair.master, "typed without echo");
	drain(pair.master);
	close_pair(&pair);
}

/* As root: a program's own input. */
static void inserted(void)
{
	struct pair pair;
	int done = 1;

	need(!open_pair(&pair));
	for (const char *at = "mark inserted\n"; *at && done; at++)
		done = !ioctl(pair.slave, TIOCSTI, at);
	if (done)
		check(1, "TIOCSTI inserts input");
	else
		check_skip("TIOCSTI inserts input", strerror(errno));
	drain(pair.master);
	close_pair(&pair);
}

static int hidden_child(void)
{
	struct pair pair;

	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666") ||
	    mount("/dev/pts/ptmx", "/dev/ptmx", NULL, MS_BIND, NULL))
		return 1;
	if (open_pair(&pair) || chroot("/dev/pts"))
		return 2;
	return !put(pair.slave, "mark hidden\n");
}

/* As root, and only in the guest: a container may not allow it. */
static void namespaces(void)
{
	int status;
	pid_t pid;

	if (!in_guest()) {
		check_skip("namespaces, another devpts and a chroot", "not in the guest");
		return;
	}
	pid = fork();
	if (!pid)
		_exit(hidden_child());
	waitpid(pid, &status, 0);
	check_equal(status, 0, "namespaces, another devpts and a chroot");
}

/* ---- bytes ---- */

static int send_all_values(int from, int to)
{
	unsigned char out[256], in[256];
	size_t got = 0;

	for (int i = 0; i < 256; i++)
		out[i] = i;
	if (write(from, out, 256) != 256)
		return 0;
	while (got < 256) {
		ssize_t part = read(to, in + got, 256 - got);

		if (part <= 0)
			return 0;
		got += part;
	}
	return !memcmp(in, out, 256);
}

static int pass(void)
{
	struct pair pair;

	need(!open_pair(&pair));
	set_raw(pair.slave);
	check(send_all_values(pair.slave, pair.master), "all byte values are shown");
	check(send_all_values(pair.master, pair.slave), "all byte values are typed");
	close_pair(&pair);
	return check_done();
}

/* ---- many, and much ---- */

static int many(int count)
{
	struct pair *pairs = calloc(count, sizeof(*pairs));
	struct rlimit limit = { count * 2 + 64, count * 2 + 64 };
	char line[64];

	need(!setrlimit(RLIMIT_NOFILE, &limit));
	for (int i = 0; i < count; i++) {
		need(!open_pair(&pairs[i]));
		snprintf(line, sizeof(line), "mark number %d\n", i);
		need(put(pairs[i].slave, line));
	}
	/* Again, in another order than they were opened. */
	for (int i = count - 1; i >= 0; i--)
		need(put(pairs[i].slave, "mark again\n"));
	for (int i = 0; i < count; i++)
		close_pair(&pairs[i]);
	free(pairs);
	check(1, "many terminals are open at once");
	return check_done();
}

static int flood(long bytes)
{
	static char block[4096], sink[65536];
	struct pair pair;

	need(!open_pair(&pair));
	set_raw(pair.slave);
	fcntl(pair.slave, F_SETFL, O_NONBLOCK);
	fcntl(pair.master, F_SETFL, O_NONBLOCK);
	memset(block, 'f', sizeof(block));
	while (bytes > 0) {
		long part = bytes < (long)sizeof(block) ? bytes : (long)sizeof(block);
		ssize_t done = write(pair.slave, block, part);

		if (done > 0)
			bytes -= done;
		while (read(pair.master, sink, sizeof(sink)) > 0)
			;
		errno = 0;
	}
	close_pair(&pair);
	check(1, "much is shown");
	return check_done();
}

/* ---- looking for the log ---- */

static char wanted[256];
static long searched;

static void search_bytes(const char *path, const char *bytes, size_t length)
{
	searched++;
	if (memmem(bytes, length, wanted, strlen(wanted)))
		say("found in %s\n", path);
}

/* Files of processes hold what was typed to the test itself, and kallsyms names functions. */
static int is_skipped(const char *path)
{
	return !strncmp(path, "/proc/self", 10) || !strncmp(path, "/proc/thread-self", 17) ||
	       !strcmp(path, "/proc/kallsyms") || !strcmp(path, "/proc/kmsg") ||
	       strstr(path, "/mem") || strstr(path, "/pagemap");
}

static void search_file(const char *path)
{
	static char bytes[1 << 20];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	size_t length = 0;
	ssize_t part;

	if (fd < 0)
		return;
	while (length < sizeof(bytes) &&
	       (part = read(fd, bytes + length, sizeof(bytes) - length)) > 0)
		length += part;
	close(fd);
	search_bytes(path, bytes, length);
}

static void search_folder(const char *folder)
{
	DIR *stream = opendir(folder);
	struct dirent *entry;
	char path[4096];

	while (stream && (entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (is_skipped(path))
			continue;
		search_bytes(path, entry->d_name, strlen(entry->d_name));
		if (entry->d_type == DT_DIR)
			search_folder(path);
		else if (entry->d_type == DT_REG)
			search_file(path);
	}
	if (stream)
		closedir(stream);
}

static int search(const char *backwards)
{
	static char log[1 << 20];
	size_t length = strlen(backwards);
	int bytes = klogctl(3, log, sizeof(log));

	for (size_t i = 0; i < length; i++)
		wanted[i] = backwards[length - 1 - i];
	search_bytes("the kernel's log", log, bytes > 0 ? bytes : 0);
	search_folder("/proc");
	search_folder("/sys");
	say("searched %ld\n", searched);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "search"))
		return search(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "pass"))
		return pass();
	if (argc == 3 && !strcmp(argv[1], "many"))
		return many(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "flood"))
		return flood(atol(argv[2]));
	program();
	disciplines();
	hangup();
	modes();
	inserted();
	namespaces();
	return check_done();
}
