// SPDX-License-Identifier: GPL-2.0-only
/* The watchdog's part of the contract, for um_watchdog as a module. */
#include <linux/export.h>
#include <host/watchdog.h>

EXPORT_SYMBOL_GPL(host_watchdog_start);
EXPORT_SYMBOL_GPL(host_watchdog_ping);
EXPORT_SYMBOL_GPL(host_watchdog_stop);
