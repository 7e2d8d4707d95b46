// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose files are. Three ways from the host's ids to the guest's:
 *
 *   nothing      as the host has them
 *   uid=, gid=   all files are one's; giving them to another is refused
 *   uidmap=, gidmap=   ranges; what is in none is nobody's (65534)
 *
 * and on top of them map=xattr: owner, permissions and kind (devices, pipes, sockets) are recorded
 * in an extended attribute of the host's file, as rootless container tools do, and are what the
 * guest sees. So a guest's root can give files away and make devices although ./linux is run by an
 * ordinary user. Without a record files of that user are root's. A record is
 * `<uid>:<gid>:0<mode>[:<kind>]` (docs/reference/hostfs-record.md). It is written only when it says
 * something that the host's file does not.
 */
#include <linux/cred.h>
#include <linux/kdev_t.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "internal.h"

#define NOBODY 65534
#define RECORD_SIZE 80

/* ---- ids ---- */

static u32 to_guest(const struct hostfs_map *map, u32 id)
{
	if (map->squash)
		return map->to;
	for (int i = 0; i < map->ranges; i++)
		if (id - map->range[i].host < map->range[i].count)
			return map->range[i].guest + (id - map->range[i].host);
	return map->ranges ? NOBODY : id;
}

/* *host is -1U where nothing is to be changed. */
static int to_host(const struct hostfs_map *map, u32 id, u32 *host)
{
	*host = -1U;
	if (map->squash)
		return id == map->to ? 0 : -EPERM;
	for (int i = 0; i < map->ranges; i++)
		if (id - map->range[i].guest < map->range[i].count) {
			*host = map->range[i].host + (id - map->range[i].guest);
			return 0;
		}
	if (map->ranges)
		return -EINVAL;
	*host = id;
	return 0;
}

int hostfs_parse_range(struct hostfs_map *map, const char *text)
{
	struct hostfs_range range;
	char end;

	if (sscanf(text, "%u:%u:%u%c", &range.guest, &range.host, &range.count, &end) != 3 ||
	    !range.count || map->ranges == HOSTFS_RANGES)
		return -EINVAL;
	map->range[map->ranges++] = range;
	return 0;
}

/* ---- records ---- */

/* What a file looks like without a record. */
static void show_plain(struct super_block *sb, struct host_stat *stat)
{
	const struct hostfs_options *options = &hostfs_s(sb)->options;
	unsigned int self_uid, self_gid;

	if (options->recorded && !options->uids.squash && !options->uids.ranges) {
		host_fs_identity(&self_uid, &self_gid);
		if (stat->uid == self_uid)
			stat->uid = 0;
		if (stat->gid == self_gid)
			stat->gid = 0;
		return;
	}
	stat->uid = to_guest(&options->uids, stat->uid);
	stat->gid = to_guest(&options->gids, stat->gid);
}

static bool can_have_record(const struct host_stat *stat)
{
	return S_ISREG(stat->mode) || S_ISDIR(stat->mode);
}

static unsigned int kind_of(const char *text, struct host_stat *stat)
{
	if (!strcmp(text, "pipe"))
		return S_IFIFO;
	if (!strcmp(text, "socket"))
		return S_IFSOCK;
	if (sscanf(text, "char-%u-%u", &stat->major, &stat->minor) == 2)
		return S_IFCHR;
	if (sscanf(text, "block-%u-%u", &stat->major, &stat->minor) == 2)
		return S_IFBLK;
	return 0;
}

static void show_record(int fd, struct host_stat *stat)
{
	char record[RECORD_SIZE];
	long length = host_fs_getxattr(fd, HOSTFS_RECORD, record, sizeof(record) - 1);
	unsigned int uid, gid, mode, kind = 0;
	int parsed = 0;

	if (length <= 0)
		return;
	record[length] = 0;
	if (sscanf(record, "%u:%u:%o%n", &uid, &gid, &mode, &parsed) < 3)
		return;
	if (record[parsed] == ':' && S_ISREG(stat->mode))
		kind = kind_of(record + parsed + 1, stat);
	stat->uid = uid;
	stat->gid = gid;
	stat->mode = (kind ?: (stat->mode & S_IFMT)) | (mode & S_IALLUGO);
}

