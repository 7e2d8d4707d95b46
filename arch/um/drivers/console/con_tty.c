// SPDX-License-Identifier: GPL-2.0-only
/*
 * The consoles: sixteen lines, /dev/tty0 to tty15, configured by con0=<in>[,<out>] and, for those
 * not named, con=.
 */
#include <linux/init.h>
#include <linux/major.h>
#include <linux/string.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>

#include "../mconsole/mconsole.h"
#include "line.h"

#define CONSOLES 16

static struct line consoles[CONSOLES];
static const char *con_options[CONSOLES] __initdata;
struct line_set con_set __refdata = {
	.option = "con",
	.name = "tty",
	.kind = "console",
	.type = TTY_DRIVER_TYPE_CONSOLE,
	.major = TTY_MAJOR,
	.count = CONSOLES,
	.lines = consoles,
	.option_of = con_options,
};

/* Sees every option that starts with "con", "console=" included; 0: not ours. */
static int __init con_option(char *option)
{
	return strncmp(option, "sole", 4) ? line_option(&con_set, option) : 0;
}
__setup("con", con_option);

static int __init con_configure(void)
{
	line_set_init(&con_set);
	for (int i = 0; i < CONSOLES; i++) {
		const char *option = con_options[i] ?: con_set.option_of_all;

		line_configure(&con_set, i, option ?: i == 0 ? "fd:0,fd:1" : "none", false);
	}
	return 0;
}
console_initcall(con_configure);

/* ---- the management console ---- */

static int con_change(const char *unit, const char *value, struct seq_buf *answer)
{
	return line_set_channels(&con_set, unit, value, answer);
}

static int con_query(const char *unit, struct seq_buf *answer)
{
	return line_query(&con_set, unit, answer);
}

static int con_remove(const char *unit, struct seq_buf *answer)
{
	return line_remove(&con_set, unit, answer);
}

static struct mconsole_device con_device = {
	.name = "con",
	.set = con_change,
	.query = con_query,
	.remove = con_remove,
};

static int __init con_register(void)
{
	int error = line_set_register(&con_set);

	if (!error)
		mconsole_register(&con_device);
	return error;
}
device_initcall(con_register);
