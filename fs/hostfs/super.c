// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounting: options, the super block, and booting from a directory. hostfs.5 describes the options.
 *
 * The same directory mounted twice with the same options is one super block, so that both see one
 * page cache.
 */
#include <linux/backing-dev.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <asm/hostfs.h>

#include <host/process.h>

#include "internal.h"

#define DEFAULT_TIMEOUT 1		/* seconds */
#define MOST_TIMEOUT 86400

/* ---- booting from a directory: ubd0=<dir> ---- */

static const char *boot_dir;

/* ---- options ---- */

struct hostfs_context {
	struct hostfs_options options;
	char *path;
};

enum {
	OPTION_DIR,
	OPTION_UID,
	OPTION_GID,
	OPTION_UIDMAP,
	OPTION_GIDMAP,
	OPTION_MAP,
	OPTION_TIMEOUT
};

static const struct constant_table maps[] = {
	{ "none", 0 },
	{ "xattr", 1 },
	{}
};

static const struct fs_parameter_spec parameters[] = {
	fsparam_string("dir", OPTION_DIR),
	fsparam_u32("uid", OPTION_UID),
	fsparam_u32("gid", OPTION_GID),
	fsparam_string("uidmap", OPTION_UIDMAP),
	fsparam_string("gidmap", OPTION_GIDMAP),
	fsparam_enum("map", OPTION_MAP, maps),
	fsparam_u32("actimeo", OPTION_TIMEOUT),
	{}
};

/* Takes over an allocated path. */
static int set_path(struct fs_context *fc, char *path)
{
	struct hostfs_context *context = fc->fs_private;

	if (!path)
		return -ENOMEM;
	if (context->path) {
		errorf(fc, "hostfs: %s: there is no such option, or a second directory after %s",
		       path, context->path);
		kfree(path);
		return -EINVAL;
	}
	context->path = path;
	return 0;
}

/*
 * A word that is no option is the directory. So that = may be in it, what follows one belongs to
 * it.
 */
static int take_word(struct fs_context *fc, const struct fs_parameter *param)
{
	if (param->type == fs_value_is_flag)
		return set_path(fc, kstrdup(param->key, GFP_KERNEL));
	if (param->type == fs_value_is_string && strchr(param->key, '/'))
		return set_path(fc, kasprintf(GFP_KERNEL, "%s=%s", param->key, param->string));
	return -ENOPARAM;
}

static int parse_range(struct fs_context *fc, struct hostfs_map *map,
		       const struct fs_parameter *param)
{
	if (!hostfs_parse_range(map, param->string))
		return 0;
	return invalf(fc, "hostfs: %s=%s: not <guest>:<host>:<count>, or more than %d of them",
		      param->key, param->string, HOSTFS_RANGES);
}

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct hostfs_context *context = fc->fs_private;
	struct hostfs_options *options = &context->options;
	struct fs_parse_result result;
	int option = fs_parse(fc, parameters, param, &result);

	if (option == -ENOPARAM && !strcmp(param->key, "source"))
		return option;
	if (option == -ENOPARAM)
		return take_word(fc, param);
	switch (option) {
	case OPTION_DIR:
		return set_path(fc, kstrdup(param->string, GFP_KERNEL));
	case OPTION_UID:
		options->uids.squash = true;
		options->uids.to = result.uint_32;
		return 0;
	case OPTION_GID:
		options->gids.squash = true;
		options->gids.to = result.uint_32;
		return 0;
	case OPTION_UIDMAP:
		return parse_range(fc, &options->uids, param);
	case OPTION_GIDMAP:
		return parse_range(fc, &options->gids, param);
	case OPTION_MAP:
		options->recorded = result.uint_32;
		return 0;
	case OPTION_TIMEOUT:
		if (result.uint_32 > MOST_TIMEOUT)
			return invalf(fc, "hostfs: actimeo=%u: at most %u seconds", result.uint_32,
				      MOST_TIMEOUT);
		options->timeout = result.uint_32;
		return 0;
	}
	return option;
}

