// SPDX-License-Identifier: GPL-2.0-only
/*
 * ubd<0-15|a-p><flags>=<file>[(,|:)<backing>][(,|:)<serial>]: the options that make disks, and the
 * same at run time, by the management console.
 *
 * Images of options are opened while the command line is parsed, before anything is printed: a
 * missing or locked one ends ./linux with a single line. The flags are those of host/disk.h: r, s,
 * d, c and t as other User-Mode Linux kernels have them, o for O_DIRECT and m for a backing file
 * that moved. There is no kernel memory to be had that early, hence the fixed arrays.
 *
 * At run time the management console calls one function at a time.
 */
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/hostfs.h>

#include <host/process.h>

#include "../mconsole/mconsole.h"
#include "ubd.h"

struct ubd ubds[UBD_DISKS];

/* The option taken apart; strings point into its value. */
struct ubd_option {
	unsigned int index;
	int flags;			/* HOST_DISK_ */
	bool no_discard;
	char *file, *backing, *serial;	/* "" if not given */
	struct seq_buf *why;		/* after an error: a line that says what is wrong */
};

static __printf(2, 3) int refuse(struct ubd_option *option, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	seq_buf_vprintf(option->why, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static void parse_index(struct ubd_option *option, const char **next)
{
	if (isdigit(**next))
		option->index = simple_strtoul(*next, (char **)next, 10);
	else if (**next >= 'a' && **next <= 'p')
		option->index = *(*next)++ - 'a';
	else
		option->index = UBD_DISKS;
}

static int parse_flags(struct ubd_option *option, const char *unit, const char *flags)
{
	for (; *flags; flags++) {
		if (strchr(flags + 1, *flags))
			return refuse(option, "ubd%s: the flag '%c' is given twice", unit, *flags);
		switch (*flags) {
		case 'r': option->flags |= HOST_DISK_READ_ONLY; break;
		case 's': option->flags |= HOST_DISK_SYNC; break;
		case 'd': option->flags |= HOST_DISK_RAW; break;
		case 'c': option->flags |= HOST_DISK_SHARED; break;
		case 'o': option->flags |= HOST_DISK_DIRECT; break;
		case 'm': option->flags |= HOST_DISK_MOVED; break;
		case 't': option->no_discard = true; break;
		default:
			return refuse(
				option,
				"ubd%s: there is no flag '%c'; there are r, s, d, c, t, o and m",
				unit, *flags);
		}
	}
	return 0;
}

static char *next_part(char **rest)
{
	return *rest ? strsep(rest, ",:") : "";
}

/* unit: the number or letter, and flags. */
static int parse_unit(struct ubd_option *option, const char *unit)
{
	const char *next = unit;

	parse_index(option, &next);
	if (option->index >= UBD_DISKS)
		return refuse(
			option,
			"ubd%s: there is no such disk; there are ubd0 to ubd%d, or ubda to ubd%c",
			unit, UBD_DISKS - 1, 'a' + UBD_DISKS - 1);
	return parse_flags(option, unit, next);
}

/* Cuts value into its parts. */
static int parse_value(struct ubd_option *option, char *value)
{
	option->file = next_part(&value);
	option->backing = next_part(&value);
	option->serial = next_part(&value);
	if (!*option->file)
		return refuse(option, "ubd%u: the file is missing; give ubd%u=<file>",
			      option->index, option->index);
	if (option->flags & HOST_DISK_MOVED && !*option->backing)
		return refuse(
			option,
			"ubd%um=%s: the new backing file is missing; give ubd%um=%s,<backing file>",
			option->index, option->file, option->index, option->file);
	if (value)
		return refuse(
			option,
			"ubd%u=%s: text follows the serial number; names with , or : do not work",
			option->index, option->file);
	return 0;
}

/* Says why the image cannot be used. */
static int explain(struct ubd_option *option, const struct host_disk_info *info, int error)
{
	unsigned int n = option->index;
	const char *file = option->file;

	switch (error) {
	case -ENOENT:
		if (*info->why)
			break;
		return refuse(option,
			      "ubd%u: %s does not exist; `truncate -s 1G %s` makes an empty disk",
			      n, file, file);
	case -EISDIR:
		return refuse(option, "ubd%u: %s is a directory; give the file of a disk image", n,
			      file);
	case -ELOOP:
		return refuse(option,
			      "ubd%u: %s leads by symbolic links to no file; give the file itself",
			      n, file);
	case -ENOTDIR:
		return refuse(option,
			      "ubd%u: %s has a file for a folder in its path; check the path", n,
			      file);
	case -ENAMETOOLONG:
		return refuse(option, "ubd%u: %.60s... is too long for a path", n, file);
	case -ENOTBLK:
		if (*info->why)
			break;
		return refuse(option, "ubd%u: %s is neither a file nor a block device", n, file);
	case -EACCES:
	case -EPERM:
		if (*info->why)
			break;
		return refuse(option, "ubd%u: %s may not be read by you; change its permissions", n,
			      file);
	case -EREMCHG:
		return refuse(option,
			      "ubd%u: %s; ubd%um=%s,%s makes it stand on that one from now on", n,
			      info->why, n, file, option->backing);
	case -EMEDIUMTYPE:
		return refuse(
			option,
			"ubd%u: %s; give a COW file before its backing file, or one file alone", n,
			info->why);
	case -EAGAIN:
		if (info->cow)
			return refuse(
				option,
				"ubd%u: %s; end that, or give this guest a COW file of its own", n,
				info->why);
		return refuse(option, "ubd%u: %s; end that, or share it with ubd%uc=%s", n,
			      info->why, n, file);
	}
	if (*info->why)
		return refuse(option, "ubd%u: %s", n, info->why);
	return refuse(option, "ubd%u: %s cannot be opened: %s", n, file, host_error_text(error));
}

static void remark(const struct ubd_option *option, const struct host_disk_info *info)
{
	unsigned int n = option->index, rest = info->size % info->sector_size;

	if (info->created)
		pr_info("ubd%u: %s was made, a COW file on %s\n", n, option->file, option->backing);
	if (info->read_only && !(option->flags & HOST_DISK_READ_ONLY))
		pr_warn("ubd%u: %s may not be written, so the disk is read-only\n", n,
			option->file);
	if (info->not_direct)
		pr_warn("ubd%u: the file system of %s has no O_DIRECT; the flag o does nothing\n",
			n, option->file);
	if (rest)
		pr_warn("ubd%u: the size of %s is no multiple of %u: the last %u bytes are not used\n",
			n, option->file, info->sector_size, rest);
}

/*
 * Opens the disk of an option. -EISDIR: its file is a directory. Strings of @ubd point to those of
 * @option.
 */
static int open_disk(struct ubd *ubd, struct ubd_option *option)
{
	int error;

	if (strscpy(ubd->serial, option->serial) < 0)
		return refuse(option, "ubd%u: the serial number %s is longer than %d characters",
			      option->index, option->serial, UBD_SERIAL);
	if (IS_ENABLED(CONFIG_BLK_DEV_UBD_SYNC))
		option->flags |= HOST_DISK_SYNC;
	error = host_disk_open(&ubd->disk, option->file, option->backing, option->flags,
			       &ubd->info);
	if (error) {
		explain(option, &ubd->info, error);
		return error;
	}
	ubd->file = option->file;
	ubd->backing = option->backing;
	ubd->sync = option->flags & HOST_DISK_SYNC;
	ubd->no_discard = option->no_discard;
	if (ubd->info.size < ubd->info.sector_size) {
		host_disk_close(ubd->disk);
		ubd->disk = NULL;
		return refuse(
			option,
			"ubd%u: %s is smaller than one sector; `truncate -s 1G %s` gives it a size",
			option->index, option->file, option->file);
	}
	remark(option, &ubd->info);
	return 0;
}

/* ---- the command line ---- */

static int __init ubd_option(char *unit)
{
	static char line[16384] __initdata;	/* with the longest paths, four times */
	struct seq_buf why;
	struct ubd_option option = { .why = &why };
	char *value = strchr(unit, '=');
	int error;

	seq_buf_init(&why, line, sizeof(line));
	if (value)
		*value++ = '\0';
	error = parse_unit(&option, unit) ?: parse_value(&option, value ?: "");
	if (!error && ubds[option.index].disk)
		error = refuse(&option, "ubd%u is given twice; remove one, or use another number",
			       option.index);
	if (!error)
		error = open_disk(&ubds[option.index], &option);
	/* A directory as the first disk is the root file system, by hostfs. */
	if (error == -EISDIR && option.index == 0 && hostfs_boot_from(option.file))
		return 1;
	if (error)
		host_fatal("%s", seq_buf_str(&why));
	return 1;
}
__setup("ubd", ubd_option);

/* ---- the management console ---- */

static int set_new(struct ubd *ubd, struct ubd_option *option, char *value)
{
	int error = open_disk(ubd, option);

	if (error)
		return error;
	error = ubd_add(option->index);
	if (error) {
		ubd_remove(option->index);
		refuse(option, "ubd%u: no block device: %s", option->index,
		       host_error_text(error));
		return error;
	}
	ubd->value = value;		/* from now on ubd_remove() frees it */
	return 0;
}

/*
 * A disk that is there keeps its file, but may have become larger. Another file would be another
 * disk under its user.
 */
static int set_again(struct ubd *ubd, struct ubd_option *option)
{
	if (!option->flags && !*option->backing && host_disk_has_file(ubd->disk, option->file)) {
		ubd_look_at_sizes();
		return 0;
	}
	if (ubd_is_open(ubd))
		refuse(option, MCONSOLE_BUSY);
	else
		refuse(option, "ubd%u has a file; remove ubd%u first", option->index,
		       option->index);
	return -EBUSY;
}

static int ubd_set(const char *unit, const char *value, struct seq_buf *answer)
{
	struct ubd_option option = { .why = answer };
	char *copy = kstrdup(value, GFP_KERNEL);
	struct ubd *ubd;
	int error;

	if (!copy)
		return -ENOMEM;
	error = parse_unit(&option, unit) ?: parse_value(&option, copy);
	if (error)
		goto free;
	ubd = &ubds[option.index];
	if (!ubd->disk) {
		error = set_new(ubd, &option, copy);
		if (!error)
			return 0;
	} else {
		error = set_again(ubd, &option);
	}
free:
	kfree(copy);
	return error;
}

static struct ubd *named(const char *unit, struct seq_buf *answer)
{
	struct ubd_option option = { .why = answer };

	return parse_unit(&option, unit) ? NULL : &ubds[option.index];
}

static int ubd_query(const char *unit, struct seq_buf *answer)
{
	struct ubd *ubd = named(unit, answer);

	if (!ubd)
		return -EINVAL;
	if (ubd->disk)
		seq_buf_printf(answer, "%s%s%s", ubd->file, *ubd->backing ? "," : "", ubd->backing);
	return 0;
}

static int ubd_take_away(const char *unit, struct seq_buf *answer)
{
	struct ubd *ubd = named(unit, answer);
	int error;

	if (!ubd)
		return -EINVAL;
	if (!ubd->disk) {
		seq_buf_printf(answer, "ubd%s: there is no such disk", unit);
		return -ENODEV;
	}
	error = ubd_remove(ubd - ubds);
	if (error == -EBUSY)
		seq_buf_puts(answer, MCONSOLE_BUSY);
	else if (error)
		seq_buf_printf(answer, "ubd%s: the host cannot write all of it (%s); remove it "
			       "again to lose the rest", unit, host_error_text(error));
	return error;
}

static struct mconsole_device ubd_device = {
	.name = "ubd",
	.set = ubd_set,
	.query = ubd_query,
	.remove = ubd_take_away,
};

static int __init register_device(void)
{
	mconsole_register(&ubd_device);
	return 0;
}
late_initcall(register_device);
