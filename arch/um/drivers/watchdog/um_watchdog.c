// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/watchdog: pings of the guest go to a program on the host, which ends or reports the
 * instance when they stop. The time is the host's, so that a guest which hangs for good is
 * noticed.
 *
 * A stopped instance does not hang: the management console pings for it.
 */
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/watchdog.h>
#include <host/watchdog.h>

#include "../mconsole/mconsole.h"

#define FIXED_TIMEOUT 60 /* seconds, of programs that do not let it be chosen */

/* Covers pings and the end, in processes and in the interrupt of a stopped instance. */
static DEFINE_SPINLOCK(lock);

static int ping_now(void)
{
	unsigned long flags;
	int error;

	spin_lock_irqsave(&lock, flags);
	error = host_watchdog_ping();
	spin_unlock_irqrestore(&lock, flags);
	return error;
}

static void ping_while_stopped(void)
{
	ping_now();
}

static int watchdog_start(struct watchdog_device *device)
{
	int fixed, error;

	error = host_watchdog_start(device->timeout, &fixed);
	if (error == -ENOENT)
		pr_err("watchdog: no uml_watchdog: put it next to ./linux or in PATH\n");
	else if (error)
		pr_err("watchdog: uml_watchdog does not start: %pe\n", ERR_PTR(error));
	if (error)
		return error;
	if (fixed && device->timeout != FIXED_TIMEOUT) {
		pr_notice("watchdog: the host's uml_watchdog waits for %d seconds, not %u\n",
			  FIXED_TIMEOUT, device->timeout);
		device->timeout = FIXED_TIMEOUT;
	}
	mconsole_while_stopped = ping_while_stopped;
	return 0;
}

static int watchdog_stop(struct watchdog_device *device)
{
	unsigned long flags;

	mconsole_while_stopped = NULL;
	spin_lock_irqsave(&lock, flags);
	host_watchdog_stop();
	spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static int watchdog_ping(struct watchdog_device *device)
{
	int error = ping_now();

	if (error)
		pr_warn_once(
			"watchdog: uml_watchdog is gone: no program watches this instance\n");
	return error;
}

static int watchdog_set_timeout(struct watchdog_device *device, unsigned int seconds)
{
	device->timeout = seconds;
	if (!watchdog_active(device))
		return 0;
	watchdog_stop(device);
	return watchdog_start(device);
}

static const struct watchdog_info info = {
	.options = WDIOF_SETTIMEOUT | WDIOF_KEEPALIVEPING | WDIOF_MAGICCLOSE,
	.identity = "User-Mode Linux",
};

static const struct watchdog_ops ops = {
	.start = watchdog_start,
	.stop = watchdog_stop,
	.ping = watchdog_ping,
	.set_timeout = watchdog_set_timeout,
};

static struct watchdog_device watchdog = {
	.info = &info,
	.ops = &ops,
	.timeout = 60,
	.min_timeout = 1,
	.max_timeout = 24 * 3600,
};

static int __init watchdog_init(void)
{
	watchdog_set_nowayout(&watchdog, WATCHDOG_NOWAYOUT);
	watchdog_stop_on_reboot(&watchdog);
	return watchdog_register_device(&watchdog);
}

static void __exit watchdog_exit(void)
{
	watchdog_unregister_device(&watchdog);
}

module_init(watchdog_init);
module_exit(watchdog_exit);
MODULE_DESCRIPTION("Watchdog by a program on the host");
MODULE_LICENSE("GPL");
