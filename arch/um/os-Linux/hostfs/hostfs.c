// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostfs on the host: where mounts are rooted, and all that names files. Data and attributes are in
 * hostfs_data.c. Runs on the vCPU thread only.
 *
 * Confinement rests on two things. A mount's directory is resolved below the root's descriptor
 * (openat2 with RESOLVE_BENEATH; hosts without it get a walk that refuses links and "..").
 * Everything else is one name in an open directory, checked here, and no call follows a link in
 * that place. There is no path of more than one component and no time between check and use.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <host/hostfs.h>
#include <host/process.h>

int host_fs_confined, host_fs_append;
static int confined_root = -1;
static int held, most_held = 64;	/* descriptors of hostfs; how many there may be */

/*
 * Descriptors: what is used of a host without limits, what is left to disks, terminals and stub
 * processes, what we take at any rate.
 */
enum { MOST_FILES = 1000000, FEWEST_OTHERS = 24, MOST_OTHERS = 64, FEWEST = 8 };

/* Two ticks of a host at 100 Hz: times do not change between changes that are closer. */
#define RECENT_NS 20000000LL

/* ---- the roots ---- */

void host_fs_confine(const char *root, int append)
{
	if (host_fs_confined)
		host_fatal("hostfs= is given twice; one directory confines all mounts");
	confined_root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (confined_root < 0)
		host_fatal("hostfs=%s: %s; give a directory", root, strerror(errno));
	host_fs_confined = 1;
	host_fs_append = append;
}

void host_fs_identity(unsigned int *uid, unsigned int *gid)
{
	*uid = geteuid();
	*gid = getegid();
}

int host_fs_limit(void)
{
	struct rlimit limit;
	int all, others;

	/* A file that grows past `ulimit -f` is an error of the write, not our end. */
	signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return most_held;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	all = limit.rlim_cur < MOST_FILES ? limit.rlim_cur : MOST_FILES;
	others = all / 4 < FEWEST_OTHERS ? FEWEST_OTHERS :
		 all / 4 > MOST_OTHERS	 ? MOST_OTHERS :
					   all / 4;
	most_held = all - others > FEWEST ? all - others : FEWEST;
	return most_held;
}

static int is_full(void)
{
	return held >= most_held;
}

static int is_link(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISLNK(status.st_mode);
}

/* The way of hosts without openat2: one component at a time, no links, no "..". Uses path up. */
static int walk_beneath(int root, char *path)
{
	int at = dup(root);
	char *name;

	if (at < 0)
		return -errno;
	fcntl(at, F_SETFD, FD_CLOEXEC);
	while ((name = strsep(&path, "/"))) {
		int next = -1, error;

		if (!*name || !strcmp(name, "."))
			continue;
		if (!strcmp(name, ".."))
			errno = EXDEV;
		else
			next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		error = next < 0 ? -errno : is_link(next) ? -ELOOP : 0;
		close(at);
		at = next;
		if (error) {
			if (next >= 0)
				close(next);
			return error;
		}
	}
	return at;
}

static int resolve_beneath(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	char *copy;
	int fd;

	/* EAGAIN: something on the way to a ".." was renamed. */
	for (int tries = 0; tries < 100; tries++) {
		fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
		if (fd >= 0)
			return fd;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	fd = walk_beneath(root, copy);
	free(copy);
	return fd;
}

int host_fs_root(const char *path)
{
	struct stat status;
	int fd;

	if (is_full())
		return -EMFILE;
	if (host_fs_confined) {
		while (*path == '/')
			path++;
		fd = resolve_beneath(confined_root, path);
	} else {
		fd = open(*path ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISDIR(status.st_mode))) {
		close(fd);
		return -ENOTDIR;
	}
	if (fd >= 0)
		held++;
	return fd;
}

void host_fs_close(int fd)
{
	held--;
	close(fd);
}

/* ---- names and status ---- */

/* One component of a path, and one that does not lead upwards. */
static int is_component(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static struct host_time time_of(const struct statx_timestamp *from)
{
	return (struct host_time){ from->tv_sec, from->tv_nsec };
}

static int is_recent(const struct statx *from)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (now.tv_sec - from->stx_ctime.tv_sec) * 1000000000LL + now.tv_nsec -
		       from->stx_ctime.tv_nsec <
	       RECENT_NS;
}

static void translate(struct host_stat *to, const struct statx *from)
{
	*to = (struct host_stat){
		.inode = from->stx_ino,
		.device = makedev(from->stx_dev_major, from->stx_dev_minor),
		.mount = from->stx_mask & STATX_MNT_ID ? from->stx_mnt_id : 0,
		.size = from->stx_size,
		.blocks = from->stx_blocks,
		.mode = from->stx_mode,
		.links = from->stx_nlink,
		.uid = from->stx_uid,
		.gid = from->stx_gid,
		.major = from->stx_rdev_major,
		.minor = from->stx_rdev_minor,
		.block_size = from->stx_blksize,
		.atime = time_of(&from->stx_atime),
		.mtime = time_of(&from->stx_mtime),
		.ctime = time_of(&from->stx_ctime),
		.recent = is_recent(from),
	};
	if (from->stx_mask & STATX_BTIME)
		to->btime = time_of(&from->stx_btime);
}

static int status_of(int dir, const char *name, struct host_stat *stat)
{
	struct statx found;

	if (statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH),
		  STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &found) < 0)
		return -errno;
	translate(stat, &found);
	return 0;
}

