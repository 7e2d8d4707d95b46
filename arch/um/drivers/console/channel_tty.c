// SPDX-License-Identifier: GPL-2.0-only
/* The channel tty:<device>: a terminal of the host that exists already. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/string.h>

#include <host/console.h>

#include "channel.h"

static int tty_join(struct channel *channel, const struct channel_request *request)
{
	if (!request->argument || !*request->argument) {
		strscpy(request->why, "tty: needs the name of a device, such as tty:/dev/tty2",
			CHANNEL_WHY);
		return -EINVAL;
	}
	return channel_handle_joined(channel, host_console_open_tty(request->argument,
		channel_handle_flags(request), request->why));
}

static struct channel_kind tty_kind = {
	CHANNEL_OF_HANDLE,
	.name = "tty",
	.syntax = "tty:<device>",
	.join = tty_join,
};

static int __init tty_register(void)
{
	channel_register(&tty_kind);
	return 0;
}
console_initcall(tty_register);
