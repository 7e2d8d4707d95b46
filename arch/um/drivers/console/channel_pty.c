// SPDX-License-Identifier: GPL-2.0-only
/* The channel pty: a BSD pair of pseudo terminals, or pts where the host has none. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/string.h>

#include <host/console.h>

#include "channel.h"

static int pty_join(struct channel *channel, const struct channel_request *request)
{
	if (request->argument) {
		strscpy(request->why, "pty takes no argument", CHANNEL_WHY);
		return -EINVAL;
	}
	return channel_handle_joined(channel, host_console_open_pty(1,
		channel_handle_flags(request), request->why));
}

static struct channel_kind pty_kind = {
	CHANNEL_OF_HANDLE,
	.name = "pty",
	.syntax = "pty",
	.join = pty_join,
};

static int __init pty_register(void)
{
	channel_register(&pty_kind);
	return 0;
}
console_initcall(pty_register);