int host_fs_stat(int dir, const char *name, struct host_stat *stat)
{
	return *name && !is_component(name) ? -EINVAL : status_of(dir, name, stat);
}

/* For a descriptor just opened: with its status, or closed. */
static int with_status(int fd, struct host_stat *stat)
{
	int error;

	if (fd < 0)
		return -errno;
	error = status_of(fd, "", stat);
	if (!error) {
		held++;
		return fd;
	}
	close(fd);
	return error;
}

int host_fs_look(int dir, const char *name, struct host_stat *stat)
{
	if (!is_component(name))
		return -EINVAL;
	if (is_full())
		return -EMFILE;
	return with_status(openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), stat);
}

static int open_flags(int access)
{
	int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

	if (access & HOST_FS_DIRECTORY)
		return flags | O_RDONLY | O_DIRECTORY;
	if (access & HOST_FS_WRITE && host_fs_append)
		flags |= O_APPEND;
	if (access & HOST_FS_WRITE)
		return flags | (access & HOST_FS_READ ? O_RDWR : O_WRONLY);
	return flags | O_RDONLY;
}

int host_fs_open(int dir, const char *name, int access, struct host_stat *stat)
{
	int flags = open_flags(access), fd;
	char itself[40] = ".";

	if (*name && !is_component(name))
		return -EINVAL;
	if (is_full())
		return -EMFILE;
	if (!*name && !(access & HOST_FS_DIRECTORY)) {
		snprintf(itself, sizeof(itself), "/proc/self/fd/%d", dir);
		flags &= ~O_NOFOLLOW;
	}
	do
		fd = openat(dir, *name ? name : itself, flags);
	while (fd < 0 && errno == EINTR);
	return with_status(fd, stat);
}

int host_fs_create(int dir, const char *name, unsigned int mode, struct host_stat *stat)
{
	int flags = open_flags(HOST_FS_READ | HOST_FS_WRITE);

	if (*name && !is_component(name))
		return -EINVAL;
	if (is_full())
		return -EMFILE;
	if (*name)
		return with_status(openat(dir, name, flags | O_CREAT | O_EXCL, mode), stat);
	return with_status(openat(dir, ".", (flags & ~O_NOFOLLOW) | O_TMPFILE, mode), stat);
}

/* ---- making and removing names ---- */

int host_fs_mkdir(int dir, const char *name, unsigned int mode)
{
	if (!is_component(name))
		return -EINVAL;
	return mkdirat(dir, name, mode) < 0 ? -errno : 0;
}

int host_fs_mknod(int dir, const char *name, unsigned int mode, unsigned int major,
		  unsigned int minor)
{
	if (!is_component(name))
		return -EINVAL;
	return mknodat(dir, name, mode, makedev(major, minor)) < 0 ? -errno : 0;
}

int host_fs_symlink(int dir, const char *name, const char *target)
{
	if (!is_component(name))
		return -EINVAL;
	return symlinkat(target, dir, name) < 0 ? -errno : 0;
}

int host_fs_readlink(int dir, const char *name, char *buffer, int size)
{
	int length;

	if (*name && !is_component(name))
		return -EINVAL;
	length = readlinkat(dir, name, buffer, size);
	return length < 0 ? -errno : length;
}

int host_fs_link(int dir, const char *name, int to_dir, const char *to_name)
{
	if (!is_component(name) || !is_component(to_name))
		return -EINVAL;
	return linkat(dir, name, to_dir, to_name, 0) < 0 ? -errno : 0;
}

int host_fs_link_open(int fd, int to_dir, const char *to_name)
{
	char path[40];

	if (!is_component(to_name))
		return -EINVAL;
	if (linkat(fd, "", to_dir, to_name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT && errno != EINVAL && errno != EPERM)
		return -errno;
	/* What hosts before 6.10 allow to anyone. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, to_dir, to_name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int host_fs_unlink(int dir, const char *name, int directory)
{
	if (!is_component(name))
		return -EINVAL;
	if (host_fs_append)
		return -EPERM;
	return unlinkat(dir, name, directory ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
}

int host_fs_rename(int dir, const char *name, int to_dir, const char *to_name, unsigned int flags)
{
	if (!is_component(name) || !is_component(to_name))
		return -EINVAL;
	if (host_fs_append)
		return -EPERM;
	return renameat2(dir, name, to_dir, to_name, flags) < 0 ? -errno : 0;
}

long host_fs_entries(int fd, long long position, void *buffer, unsigned long size)
{
	long used;

	if (lseek(fd, position, SEEK_SET) < 0)
		return -errno;
	used = syscall(SYS_getdents64, fd, buffer, size);
	return used < 0 ? -errno : used;
}
