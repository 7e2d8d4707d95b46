// SPDX-License-Identifier: GPL-2.0-only
/*
 * The consoles: sixteen lines, /dev/tty0 to tty15, configured by con0=<in>[,<out>] and, for those not named, con=; and the Linux console
 * that prints kernel messages on one of them.
 *
 * The options are only noted while the command line is parsed, since there is no memory to be had then; they are carried out,
 * and complained about, when consoles start, before anything else is printed.
 */
#include <linux/console.h>
#include <linux/ctype.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/major.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>

#include <host/process.h>

#include "channel.h"
#include "line.h"

#define CONSOLES 16

static struct line consoles[CONSOLES];
static struct line_set console_set = {
	.option = "con",
	.name = "tty",
	.type = TTY_DRIVER_TYPE_CONSOLE,
	.major = TTY_MAJOR,
	.count = CONSOLES,
	.lines = consoles,
};

static const char *option_of_all __initdata, *option_of[CONSOLES] __initdata;

/* Sees every option that starts with "con", "console=" included; 0: not ours. */
static int __init con_option(char *option)
{
	char *value, *end;
	unsigned int index;

	if (*option == '=') {
		option_of_all = option + 1;
		return 1;
	}
	value = strchr(option, '=');
	if (!value || !strncmp(option, "sole", 4) || memchr(option, '.', value - option))
		return 0;
	index = simple_strtoul(option, &end, 10);
	if (!isdigit(*option) || end != value || index >= CONSOLES)
		host_fatal("con%.*s: there is no such console; there are con0 to con%d",
			   (int)(value - option), option, CONSOLES - 1);
	option = value;
	option_of[index] = option + 1;
	return 1;
}
__setup("con", con_option);

static void console_print(struct console *console, const char *text, unsigned int length)
{
	struct channel *out = consoles[console->index].out;

	out->kind->print(out, text, length);
}

static struct tty_driver *console_driver(struct console *console, int *index)
{
	*index = console->index;
	return console_set.driver;
}

static int console_setup_line(struct console *console, char *options)
{
	return console->index < CONSOLES && consoles[console->index].out ? 0 : -ENODEV;
}

static struct console line_console = {
	.name = "tty",
	.write = console_print,
	.device = console_driver,
	.setup = console_setup_line,
	.flags = CON_PRINTBUFFER | CON_ANYTIME,
	.index = -1,
};

static int __init consoles_configure(void)
{
	for (int i = 0; i < CONSOLES; i++) {
		const char *option = option_of[i] ?: option_of_all ?: i == 0 ? "fd:0,fd:1" : "none";

		line_configure(&console_set, i, option);
	}
	register_console(&line_console);
	return 0;
}
console_initcall(consoles_configure);

static int __init consoles_register(void)
{
	return line_set_register(&console_set);
}
device_initcall(consoles_register);
