// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module for tests/module.t: uses what a module's relocations must get right (per-CPU data,
 * read-only data, vmalloc, a table of functions, a timer, an exported symbol far away) and says
 * what it found.
 */
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

static int number = 1;
module_param(number, int, 0444);

static DEFINE_PER_CPU(int, sample_count) = 40;
static const char words[] = "read-only";
static DECLARE_COMPLETION(fired);

static void on_timer(struct timer_list *timer)
{
	complete(&fired);
}
static DEFINE_TIMER(sample_timer, on_timer);

static int (*const compare[])(const char *, const char *) = { strcmp };

static int __init sample_init(void)
{
	char *area = vmalloc(3 * PAGE_SIZE);

	if (!area)
		return -ENOMEM;
	strscpy(area + 2 * PAGE_SIZE - 4, words, sizeof(words));
	this_cpu_add(sample_count, number);
	mod_timer(&sample_timer, jiffies + 1);
	wait_for_completion(&fired);
	pr_info("sample: count %d, words %s\n", this_cpu_read(sample_count),
		compare[0](area + 2 * PAGE_SIZE - 4, "read-only") ? "differ" : "agree");
	vfree(area);
	return 0;
}

static void __exit sample_exit(void)
{
	timer_delete_sync(&sample_timer);
	pr_info("sample: gone\n");
}

module_init(sample_init);
module_exit(sample_exit);
MODULE_DESCRIPTION("test module");
MODULE_LICENSE("GPL");
