// SPDX-License-Identifier: GPL-2.0-only
/* The channel port:[<address>:]<port>: a TCP port for telnet. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/string.h>

#include <host/console.h>

#include "channel.h"

static int port_join(struct channel *channel, const struct channel_request *request)
{
	if (!request->argument || !*request->argument) {
		strscpy(request->why, "port: needs a number, such as port:9000", CHANNEL_WHY);
		return -EINVAL;
	}
	return channel_handle_joined(channel, host_console_open_port(request->argument,
		channel_handle_flags(request), request->why));
}

static struct channel_kind port_kind = {
	CHANNEL_OF_HANDLE,
	.name = "port",
	.syntax = "port:[<address>:]<port>",
	.join = port_join,
};

static int __init port_register(void)
{
	channel_register(&port_kind);
	return 0;
}
console_initcall(port_register);
