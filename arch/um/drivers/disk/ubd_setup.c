// SPDX-License-Identifier: GPL-2.0-only
/*
 * ubd<0-15|a-p><flags>=<file>[(,|:)<backing>][(,|:)<serial>]: the options that make disks.
 *
 * Images are opened while the command line is parsed, before anything is printed: a missing or locked one ends ./linux with a
 * single line. They are the flags of host/disk.h: r, s, d, c and t as other User-Mode Linux kernels have them, o for O_DIRECT and m
 * for a backing file that moved. There is no kernel memory to be had that early, hence the fixed arrays.
 */
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/hostfs.h>

#include <host/process.h>

#include "ubd.h"

struct ubd ubds[UBD_DISKS];

/* The option taken apart; strings point into the command line. */
struct ubd_option {
	unsigned int index;
	int flags;			/* HOST_DISK_ */
	bool no_discard;
	char *file, *backing, *serial;	/* "" if not given */
};

static void __init parse_index(struct ubd_option *option, char **next)
{
	if (isdigit(**next))
		option->index = simple_strtoul(*next, next, 10);
	else if (**next >= 'a' && **next <= 'p')
		option->index = *(*next)++ - 'a';
	else
		option->index = UBD_DISKS;
}

static void __init parse_flags(struct ubd_option *option, const char *name, const char *flags)
{
	for (; *flags && *flags != '='; flags++) {
		if (memchr(flags + 1, *flags, strcspn(flags + 1, "=")))
			host_fatal("ubd%s: the flag '%c' is given twice", name, *flags);
		switch (*flags) {
		case 'r': option->flags |= HOST_DISK_READ_ONLY; break;
		case 's': option->flags |= HOST_DISK_SYNC; break;
		case 'd': option->flags |= HOST_DISK_RAW; break;
		case 'c': option->flags |= HOST_DISK_SHARED; break;
		case 'o': option->flags |= HOST_DISK_DIRECT; break;
		case 'm': option->flags |= HOST_DISK_MOVED; break;
		case 't': option->no_discard = true; break;
		default:
			host_fatal("ubd%s: there is no flag '%c'; there are r, s, d, c, t, o and m", name, *flags);
		}
	}
}

static char * __init next_part(char **rest)
{
	return *rest ? strsep(rest, ",:") : "";
}

/* name: what follows "ubd" in the option. */
static void __init ubd_parse(struct ubd_option *option, char *name)
{
	char *next = name, *value = strchr(name, '=');

	parse_index(option, &next);
	if (option->index >= UBD_DISKS)
		host_fatal("ubd%s: there is no such disk; there are ubd0 to ubd%d, or ubda to ubd%c",
			   name, UBD_DISKS - 1, 'a' + UBD_DISKS - 1);
	parse_flags(option, name, next);
	if (!value || !value[1])
		host_fatal("ubd%s: the file is missing; give ubd%u=<file>", name, option->index);
	value++;
	option->file = next_part(&value);
	option->backing = next_part(&value);
	option->serial = next_part(&value);
	if (option->flags & HOST_DISK_MOVED && !*option->backing)
		host_fatal("ubd%um=%s: the new backing file is missing; give ubd%um=%s,<backing file>",
			   option->index, option->file, option->index, option->file);
	if (value)
		host_fatal("ubd%u=%s: there is something after the serial number; names with , or : do not work",
			   option->index, option->file);
}

/* Says why the image cannot be used, and ends. */
static void __init __noreturn ubd_refuse(const struct ubd_option *option,
					 const struct host_disk_info *info, int error)
{
	unsigned int n = option->index;
	const char *file = option->file;

	switch (error) {
	case -ENOENT:
		if (*info->why)
			break;
		host_fatal("ubd%u: %s does not exist; `truncate -s 1G %s` makes an empty disk", n, file, file);
	case -EISDIR:
		host_fatal("ubd%u: %s is a directory; give the file of a disk image", n, file);
	case -ELOOP:
		host_fatal("ubd%u: %s leads by symbolic links to no file; give the file itself", n, file);
	case -ENOTDIR:
		host_fatal("ubd%u: %s has a file for a folder in its path; check the path", n, file);
	case -ENAMETOOLONG:
		host_fatal("ubd%u: %.60s... is too long for a path", n, file);
	case -ENOTBLK:
		if (*info->why)
			break;
		host_fatal("ubd%u: %s is neither a file nor a block device", n, file);
	case -EACCES:
	case -EPERM:
		if (*info->why)
			break;
		host_fatal("ubd%u: %s may not be read by you; change its permissions", n, file);
	case -EREMCHG:
		host_fatal("ubd%u: %s; ubd%um=%s,%s makes it stand on that one from now on", n, info->why, n, file, option->backing);
	case -EMEDIUMTYPE:
		host_fatal("ubd%u: %s; give a COW file before its backing file, or one file alone", n, info->why);
	case -EAGAIN:
		if (info->cow)
			host_fatal("ubd%u: %s; end that, or give this guest a COW file of its own", n, info->why);
		host_fatal("ubd%u: %s; end that, or share it with ubd%uc=%s", n, info->why, n, file);
	}
	if (*info->why)
		host_fatal("ubd%u: %s", n, info->why);
	host_fatal("ubd%u: %s cannot be opened: %s", n, file, host_error_text(error));
}

static void __init remark(const struct ubd_option *option, const struct host_disk_info *info)
{
	unsigned int n = option->index, rest = info->size % info->sector_size;

	if (info->created)
		pr_info("ubd%u: %s was made, a COW file on %s\n", n, option->file, option->backing);
	if (info->read_only && !(option->flags & HOST_DISK_READ_ONLY))
		pr_warn("ubd%u: %s may not be written, so the disk is read-only\n", n, option->file);
	if (info->not_direct)
		pr_warn("ubd%u: the file system of %s has no O_DIRECT, so the flag o does nothing\n", n, option->file);
	if (rest)
		pr_warn("ubd%u: the size of %s is no multiple of %u bytes: the last %u bytes are not used\n",
			n, option->file, info->sector_size, rest);
}

static int __init ubd_option(char *name)
{
	struct ubd_option option = {};
	struct ubd *ubd;
	int error;

	ubd_parse(&option, name);
	ubd = &ubds[option.index];
	if (ubd->disk)
		host_fatal("ubd%u is given twice; remove one, or use another number", option.index);
	if (strscpy(ubd->serial, option.serial) < 0)
		host_fatal("ubd%u: the serial number %s is longer than %d characters",
			   option.index, option.serial, UBD_SERIAL);
	if (IS_ENABLED(CONFIG_BLK_DEV_UBD_SYNC))
		option.flags |= HOST_DISK_SYNC;
	error = host_disk_open(&ubd->disk, option.file, option.backing, option.flags, &ubd->info);
	/* A directory as the first disk is the root file system, by hostfs. */
	if (error == -EISDIR && option.index == 0 && hostfs_boot_from(option.file))
		return 1;
	if (error)
		ubd_refuse(&option, &ubd->info, error);
	if (ubd->info.size < ubd->info.sector_size)
		host_fatal("ubd%u: %s is smaller than one sector; `truncate -s 1G %s` gives it a size",
			   option.index, option.file, option.file);
	ubd->sync = option.flags & HOST_DISK_SYNC;
	ubd->no_discard = option.no_discard;
	remark(&option, &ubd->info);
	return 1;
}
__setup("ubd", ubd_option);
