// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/exitcode: the status with which ./linux ends on poweroff and halt. Read and written as a
 * number.
 */
#include <linux/init.h>
#include <linux/kstrtox.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include "kernel.h"

static int exitcode_show(struct seq_file *file, void *v)
{
	seq_printf(file, "%d\n", exit_code);
	return 0;
}

static int exitcode_open(struct inode *inode, struct file *file)
{
	return single_open(file, exitcode_show, NULL);
}

static ssize_t exitcode_write(struct file *file, const char __user *text, size_t length, loff_t *at)
{
	int value, error = kstrtoint_from_user(text, length, 0, &value);

	if (error)
		return error;
	if (value < 0 || value > 255)
		return -ERANGE;
	exit_code = value;
	return length;
}

static const struct proc_ops exitcode_ops = {
	.proc_open = exitcode_open,
	.proc_read = seq_read,
	.proc_write = exitcode_write,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

static int __init exitcode_init(void)
{
	return proc_create("exitcode", 0644, NULL, &exitcode_ops) ? 0 : -ENOMEM;
}
late_initcall(exitcode_init);
