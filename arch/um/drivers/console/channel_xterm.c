// SPDX-License-Identifier: GPL-2.0-only
/* The channel xterm: a window with a terminal emulator, which opening the line starts. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/string.h>

#include <host/console.h>
#include <host/process.h>

#include "channel.h"

static const char *settings;	/* xterm= on the command line */

static int __init xterm_option(char *value)
{
	if (!value || !*value)
		host_fatal("xterm=: give <emulator>,<title switch>,<exec switch>, or leave it out");
	settings = value;
	return 0;
}
early_param("xterm", xterm_option);

static int xterm_join(struct channel *channel, const struct channel_request *request)
{
	if (request->argument) {
		strscpy(request->why, "xterm takes no argument; xterm= names another emulator",
			CHANNEL_WHY);
		return -EINVAL;
	}
	return channel_handle_joined(channel, host_console_open_xterm(settings, request->line,
		channel_handle_flags(request), request->why));
}

static void xterm_open(struct channel *channel)
{
	host_console_show(channel->handle);
}

static struct channel_kind xterm_kind = {
	CHANNEL_OF_HANDLE,
	.name = "xterm",
	.syntax = "xterm",
	.join = xterm_join,
	.open = xterm_open,
};

static int __init xterm_register(void)
{
	channel_register(&xterm_kind);
	return 0;
}
console_initcall(xterm_register);
