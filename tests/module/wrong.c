// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kernel code does wrong, for tests/module.t, at the wish of who writes to /proc/wrong: "jump
 * <address>", "write <address>" (hexadecimal), "jump-vmalloc", "bug", "warn", "recurse",
 * "recurse-softirq", "spin".
 */
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

static noinline int recurse(int depth)
{
	volatile char room[512];

	room[depth % sizeof(room)] = depth;
	return depth ? recurse(depth + 1) + room[0] : 0;
}

static void recurse_in_softirq(struct tasklet_struct *tasklet)
{
	pr_info("wrong: %s\n",
		in_serving_softirq() ? "recursion in a soft interrupt" : "no soft interrupt");
	recurse(1);
}
static DECLARE_TASKLET(deep, recurse_in_softirq);

static noinline void do_wrong(const char *what, unsigned long address)
{
	if (!strcmp(what, "jump"))
		((void (*)(void))address)();
	else if (!strcmp(what, "write"))
		*(volatile char *)address = 1;
	else if (!strcmp(what, "jump-vmalloc"))
		((void (*)(void))vzalloc(PAGE_SIZE))();
	else if (!strcmp(what, "bug"))
		BUG();
	else if (!strcmp(what, "warn"))
		WARN(1, "wrong: a warning\n");
	else if (!strcmp(what, "recurse"))
		recurse(1);
	else if (!strcmp(what, "spin"))
		for (;;)
			cpu_relax();
	else if (!strcmp(what, "recurse-softirq")) {
		/*
		 * Enabling runs it here; left to itself, the thread of soft interrupts may be the
		 * one, on its own stack.
		 */
		local_bh_disable();
		tasklet_schedule(&deep);
		local_bh_enable();
	}
	pr_info("wrong: %s done\n", what);
}

static ssize_t take_wish(struct file *file, const char __user *from, size_t length, loff_t *at)
{
	char line[64] = "", what[20] = "";
	unsigned long address = 0;

	if (length >= sizeof(line) || copy_from_user(line, from, length))
		return -EFAULT;
	if (sscanf(line, "%19s %lx", what, &address) < 1)
		return -EINVAL;
	do_wrong(what, address);
	return length;
}

static const struct proc_ops wrong_ops = { .proc_write = take_wish };

static int __init wrong_init(void)
{
	return proc_create("wrong", 0200, NULL, &wrong_ops) ? 0 : -ENOMEM;
}

static void __exit wrong_exit(void)
{
	remove_proc_entry("wrong", NULL);
}

module_init(wrong_init);
module_exit(wrong_exit);
MODULE_DESCRIPTION("mistakes on demand");
MODULE_LICENSE("GPL");
