// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the guest ends: poweroff and halt exit with the status that /proc/exitcode was given; reboot starts ./linux again with
 * its own command line; a panic exits with a status that is not zero, or restarts after panic=<seconds>, unless noreboot.
 */
#include <linux/console.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/panic.h>
#include <linux/panic_notifier.h>
#include <linux/reboot.h>
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
	no_reboot = true;
	return 0;
}
early_param("noreboot", set_no_reboot);

void machine_restart(char *command)
{
	if (panic_in_progress() && no_reboot)
		host_exit(PANIC_STATUS);
	host_restart();
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
	if (panic_timeout && !no_reboot)
		return NOTIFY_DONE;
	bust_spinlocks(0);
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
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	return 0;
}
early_initcall(reboot_init);
