// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instance's folder, <uml_dir>/<umid>: the file pid, and the sockets by which it is managed.
 *
 * The folder belongs to the holder of the lock on the file pid. So a folder left by a killed
 * ./linux differs from a live one's, whatever process has its pid now. The lock belongs to the open
 * file, which stub processes do not inherit. An owner removes the folder at its end, with the lock
 * still held. A program that opened the file before that and then has the lock finds that the name
 * is another file's or none's, and tries again. On a restart the lock and the sockets go to the
 * next ./linux by exec, in LINUX_INSTANCE of the environment, so that the name is never free in
 * between.
 *
 * At the start, folders of instances that were killed are removed: their lock is free and their pid
 * is no process's. Both, since other implementations, whose folders may lie there too, hold no
 * lock.
 *
 * Runs on virtual CPU 0 before Linux does; host_instance_remove() at any end, perhaps in a signal
 * handler.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <host/mconsole.h>
#include <host/process.h>

#include "instance.h"

#define NAME_MAX_LENGTH	63
#define MOST_ENTRIES	16
#define LONGEST_ENTRY	"mconsole"	/* the longest name of a socket in the folder */
#define HANDED_OVER	"LINUX_INSTANCE"

const char *host_umid_option, *host_uml_dir_option;

static char umid[NAME_MAX_LENGTH + 1];
static char folder[sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(LONGEST_ENTRY)];
static int folder_fd = -1, lock_fd = -1;
static const char *kept[MOST_ENTRIES];
static int kept_count;
static char *inherited;		/* "<umid> <key>=<fd> ..." */
static char left[512];		/* the same for the next one */

const char *host_umid(void)
{
	return umid;
}

char *host_instance_path(const char *entry)
{
	char *path;

	return folder_fd >= 0 && asprintf(&path, "%s/%s", folder, entry) >= 0 ? path : NULL;
}

/* ---- what is handed over at a restart ---- */

int host_instance_inherit(const char *key)
{
	char pattern[64], *at;
	int fd;

	snprintf(pattern, sizeof(pattern), " %s=", key);
	at = inherited ? strstr(inherited, pattern) : NULL;
	if (!at)
		return -1;
	fd = atoi(at + strlen(pattern));
	return fcntl(fd, F_SETFD, FD_CLOEXEC) ? -1 : fd;
}

void host_instance_leave(const char *key, int fd)
{
	size_t length = strlen(left);

	snprintf(left + length, sizeof(left) - length, " %s=%d", key, fd);
}

static void leave_open(void)
{
	for (char *at = left; (at = strchr(at, '=')); at++)
		fcntl(atoi(at + 1), F_SETFD, 0);
}

void host_instance_hand_over(void)
{
	char *value;

	if (lock_fd < 0 || asprintf(&value, "%s%s", umid, left) < 0)
		return;
	leave_open();
	setenv(HANDED_OVER, value, 1);
}

/* ---- owning a folder ---- */

/* 0, or -EAGAIN: another process has it; or why there can be no lock. */
static int take_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

/* Whether fd still is what the name in the folder stands for. */
static int is_current(int folder, const char *name, int fd)
{
	struct stat named, open;

	return !fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) && !fstat(fd, &open) &&
	       named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

static int read_pid(int fd)
{
	char text[16] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 0;
}

static void write_pid(void)
{
	char text[16];
	int length = sprintf(text, "%d\n", getpid());

	if (ftruncate(lock_fd, 0) || pwrite(lock_fd, text, length, 0) != length)
		host_warn("cannot write the pid to %s/pid: %s", folder, strerror(errno));
}

/*
 * The pid of an instance that lives, which writes it right after it has taken the lock; 0: it has
 * gone meanwhile.
 */
static int owner_of(int fd)
{
	struct timespec moment = { .tv_nsec = 1000000 };
	int pid = 0;

	for (int i = 0; i < 1000 && !pid; i++) {
		pid = read_pid(fd);
		if (!pid)
			nanosleep(&moment, NULL);
	}
	return pid;
}

/* In this PID namespace. */
static int is_no_process(int pid)
{
	return pid > 0 && kill(pid, 0) && errno == ESRCH;
}

/* No other user may replace what is in it. */
static int is_private(int folder)
{
	struct stat status;

	return !fstat(folder, &status) && status.st_uid == geteuid() && !(status.st_mode & 02);
}

/*
 * Whether an instance of another implementation, which holds no lock, answers on its socket.
 */
static int is_served(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, served;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/mconsole", path) >=
	    (int)sizeof(address.sun_path))
		return 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	served = fd >= 0 && !connect(fd, (void *)&address, sizeof(address));
	close(fd);
	return served;
}

/*
 * Makes or takes over <parent>/<name>. Returns 0, -EEXIST with *pid set when it is a live
 * instance's (0: not known), -EAGAIN when it vanished meanwhile or is about to, -EREMOTE when it
 * is another user's, or -errno.
 */
