// SPDX-License-Identifier: GPL-2.0-only
/* The channel unix:<path>: a listening stream socket of the host. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/string.h>

#include <host/console.h>

#include "channel.h"

static int unix_join(struct channel *channel, const struct channel_request *request)
{
	if (!request->argument || !*request->argument) {
		strscpy(request->why, "unix: needs the path of a socket, such as unix:./con1",
			CHANNEL_WHY);
		return -EINVAL;
	}
	return channel_handle_joined(channel, host_console_open_unix(request->argument,
		channel_handle_flags(request), request->why));
}

static struct channel_kind unix_kind = {
	CHANNEL_OF_HANDLE,
	.name = "unix",
	.syntax = "unix:<path>",
	.join = unix_join,
};

static int __init unix_register(void)
{
	channel_register(&unix_kind);
	return 0;
}
console_initcall(unix_register);
