// SPDX-License-Identifier: GPL-2.0-only
/*
 * The serial lines: 64 of them, /dev/ttyS0 to ttyS63, configured by ssl0=<in>[,<out>] and, for
 * those not named, ssl=. One that no option names gets a pts when the guest first opens it.
 */
#include <linux/init.h>
#include <linux/major.h>
#include <linux/string.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>

#include "../mconsole/mconsole.h"
#include "channel.h"
#include "line.h"

#define SERIAL_LINES 64

static struct line serial_lines[SERIAL_LINES];
static const char *ssl_options[SERIAL_LINES] __initdata;
struct line_set ssl_set __refdata = {
	.option = "ssl",
	.name = "ttyS",
	.kind = "serial line",
	.type = TTY_DRIVER_TYPE_SERIAL,
	.subtype = SERIAL_TYPE_NORMAL,
	.major = TTY_MAJOR,
	.minor = 64,
	.count = SERIAL_LINES,
	.lines = serial_lines,
	.option_of = ssl_options,
};

/* Sees every option that starts with "ssl"; 0: not ours. */
static int __init ssl_option(char *option)
{
	if (!strcmp(option, "-non-raw")) {
		ssl_set.channel_flags = CHANNEL_AS_IS;
		return 1;
	}
	return line_option(&ssl_set, option);
}
__setup("ssl", ssl_option);

static int __init ssl_configure(void)
{
	line_set_init(&ssl_set);
	for (int i = 0; i < SERIAL_LINES; i++) {
		const char *option = ssl_options[i] ?: ssl_set.option_of_all;

		line_configure(&ssl_set, i, option ?: "pts", !option);
	}
	return 0;
}
console_initcall(ssl_configure);

/* ---- the management console ---- */

static int ssl_change(const char *unit, const char *value, struct seq_buf *answer)
{
	return line_set_channels(&ssl_set, unit, value, answer);
}

static int ssl_query(const char *unit, struct seq_buf *answer)
{
	return line_query(&ssl_set, unit, answer);
}

static int ssl_remove(const char *unit, struct seq_buf *answer)
{
	return line_remove(&ssl_set, unit, answer);
}

static struct mconsole_device ssl_device = {
	.name = "ssl",
	.set = ssl_change,
	.query = ssl_query,
	.remove = ssl_remove,
};

static int __init ssl_register(void)
{
	int error = line_set_register(&ssl_set);

	if (!error)
		mconsole_register(&ssl_device);
	return error;
}
device_initcall(ssl_register);
