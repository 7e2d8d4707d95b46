// SPDX-License-Identifier: GPL-2.0-only
/*
 * The channels null (a terminal that swallows everything and says nothing) and none (no terminal
 * at all).
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/string.h>

#include "channel.h"

static int null_join(struct channel *channel, const struct channel_request *request)
{
	if (!request->argument)
		return 0;
	strscpy(request->why, "null takes no argument", CHANNEL_WHY);
	return -EINVAL;
}

static void null_leave(struct channel *channel)
{
}

/* Input never comes, rather than being at its end: the terminal stays usable. */
static long null_read(struct channel *channel, u8 *buffer, unsigned long length)
{
	return -EAGAIN;
}

static long null_write(struct channel *channel, const u8 *buffer, unsigned long length)
{
	return length;
}

static void null_print(struct channel *channel, const char *text, unsigned long length)
{
}

static void null_watch(struct channel *channel, int direction)
{
}

static int null_size(struct channel *channel, struct winsize *size)
{
	return -ENOTTY;
}

static void null_describe(struct channel *channel, char *text, unsigned long size)
{
	strscpy(text, "null", size);
}

static struct channel_kind null_kind = {
	.name = "null",
	.syntax = "null",
	.join = null_join,
	.leave = null_leave,
	.read = null_read,
	.write = null_write,
	.print = null_print,
	.watch = null_watch,
	.size = null_size,
	.describe = null_describe,
};

static struct channel_kind none_kind = {
	.name = "none",
	.syntax = "none",
};

static int __init null_register(void)
{
	channel_register(&null_kind);
	channel_register(&none_kind);
	return 0;
}
console_initcall(null_register);