static int super_check(struct fs_context *fc, const struct hostfs_options *options)
{
	if (options->uids.squash && options->uids.ranges)
		return invalf(fc, "hostfs: uid= and uidmap= exclude each other");
	if (options->gids.squash && options->gids.ranges)
		return invalf(fc, "hostfs: gid= and gidmap= exclude each other");
	return 0;
}

/* ---- super blocks ---- */

static void free_super(struct hostfs_super *super)
{
	if (!super)
		return;
	if (super->root >= 0)
		host_fs_close(super->root);
	kfree(super->path);
	kfree(super);
}

/*
 * The directory that is to be mounted: -o, else what is mounted as if it were a device, else what
 * booted, else all.
 */
static const char *path_of(struct fs_context *fc)
{
	struct hostfs_context *context = fc->fs_private;

	if (context->path)
		return context->path;
	if (boot_dir && fc->source && !strcmp(fc->source, "/dev/root"))
		return boot_dir;
	if (fc->source && fc->source[0] == '/' && strcmp(fc->source, "/dev/root"))
		return fc->source;
	return "";
}

static struct hostfs_super *open_super(struct fs_context *fc, struct host_stat *root)
{
	struct hostfs_context *context = fc->fs_private;
	struct hostfs_super *super = kzalloc(sizeof(*super), GFP_KERNEL);
	int error = -ENOMEM;

	if (!super)
		return ERR_PTR(error);
	super->root = -1;
	super->options = context->options;
	super->timeout = context->options.timeout * HZ;
	spin_lock_init(&super->parked_lock);
	super->path = kstrdup(path_of(fc), GFP_KERNEL);
	if (!super->path)
		goto free;
	super->root = error = hostfs_with_room(host_fs_root(super->path));
	if (error >= 0)
		error = host_fs_stat(super->root, "", root);
	if (error < 0) {
		errorf(fc, "hostfs: %s%s: %s%s", super->path[0] ? super->path : "/",
		       host_fs_confined ? " below hostfs=" : "", host_error_text(error),
		       error == -EXDEV ? ", the path leads out of it" : "");
		goto free;
	}
	super->device = root->device;
	return super;
free:
	free_super(super);
	return ERR_PTR(error);
}

static int is_same_mount(struct super_block *sb, struct fs_context *fc)
{
	struct hostfs_super *old = hostfs_s(sb), *new = fc->s_fs_info;
	struct host_stat stat;

	return sb->s_root &&
	       !((sb->s_flags ^ fc->sb_flags) & (SB_RDONLY | SB_SYNCHRONOUS | SB_DIRSYNC)) &&
	       !memcmp(&old->options, &new->options, sizeof(old->options)) &&
	       !host_fs_stat(new->root, "", &stat) && hostfs_same_file(d_inode(sb->s_root), &stat);
}

static int fill_super(struct super_block *sb, const struct host_stat *root)
{
	struct host_stat stat = *root;
	struct inode *inode;
	int error;

	sb->s_magic = HOSTFS_MAGIC;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_time_gran = 1;
	sb->s_op = &hostfs_super_operations;
	sb->s_d_op = &hostfs_dentry_operations;
	sb->s_xattr = hostfs_xattr_handlers;
	sb->s_flags |= SB_NOSEC;
	error = super_setup_bdi(sb);
	if (error)
		return error;
	/* One host call for a MiB. */
	sb->s_bdi->ra_pages = SZ_1M / PAGE_SIZE;
	sb->s_bdi->io_pages = SZ_1M / PAGE_SIZE;
	hostfs_show(sb, hostfs_s(sb)->root, &stat);
	inode = hostfs_iget(sb, &stat);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	sb->s_root = d_make_root(inode);
	if (!sb->s_root)
		return -ENOMEM;
	sb->s_flags |= SB_ACTIVE;
	return 0;
}