static int own(const char *parent, const char *name, int *pid)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int error;

	*pid = 0;
	if (snprintf(folder, sizeof(folder), "%s/%s", parent, name) >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	if (mkdir(folder, 0700) && errno != EEXIST)
		return -errno;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder_fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (!is_private(folder_fd)) {
		close(folder_fd);
		folder_fd = -1;
		return -EREMOTE;
	}
	lock_fd = openat(folder_fd, "pid", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	error = lock_fd < 0 ? (errno == ENOENT ? -EAGAIN : -errno) : take_lock(lock_fd);
	if (error == -EAGAIN && lock_fd >= 0) {
		*pid = owner_of(lock_fd);
		error = is_current(folder_fd, "pid", lock_fd) ? -EEXIST : -EAGAIN;
		/* Another ./linux removes the folder of one that was killed, or takes it over. */
		if (error == -EEXIST && is_no_process(*pid)) {
			nanosleep(&moment, NULL);
			error = -EAGAIN;
		}
	} else if (!error && !is_current(folder_fd, "pid", lock_fd)) {
		error = -EAGAIN;
	} else if (!error && is_served(folder)) {
		*pid = read_pid(lock_fd);
		error = -EEXIST;
	}
	if (error) {
		close(lock_fd);
		close(folder_fd);
		lock_fd = folder_fd = -1;
	}
	return error;
}

static int own_at_last(const char *parent, const char *name, int *pid)
{
	int error;

	/* An end is as short as a start: this is not gone through often. */
	for (int i = 0; i < 1000; i++) {
		error = own(parent, name, pid);
		if (error != -EAGAIN)
			break;
	}
	/* A lock that stays is of a process in another PID namespace. */
	return error == -EAGAIN && *pid ? -EEXIST : error;
}

void host_instance_keep(const char *entry)
{
	if (kept_count == MOST_ENTRIES)
		host_fatal("too many entries in the instance's folder");
	kept[kept_count] = entry;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	kept_count++;
}

void host_instance_remove(void)
{
	if (folder_fd < 0)
		return;
	while (kept_count)
		unlinkat(folder_fd, kept[--kept_count], 0);
	unlinkat(folder_fd, "pid", 0);
	rmdir(folder);
}

/* ---- folders of those that were killed ---- */

static void remove_if_dead(int parent, const char *name)
{
	static const char *const ours[] = { "mconsole", "exec", "console", "pid" };
	int at = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int fd = at < 0 ? -1 : openat(at, "pid", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int pid = fd < 0 ? 0 : read_pid(fd);

	if (is_no_process(pid) && !take_lock(fd) && is_current(at, "pid", fd)) {
		for (unsigned int i = 0; i < sizeof(ours) / sizeof(*ours); i++)
			unlinkat(at, ours[i], 0);
		unlinkat(parent, name, AT_REMOVEDIR);
	}
	if (fd >= 0)
		close(fd);
	if (at >= 0)
		close(at);
}

static void remove_the_dead(const char *parent)
{
	DIR *list = opendir(parent);
	struct dirent *entry;

	while (list && (entry = readdir(list)))
		if (entry->d_name[0] != '.')
			remove_if_dead(dirfd(list), entry->d_name);
	if (list)
		closedir(list);
}

/* ---- where it is ---- */

/* Names have six letters, so that people can type them. */
static void choose_name(void)
{
	unsigned char random[6];

	if (host_random(random, sizeof(random)))
		host_fatal("the host has no random numbers for a name; give umid=<name>");
	for (unsigned int i = 0; i < sizeof(random); i++)
		umid[i] = 'a' + random[i] % 26;
	umid[sizeof(random)] = '\0';
}

/*
 * An instance in that folder: 0, or -errno. A name that is taken ends ./linux, a random one is
 * drawn again.
 */
static int live_in(const char *parent)
{
	int pid, error;

	do {
		if (!host_umid_option)
			choose_name();
		error = own_at_last(parent, umid, &pid);
	} while (error == -EEXIST && !host_umid_option);
	if (error == -EEXIST && pid)
		host_fatal(
			"umid=%s: an instance has this name, process %d; choose another one",
			umid, pid);
	if (error == -EEXIST)
		host_fatal("umid=%s: an instance has this name; choose another one", umid);
	return error;
}

/* In a folder of all users: no other user may put a socket where a client of this one looks. */
static int is_safe(const char *path)
{
	struct stat status;

	return !lstat(path, &status) && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
	       !(status.st_mode & 022);
}

/* A place of the default list: 0, or -errno. */
static int try_place(const char *above, const char *name, int is_shared)
{
	char *path;
	int error;

	if (!above || above[0] != '/')
		return -ENOENT;
	if (asprintf(&path, "%s/%s", above, name) < 0)
		return -ENOMEM;
	error = mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
	if (!error && is_shared && !is_safe(path))
		error = -EPERM;
	if (!error) {
		remove_the_dead(path);
		error = live_in(path);
	}
	free(path);
	return error;
}

static void find_default_place(void)
{
	const char *home = getenv("HOME");
	int error = try_place(home, ".uml", 0);
	char of_user[32];

	if (!error)
		return;
	snprintf(of_user, sizeof(of_user), "uml-%u", geteuid());
	if (try_place(getenv("XDG_RUNTIME_DIR"), "uml", 0) && try_place("/tmp", of_user, 1)) {
		if (host_umid_option)
			host_fatal(
				"umid=%s: ~/.uml (%s) and /tmp/%s will not do; see uml_dir=",
				umid, strerror(-error), of_user);
		host_warn(
			"no management console: neither ~/.uml (%s) nor /tmp/%s can be used; "
			"give uml_dir=<folder>",
			strerror(-error), of_user);
		umid[0] = '\0';
		return;
	}
	host_warn("the folder of this instance is %s: ~/.uml cannot be used (%s)", folder,
		  home ? strerror(-error) : "HOME is not set");
}

static void make_uml_dir(const char *given)
{
	char *path;
	int error;

	if (mkdir(given, 0700) && errno != EEXIST)
		host_fatal("uml_dir=%s: %s; give a folder that can be made", given,
			   strerror(errno));
	path = realpath(given, NULL);
	if (!path)
		host_fatal("uml_dir=%s: %s", given, strerror(errno));
	remove_the_dead(path);
	error = live_in(path);
	if (error == -ENAMETOOLONG)
		host_fatal(
			"uml_dir=%s: a socket's path has at most 107 bytes; choose a shorter one",
			given);
	if (error == -EREMOTE)
		host_fatal("uml_dir=%s: the folder %s there is another user's, or others may write "
			   "to it; choose another name", given, umid);
	if (error)
		host_fatal("uml_dir=%s: no instance can be kept there: %s", given,
			   strerror(-error));
	free(path);
}

static void check_umid(const char *name)
{
	size_t length = strlen(name);

	if (length > NAME_MAX_LENGTH)
		host_fatal("umid=%s: longer than %d characters", name, NAME_MAX_LENGTH);
	if (name[0] == '.' || strchr(name, '/') || strchr(name, ' ') || strchr(name, '\n'))
		host_fatal(
			"umid=%s: not a name; it has no slash and no blank, and begins with no dot",
			name);
	strcpy(umid, name);
}

/* Takes what the ./linux before a restart left; whether it left something. */
static int take_over(void)
{
	const char *value = getenv(HANDED_OVER);
	char *blank;

	inherited = value ? strdup(value) : NULL;
	unsetenv(HANDED_OVER);
	blank = inherited ? strchr(inherited, ' ') : NULL;
	if (!blank || blank - inherited > NAME_MAX_LENGTH)
		return 0;
	memcpy(umid, inherited, blank - inherited);
	umid[blank - inherited] = '\0';
	lock_fd = host_instance_inherit("lock");
	folder_fd = host_instance_inherit("folder");
	if (lock_fd >= 0 && folder_fd >= 0 && is_current(folder_fd, "pid", lock_fd)) {
		char link[32];
		ssize_t length;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", folder_fd);
		length = readlink(link, folder, sizeof(folder) - 1);
		if (length > 0)
			return 1;
	}
	lock_fd = folder_fd = -1;
	umid[0] = '\0';
	return 0;
}

void host_instance_init(void)
{
	if (!take_over()) {
		if (host_umid_option)
			check_umid(host_umid_option);
		if (host_uml_dir_option)
			make_uml_dir(host_uml_dir_option);
		else
			find_default_place();
	}
	if (lock_fd < 0)
		return;
	write_pid();
	host_instance_leave("lock", lock_fd);
	host_instance_leave("folder", folder_fd);
}

/* ---- sockets ---- */

int host_instance_is_there(void)
{
	return folder_fd >= 0;
}

int host_instance_is_wanted(void)
{
	return host_umid_option || host_uml_dir_option;
}

int host_instance_socket(const char *entry, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = host_instance_inherit(entry);

	if (folder_fd < 0)
		return -ENOENT;
	if (fd < 0) {
		snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, entry);
		fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		/* The mode of a socket that is not bound yet becomes its file's. */
		if (fd < 0 || fchmod(fd, 0600))
			return -errno;
		unlinkat(folder_fd, entry, 0);
		if (bind(fd, (void *)&address, sizeof(address))) {
			int error = -errno;

			close(fd);
			return error;
		}
	}
	host_instance_keep(entry);
	host_instance_leave(entry, fd);
	return fd;
}
