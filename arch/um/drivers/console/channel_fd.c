// SPDX-License-Identifier: GPL-2.0-only
/* The channel fd:<n>: a descriptor that ./linux inherited, usually the terminal it was started on. */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>

#include <host/console.h>

#include "channel.h"

static int fd_join(struct channel *channel, const char *argument, int directions, const char **why)
{
	unsigned int fd;
	int handle;

	if (!argument || kstrtouint(argument, 10, &fd) || fd > INT_MAX) {
		*why = "fd: needs the number of a descriptor, such as fd:0";
		return -EINVAL;
	}
	handle = host_console_open(directions & CHANNEL_IN ? fd : -1, directions & CHANNEL_OUT ? fd : -1);
	if (handle < 0) {
		*why = directions == CHANNEL_IN ? "this descriptor is not open for reading; open it in the shell, as in 5<input" :
		       directions == CHANNEL_OUT ? "this descriptor is not open for writing; open it in the shell, as in 5>output" :
		       "this descriptor is not open for reading and writing; open it in the shell, as in 5<>file, or give <in>,<out>";
		return handle;
	}
	channel->handle = handle;
	return 0;
}

static long fd_read(struct channel *channel, u8 *buffer, unsigned long length)
{
	return host_console_read(channel->handle, buffer, length);
}

static long fd_write(struct channel *channel, const u8 *buffer, unsigned long length)
{
	return host_console_write(channel->handle, buffer, length);
}

static void fd_print(struct channel *channel, const char *text, unsigned long length)
{
	host_console_print(channel->handle, text, length);
}

static void fd_watch(struct channel *channel, int direction)
{
	host_console_watch(channel->handle, direction == CHANNEL_OUT);
}

static int fd_size(struct channel *channel, struct winsize *size)
{
	return host_console_size(channel->handle, &size->ws_row, &size->ws_col);
}

static struct channel_kind fd_kind = {
	.name = "fd",
	.syntax = "fd:<n>",
	.join = fd_join,
	.read = fd_read,
	.write = fd_write,
	.print = fd_print,
	.watch = fd_watch,
	.size = fd_size,
};

static int __init fd_register(void)
{
	channel_register(&fd_kind);
	return 0;
}
console_initcall(fd_register);