static int write_record(int fd, const struct host_stat *wanted)
{
	char record[RECORD_SIZE];
	int length = scnprintf(record, sizeof(record), "%u:%u:0%o", wanted->uid, wanted->gid,
			       wanted->mode & S_IALLUGO);
	char *end = record + length;

	switch (wanted->mode & S_IFMT) {
	case S_IFIFO:
		length += sprintf(end, ":pipe");
		break;
	case S_IFSOCK:
		length += sprintf(end, ":socket");
		break;
	case S_IFCHR:
		length += sprintf(end, ":char-%u-%u", wanted->major, wanted->minor);
		break;
	case S_IFBLK:
		length += sprintf(end, ":block-%u-%u", wanted->major, wanted->minor);
		break;
	}
	return host_fs_setxattr(fd, HOSTFS_RECORD, record, length, 0);
}

/* Sees that a file looks as wanted; on the host it is `host`. */
static int record(struct super_block *sb, int fd, const struct host_stat *host,
		  const struct host_stat *wanted)
{
	struct host_stat plain = *host;
	bool differs;
	int error;

	show_plain(sb, &plain);
	differs = plain.uid != wanted->uid || plain.gid != wanted->gid ||
		  plain.mode != wanted->mode;
	if (!can_have_record(host))
		return differs ? -EPERM : 0;
	if (differs)
		return write_record(fd, wanted);
	error = host_fs_setxattr(fd, HOSTFS_RECORD, NULL, 0, 0);
	return error == -ENODATA || error == -EOPNOTSUPP ? 0 : error;
}

/* ---- what the guest sees ---- */

void hostfs_show(struct super_block *sb, int fd, struct host_stat *stat)
{
	show_plain(sb, stat);
	if (hostfs_s(sb)->options.recorded && can_have_record(stat))
		show_record(fd, stat);
}

int hostfs_stat(struct super_block *sb, int dir, const char *name, struct host_stat *stat)
{
	int fd, error;

	if (!hostfs_s(sb)->options.recorded || !*name) {
		error = host_fs_stat(dir, name, stat);
		if (!error)
			hostfs_show(sb, dir, stat);
		return error;
	}
	fd = hostfs_with_room(host_fs_look(dir, name, stat));
	if (fd < 0)
		return fd;
	hostfs_show(sb, fd, stat);
	host_fs_close(fd);
	return 0;
}

/* ---- changing it ---- */

unsigned int hostfs_host_mode(struct super_block *sb, umode_t mode)
{
	if (!hostfs_s(sb)->options.recorded)
		return mode;
	/*
	 * ./linux itself must always get at it; what makes programs privileged is for the guest
	 * alone.
	 */
	return S_ISDIR(mode) ? S_IFDIR | (mode & 0777) | 0700 : S_IFREG | (mode & 0777) | 0600;
}

static int change_recorded(struct inode *inode, int fd, const struct host_stat *wanted)
{
	struct host_stat host;
	int error = host_fs_stat(fd, "", &host);
	unsigned int mode = hostfs_host_mode(inode->i_sb, wanted->mode);

	if (error)
		return error;
	if (can_have_record(&host) && (host.mode & S_IALLUGO) != (mode & S_IALLUGO)) {
		error = host_fs_chmod(fd, mode & S_IALLUGO);
		host.mode = (host.mode & S_IFMT) | (mode & S_IALLUGO);
	}
	return error ?: record(inode->i_sb, fd, &host, wanted);
}

