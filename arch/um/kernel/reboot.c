// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the guest ends: poweroff and halt exit with the status that /proc/exitcode was given; reboot
 * starts ./linux again with its own command line; a panic exits with a status that is not zero, or
 * restarts after panic=<seconds>, unless noreboot.
 */
#include <linux/console.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/panic.h>
#include <linux/panic_notifier.h>
#include <linux/pid_namespace.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <linux/sched/debug.h>
#include <host/process.h>
#include "kernel.h"

#define PANIC_STATUS 134	/* as a shell shows SIGABRT */

int exit_code;
void (*pm_power_off)(void) = machine_power_off;
EXPORT_SYMBOL(pm_power_off);

static bool no_reboot;

static int __init set_no_reboot(char *value)
{
	option_flag("noreboot", value);
	no_reboot = true;
	return 0;
}
early_param("noreboot", set_no_reboot);

/* ---- a panic ---- */

#define LONGEST_PAUSE	60	/* seconds between panics that follow each other */
#define RAN_WELL	300	/* seconds; a panic after that follows no other */

/* Before, the next start would come to the same end. */
static bool init_ran(void)
{
	const struct task_struct *init = init_pid_ns.child_reaper;

	return init && init->self_exec_id;
}

static bool restarts_after_panic(void)
{
	return panic_timeout && !no_reboot && init_ran();
}

static void __noreturn restart_after_panic(void)
{
	unsigned int panics = (ktime_get_boottime_seconds() < RAN_WELL ? host_panics : 0) + 1;
	unsigned int pause = panics > 6 ? LONGEST_PAUSE : 1U << (panics - 1);

	if (panic_timeout > 0)		/* the panic itself waited for so long */
		pause -= min_t(unsigned int, pause, panic_timeout);
	pr_emerg("Panic number %u in a row: starting again%s\n", panics, pause ? " after a pause" : "");
	console_flush_on_panic(CONSOLE_FLUSH_PENDING);
	host_restart_later(pause, panics);
}

void machine_restart(char *command)
{
	if (!panic_in_progress())
		host_restart();
	if (no_reboot)
		host_exit(PANIC_STATUS);
	restart_after_panic();
}

void machine_power_off(void)
{
	host_exit(exit_code);
}

void machine_halt(void)
{
	host_exit(exit_code);
}

/* The last one in the list: without panic=<seconds>, the program ends here. */
static int end_after_panic(struct notifier_block *block, unsigned long unused, void *text)
{
	if (restarts_after_panic())
		return NOTIFY_DONE;
	bust_spinlocks(0);
	if (panic_timeout && !no_reboot)
		pr_emerg("Not starting again, since init never ran\n");
	speak_at_last();
	console_flush_on_panic(CONSOLE_FLUSH_PENDING);
	host_exit(PANIC_STATUS);
}

static struct notifier_block panic_block = {
	.notifier_call = end_after_panic,
	.priority = INT_MIN,
};

static int __init reboot_init(void)
{
	if (host_panics)
		pr_notice("Started again after %u panics in a row\n", host_panics);
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	return 0;
}
early_initcall(reboot_init);
