// SPDX-License-Identifier: GPL-2.0-only
/* The channel pts: a pseudo terminal of the host, made for the line. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/string.h>

#include <host/console.h>

#include "channel.h"

static int pts_join(struct channel *channel, const struct channel_request *request)
{
	if (request->argument) {
		strscpy(request->why, "pts takes no argument", CHANNEL_WHY);
		return -EINVAL;
	}
	return channel_handle_joined(channel, host_console_open_pty(0,
		channel_handle_flags(request), request->why));
}

static struct channel_kind pts_kind = {
	CHANNEL_OF_HANDLE,
	.name = "pts",
	.syntax = "pts",
	.join = pts_join,
};

static int __init pts_register(void)
{
	channel_register(&pts_kind);
	return 0;
}
console_initcall(pts_register);