static int change_plain(struct inode *inode, int fd, const struct iattr *change)
{
	const struct hostfs_options *options = &hostfs_is(inode)->options;
	u32 uid = -1U, gid = -1U;
	int error = 0;

	if (change->ia_valid & ATTR_UID)
		error = to_host(&options->uids, from_kuid(&init_user_ns, change->ia_uid), &uid);
	if (!error && (change->ia_valid & ATTR_GID))
		error = to_host(&options->gids, from_kgid(&init_user_ns, change->ia_gid), &gid);
	if (!error && (uid != -1U || gid != -1U))
		error = host_fs_chown(fd, uid, gid);
	if (!error && (change->ia_valid & ATTR_MODE))
		error = host_fs_chmod(fd, change->ia_mode & S_IALLUGO);
	return error;
}

int hostfs_change_owner(struct inode *inode, int fd, const struct iattr *change)
{
	struct host_stat wanted = {
		.uid = from_kuid(&init_user_ns,
				 change->ia_valid & ATTR_UID ? change->ia_uid : inode->i_uid),
		.gid = from_kgid(&init_user_ns,
				 change->ia_valid & ATTR_GID ? change->ia_gid : inode->i_gid),
		.mode = (inode->i_mode & S_IFMT) |
			((change->ia_valid & ATTR_MODE ? change->ia_mode : inode->i_mode) &
			 S_IALLUGO),
		.major = MAJOR(inode->i_rdev),
		.minor = MINOR(inode->i_rdev),
	};

	return hostfs_is(inode)->options.recorded ? change_recorded(inode, fd, &wanted) :
						    change_plain(inode, fd, change);
}

/* What a file made in dir by this process should look like. */
static struct host_stat wanted_in(struct inode *dir, umode_t mode, dev_t device)
{
	struct host_stat wanted = {
		.uid = from_kuid(&init_user_ns, current_fsuid()),
		.gid = from_kgid(&init_user_ns,
				 dir->i_mode & S_ISGID ? dir->i_gid : current_fsgid()),
		.mode = mode,
		.major = MAJOR(device),
		.minor = MINOR(device),
	};

	if (S_ISDIR(mode) && (dir->i_mode & S_ISGID))
		wanted.mode |= S_ISGID;
	return wanted;
}

/*
 * Gives the file away where the host lets us; where it does not, it is the user's who runs ./linux,
 * as the host shows it.
 */
static void give(struct super_block *sb, int fd, const struct host_stat *wanted,
		 const struct host_stat *stat)
{
	struct hostfs_super *super = hostfs_s(sb);
	u32 uid, gid;

	if (super->no_chown || to_host(&super->options.uids, wanted->uid, &uid) ||
	    to_host(&super->options.gids, wanted->gid, &gid))
		return;
	if (uid == stat->uid)
		uid = -1U;
	if (gid == stat->gid)
		gid = -1U;
	if ((uid != -1U || gid != -1U) && host_fs_chown(fd, uid, gid))
		super->no_chown = true;
}

int hostfs_settle(struct inode *dir, int fd, umode_t mode, dev_t device, struct host_stat *stat)
{
	struct host_stat wanted = wanted_in(dir, mode, device), before = *stat;
	struct super_block *sb = dir->i_sb;
	bool recorded = hostfs_s(sb)->options.recorded;
	int error = 0;

	if (S_ISLNK(mode)) {
		wanted.mode = stat->mode;
	}
	if (recorded && can_have_record(stat)) {
		wanted.mode = mode | (wanted.mode & S_ISGID);
		error = record(sb, fd, stat, &wanted);
	} else if (!recorded) {
		give(sb, fd, &wanted, stat);
		if ((stat->mode ^ wanted.mode) & S_IALLUGO)
			error = host_fs_chmod(fd, wanted.mode & S_IALLUGO);
	}
	if (error)
		return error;
	/* Ask again only if something was changed above. */
	if (recorded || before.uid != wanted.uid || before.gid != wanted.gid ||
	    before.mode != wanted.mode)
		return hostfs_stat(sb, fd, "", stat);
	hostfs_show(sb, fd, stat);
	return 0;
}