static int get_tree(struct fs_context *fc)
{
	struct hostfs_context *context = fc->fs_private;
	struct super_block *sb;
	struct host_stat root;
	int error = super_check(fc, &context->options);

	if (error)
		return error;
	fc->s_fs_info = open_super(fc, &root);
	if (IS_ERR(fc->s_fs_info)) {
		error = PTR_ERR(fc->s_fs_info);
		fc->s_fs_info = NULL;
		return error;
	}
	/* A new one takes s_fs_info over; what is left of it is freed with the context. */
	sb = sget_fc(fc, is_same_mount, set_anon_super_fc);
	if (IS_ERR(sb))
		return PTR_ERR(sb);
	if (!sb->s_root) {
		error = fill_super(sb, &root);
		if (error) {
			deactivate_locked_super(sb);
			return error;
		}
	}
	fc->root = dget(sb->s_root);
	return 0;
}

static int reconfigure(struct fs_context *fc)
{
	struct hostfs_context *context = fc->fs_private;
	struct hostfs_super *super = hostfs_s(fc->root->d_sb);
	struct hostfs_options wanted = context->options;

	wanted.timeout = super->options.timeout;
	if (memcmp(&wanted, &super->options, sizeof(wanted)))
		return invalf(
			fc,
			"hostfs: of a mounted directory only actimeo, ro, rw and sync can be changed");
	sync_filesystem(fc->root->d_sb);
	super->options.timeout = context->options.timeout;
	super->timeout = context->options.timeout * HZ;
	return 0;
}

static void free_context(struct fs_context *fc)
{
	struct hostfs_context *context = fc->fs_private;

	free_super(fc->s_fs_info);
	if (context)
		kfree(context->path);
	kfree(context);
}

static const struct fs_context_operations context_operations = {
	.parse_param = parse_param,
	.get_tree = get_tree,
	.reconfigure = reconfigure,
	.free = free_context,
};

static int init_context(struct fs_context *fc)
{
	struct hostfs_context *context = kzalloc(sizeof(*context), GFP_KERNEL);

	if (!context)
		return -ENOMEM;
	context->options.timeout = DEFAULT_TIMEOUT;
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE)
		context->options = hostfs_s(fc->root->d_sb)->options;
	fc->fs_private = context;
	fc->ops = &context_operations;
	return 0;
}

static void kill_super(struct super_block *sb)
{
	struct hostfs_super *super = hostfs_s(sb);

	kill_anon_super(sb);
	free_super(super);
}

static struct file_system_type hostfs_type = {
	.owner = THIS_MODULE,
	.name = "hostfs",
	.init_fs_context = init_context,
	.parameters = parameters,
	.kill_sb = kill_super,
};
MODULE_ALIAS_FS("hostfs");

/* ---- the kernel's options ---- */

/* hostfs=<root>[,append] */
static int __init hostfs_option(char *value)
{
	char *flag = strrchr(value, ',');
	int append = flag && !strcmp(flag, ",append");

	if (append)
		*flag = 0;
	if (!*value)
		host_fatal("hostfs=: the directory is missing; give hostfs=<root>[,append]");
	host_fs_confine(value, append);
	return 1;
}
__setup("hostfs=", hostfs_option);

/* What the kernel does with another option, as if it had been given. */
static void __init give_option(const char *name, char *value)
{
	for (const struct obs_kernel_param *param = __setup_start; param < __setup_end; param++)
		if (!strcmp(param->str, name))
			param->setup_func(value);
}

bool __init hostfs_boot_from(const char *dir)
{
	static char type[] = "hostfs";

	boot_dir = dir;
	give_option("rootfstype=", type);
	return true;
}

static int __init hostfs_init(void)
{
	int error = hostfs_inodes_init();

	hostfs_places_init();
	return error ?: register_filesystem(&hostfs_type);
}
fs_initcall(hostfs_init);
