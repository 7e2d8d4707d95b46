// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostfs on the host: data, attributes and durability of files that are open already (see
 * hostfs.c). Runs on the vCPU thread only.
 *
 * With hostfs=<root>,append every descriptor that can write has O_APPEND, so that the host itself
 * keeps old data from being overwritten; what would shrink or punch a file is refused here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <host/hostfs.h>

#include "os.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

_Static_assert(sizeof(struct host_fs_segment) == sizeof(struct iovec),
	       "segments are passed as iovecs");

/*
 * A name for the object of a path descriptor. It is the object itself, not a link that could be
 * changed.
 */
struct self_path {
	char text[40];
};

static const char *self(struct self_path *path, int fd)
{
	snprintf(path->text, sizeof(path->text), "/proc/self/fd/%d", fd);
	return path->text;
}

/* The old calls do not take path descriptors: EBADF. */
static int again_by_path(long result)
{
	return result < 0 && errno == EBADF;
}

/* ---- attributes ---- */

int host_fs_chmod(int fd, unsigned int mode)
{
	struct self_path path;
	int result = fchmod(fd, mode);

	if (again_by_path(result))
		result = syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH);
	if (result < 0 && errno == ENOSYS)	/* before 6.6 */
		result = chmod(self(&path, fd), mode);
	return result < 0 ? -errno : 0;
}

int host_fs_chown(int fd, unsigned int uid, unsigned int gid)
{
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static struct timespec timespec_of(const struct host_time *time)
{
	return time ? (struct timespec){ time->seconds, time->nanoseconds } :
		      (struct timespec){ 0, UTIME_OMIT };
}

int host_fs_utimes(int fd, const struct host_time *atime, const struct host_time *mtime)
{
	struct timespec times[2] = { timespec_of(atime), timespec_of(mtime) };
	struct self_path path;
	int result = syscall(SYS_utimensat, fd, "", times, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);

	if (result < 0 && errno == EINVAL)	/* before 5.8 */
		result = utimensat(AT_FDCWD, self(&path, fd), times, 0);
	return result < 0 ? -errno : 0;
}

int host_fs_statfs(int fd, struct host_statfs *to)
{
	struct statfs from;

	if (fstatfs(fd, &from) < 0)
		return -errno;
	*to = (struct host_statfs){
		.blocks = from.f_blocks,
		.blocks_free = from.f_bfree,
		.blocks_available = from.f_bavail,
		.files = from.f_files,
		.files_free = from.f_ffree,
		.block_size = from.f_bsize,
		.name_length = from.f_namelen,
	};
	return 0;
}

long host_fs_getxattr(int fd, const char *name, void *value, unsigned long size)
{
	struct self_path path;
	long result = fgetxattr(fd, name, value, size);

	if (again_by_path(result))
		result = getxattr(self(&path, fd), name, value, size);
	return result < 0 ? -errno : result;
}

long host_fs_listxattr(int fd, char *names, unsigned long size)
{
	struct self_path path;
	long result = flistxattr(fd, names, size);

	if (again_by_path(result))
		result = listxattr(self(&path, fd), names, size);
	return result < 0 ? -errno : result;
}

int host_fs_setxattr(int fd, const char *name, const void *value, unsigned long size, int flags)
{
	struct self_path path;
	int result = value ? fsetxattr(fd, name, value, size, flags) : fremovexattr(fd, name);

	if (again_by_path(result)) {
		self(&path, fd);
		result = value ? setxattr(path.text, name, value, size, flags) :
				 removexattr(path.text, name);
	}
	return result < 0 ? -errno : 0;
}

/* ---- data ---- */

static void hostfs_advance(struct host_fs_segment **segment, int *segments, unsigned long bytes)
{
	while (*segments && bytes >= (*segment)->length) {
		bytes -= (*segment)->length;
		++*segment;
		--*segments;
	}
	if (*segments) {
		(*segment)->base = (char *)(*segment)->base + bytes;
		(*segment)->length -= bytes;
	}
}

/* The host could not reach the memory: guest RAM that it cannot give ends ./linux here. */
static int hostfs_error(const struct host_fs_segment *segment, int segments)
{
	int error = -errno;

	for (int i = 0; error == -EFAULT && i < segments; i++)
		host_ram_prove(segment[i].base, segment[i].length);
	return error;
}

long host_fs_read(int fd, struct host_fs_segment *segment, int segments, unsigned long long offset)
{
	unsigned long done = 0;

	while (segments) {
		long bytes = preadv(fd, (struct iovec *)segment,
				    segments < IOV_MAX ? segments : IOV_MAX, offset + done);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			return hostfs_error(segment, segments);
		if (!bytes)
			break;
		done += bytes;
		hostfs_advance(&segment, &segments, bytes);
	}
	return done;
}

/*
 * With O_APPEND the offset is not the host's business: see that it is the end of the file, if need
 * be by making it so.
 */
static int append_at(int fd, unsigned long long offset)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (offset < (unsigned long long)status.st_size)
		return -EPERM;
	if (offset > (unsigned long long)status.st_size && ftruncate(fd, offset) < 0)
		return -errno;
	return 0;
}

unsigned long host_fs_write(int fd, struct host_fs_segment *segment, int segments,
			    unsigned long long offset, int *error)
{
	unsigned long done = 0;

	*error = host_fs_append ? append_at(fd, offset) : 0;
	while (!*error && segments) {
		long bytes = pwritev(fd, (struct iovec *)segment,
				     segments < IOV_MAX ? segments : IOV_MAX, offset + done);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes > 0) {
			done += bytes;
			hostfs_advance(&segment, &segments, bytes);
		} else {
			*error = bytes ? hostfs_error(segment, segments) : -EIO;
		}
	}
	return done;
}

static int shrinks(int fd, unsigned long long size)
{
	struct stat status;

	return fstat(fd, &status) < 0 || size < (unsigned long long)status.st_size;
}

int host_fs_truncate(int fd, unsigned long long size)
{
	int result;

	if (host_fs_append && shrinks(fd, size))
		return -EPERM;
	do
		result = ftruncate(fd, size);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

int host_fs_allocate(int fd, int mode, unsigned long long offset, unsigned long long length)
{
	int result;

	if (host_fs_append && (mode & ~FALLOC_FL_KEEP_SIZE))
		return -EPERM;
	do
		result = fallocate(fd, mode, offset, length);
	while (result < 0 && errno == EINTR);
	if (result < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return 0;
}

int host_fs_sync(int fd, int data_only)
{
	int result;

	do
		result = data_only ? fdatasync(fd) : fsync(fd);
	while (result < 0 && errno == EINTR);
	/* EINVAL: nothing there can be made durable, as on tmpfs's special files. */
	return result < 0 && errno != EINVAL ? -errno : 0;
}

int host_fs_sync_all(int fd)
{
	return syncfs(fd) < 0 ? -errno : 0;
}

long long host_fs_seek(int fd, long long offset, int whence)
{
	long long at = lseek(fd, offset, whence);

	return at < 0 ? -errno : at;
}

long host_fs_copy(int from, unsigned long long from_offset, int to, unsigned long long to_offset,
		  unsigned long length)
{
	off64_t source = from_offset, target = to_offset;
	long bytes;

	if (host_fs_append)
		return -EOPNOTSUPP;
	do
		bytes = copy_file_range(from, &source, to, &target, length, 0);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return errno == ENOSYS || errno == EXDEV || errno == EINVAL ? -EOPNOTSUPP : -errno;
	return bytes;
}
