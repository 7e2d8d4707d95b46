// SPDX-License-Identifier: GPL-2.0-only
/*
 * ubd<0-15|a-p><flags>=<file>[(,|:)<backing>][(,|:)<serial>]: the options that make disks.
 *
 * Images are opened while the command line is parsed, before anything is printed: a missing or locked one ends ./linux with a
 * single line. There is no kernel memory to be had that early, hence the fixed arrays.
 */
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

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
	for (; *flags && *flags != '='; flags++)
		switch (*flags) {
		case 'r': option->flags |= HOST_DISK_READ_ONLY; break;
		case 's': option->flags |= HOST_DISK_SYNC; break;
		case 'd': option->flags |= HOST_DISK_PLAIN; break;
		case 'c': option->flags |= HOST_DISK_SHARED; break;
		case 't': option->no_discard = true; break;
		default:
			host_fatal("ubd%s: there is no flag '%c'; there are r, s, d, c and t", name, *flags);
		}
}

static char * __init next_part(char **rest)
{
	return *rest ? strsep(rest, ",:") : "";
}

/* name: what follows "ubd" in the option. */
static void __init parse(struct ubd_option *option, char *name)
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
	if (value)
		host_fatal("ubd%u=%s: there is something after the serial number; names with , or : do not work",
			   option->index, option->file);
}

static void __init __noreturn refuse_locked(const struct ubd_option *option, int owner)
{
	unsigned int n = option->index;
	const char *file = option->file;

	if (owner < 0)
		host_fatal("ubd%u: %s is another disk already; give each disk a file, or share it with ubd%uc=%s",
			   n, file, n, file);
	if (owner > 0)
		host_fatal("ubd%u: %s is in use by process %d; end that, or share it with ubd%uc=%s", n, file, owner, n, file);
	host_fatal("ubd%u: %s is in use by another process; end that, or share it with ubd%uc=%s", n, file, n, file);
}

/* Says why the image cannot be used, and ends. */
static void __init __noreturn refuse(const struct ubd_option *option, const struct host_disk_info *info, int error)
{
	unsigned int n = option->index;
	const char *file = option->file;

	switch (error) {
	case -ENOENT:
		host_fatal("ubd%u: %s does not exist; `truncate -s 1G %s` makes an empty disk", n, file, file);
	case -EISDIR:
		host_fatal("ubd%u: %s is a directory; give the file of a disk image", n, file);
	case -ENOTBLK:
		host_fatal("ubd%u: %s is neither a file nor a block device", n, file);
	case -EACCES:
	case -EPERM:
		host_fatal("ubd%u: %s may not be read by you; change its permissions", n, file);
	case -EMEDIUMTYPE:
		host_fatal("ubd%u: %s is a COW file, and COW is not built yet; ubd%ud=%s takes it as plain data",
			   n, file, n, file);
	case -EAGAIN:
		refuse_locked(option, info->locked_by);
	default:
		host_fatal("ubd%u: %s cannot be opened: error %d", n, file, -error);
	}
}

static void __init remark(const struct ubd_option *option, const struct host_disk_info *info)
{
	if (info->read_only && !(option->flags & HOST_DISK_READ_ONLY))
		pr_warn("ubd%u: %s may not be written, so the disk is read-only\n", option->index, option->file);
	if (info->size % SECTOR_SIZE)
		pr_warn("ubd%u: the size of %s is no multiple of %d bytes: the last %llu bytes are not used\n",
			option->index, option->file, SECTOR_SIZE, info->size % SECTOR_SIZE);
}

static int __init ubd_option(char *name)
{
	struct ubd_option option = {};
	struct ubd *ubd;
	int error;

	parse(&option, name);
	ubd = &ubds[option.index];
	if (ubd->disk)
		host_fatal("ubd%u is given twice; remove one, or use another number", option.index);
	if (*option.backing)
		host_fatal("ubd%u=%s,%s: COW is not built yet; give one file, without a backing file",
			   option.index, option.file, option.backing);
	if (strscpy(ubd->serial, option.serial) < 0)
		host_fatal("ubd%u: the serial number %s is longer than %d characters",
			   option.index, option.serial, UBD_SERIAL);
	if (IS_ENABLED(CONFIG_BLK_DEV_UBD_SYNC))
		option.flags |= HOST_DISK_SYNC;
	error = host_disk_open(&ubd->disk, option.file, option.flags, &ubd->info);
	if (error)
		refuse(&option, &ubd->info, error);
	if (ubd->info.size < SECTOR_SIZE)
		host_fatal("ubd%u: %s is smaller than one sector; `truncate -s 1G %s` gives it a size",
			   option.index, option.file, option.file);
	ubd->sync = option.flags & HOST_DISK_SYNC;
	ubd->no_discard = option.no_discard;
	remark(&option, &ubd->info);
	return 1;
}
__setup("ubd", ubd_option);
