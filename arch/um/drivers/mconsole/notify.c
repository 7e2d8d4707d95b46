// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notifications: mconsole=notify:<socket> has a panic, and what a guest program writes to
 * /proc/mconsole, told on the host. The host side tells where the management console's socket is.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/proc_fs.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <host/mconsole.h>

static bool is_wanted;

static int __init want(char *value)
{
	is_wanted = true;
	return 0;
}
early_param("mconsole", want);

static int tell_panic(struct notifier_block *block, unsigned long unused, void *message)
{
	host_mconsole_notify(HOST_NOTIFY_PANIC, message, strlen(message));
	return NOTIFY_DONE;
}

static struct notifier_block panic_block = {
	.notifier_call = tell_panic,
	.priority = 1,
};

static ssize_t tell_text(struct file *file, const char __user *text, size_t length, loff_t *place)
{
	char part[HOST_MCONSOLE_TEXT - 1];
	size_t taken = min(length, sizeof(part));
	int error;

	if (copy_from_user(part, text, taken))
		return -EFAULT;
	error = host_mconsole_notify(HOST_NOTIFY_USER, part, taken);
	return error ?: taken;
}

static const struct proc_ops proc_ops = {
	.proc_write = tell_text,
	.proc_lseek = noop_llseek,
};

static int __init notify_init(void)
{
	if (!is_wanted)
		return 0;
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	if (!proc_create("mconsole", 0200, NULL, &proc_ops))
		pr_warn("mconsole: no memory for /proc/mconsole\n");
	return 0;
}
fs_initcall(notify_init);
