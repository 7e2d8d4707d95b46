// SPDX-License-Identifier: GPL-2.0-only
/* The channel fd:<n>: a descriptor that ./linux inherited, usually its terminal. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include <host/console.h>

#include "channel.h"

static int fd_join(struct channel *channel, const struct channel_request *request)
{
	unsigned int fd;

	if (!request->argument || kstrtouint(request->argument, 10, &fd) || fd > INT_MAX) {
		strscpy(request->why, "fd: needs the number of a descriptor, such as fd:0",
			CHANNEL_WHY);
		return -EINVAL;
	}
	return channel_handle_joined(channel, host_console_open(fd,
		channel_handle_flags(request), request->why));
}

static struct channel_kind fd_kind = {
	CHANNEL_OF_HANDLE,
	.name = "fd",
	.syntax = "fd:<n>",
	.join = fd_join,
};

static int __init fd_register(void)
{
	channel_register(&fd_kind);
	return 0;
}
console_initcall(fd_register);
