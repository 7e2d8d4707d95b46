// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Linux consoles, which print kernel messages on lines: tty<n> and, after console=ttyS<n>,
 * ttyS<n>. They are registered once all lines have their channels, so that an error in an option
 * is the only line that is printed; and tty first, which makes it the default.
 */
#include <linux/console.h>
#include <linux/init.h>
#include <linux/tty.h>

#include <host/attach.h>

#include "channel.h"
#include "line.h"

/* Under the console lock, with which channels do not change. */
static void line_console_print(struct console *console, const char *text, unsigned int length)
{
	struct line_set *set = console->data;

	channel_print(set->lines[console->index].out, text, length);
	host_attach_print(set->lines[console->index].attach, text, length);
}

static struct tty_driver *line_console_driver(struct console *console, int *index)
{
	struct line_set *set = console->data;

	*index = console->index;
	return set->driver;
}

static int line_console_setup(struct console *console, char *options)
{
	struct line_set *set = console->data;
	int index = console->index;

	if (index < 0 || index >= set->count || line_join_deferred(set, index))
		return -ENODEV;
	return set->lines[index].out ? 0 : -ENODEV;
}

#define LINE_CONSOLE(prefix, lines) {			\
	.name = prefix,					\
	.write = line_console_print,			\
	.device = line_console_driver,			\
	.setup = line_console_setup,			\
	.flags = CON_PRINTBUFFER | CON_ANYTIME,		\
	.index = -1,					\
	.data = lines,				\
}

static struct console consoles[] = {
	LINE_CONSOLE("tty", &con_set),
#ifdef CONFIG_UML_SERIAL_LINES
	LINE_CONSOLE("ttyS", &ssl_set),
#endif
};

static int __init line_console_register(void)
{
	for (int i = 0; i < ARRAY_SIZE(consoles); i++)
		register_console(&consoles[i]);
	host_attach_start();
	return 0;
}
console_initcall(line_console_register);
