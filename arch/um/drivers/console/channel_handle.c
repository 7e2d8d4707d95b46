// SPDX-License-Identifier: GPL-2.0-only
/* Operations of the kinds of channel that are handles of the host (host/console.h). */
#include <linux/build_bug.h>

#include <host/console.h>

#include "channel.h"

static_assert(CHANNEL_WHY == HOST_CONSOLE_WHY);

int channel_handle_joined(struct channel *channel, int handle)
{
	if (handle < 0)
		return handle;
	channel->handle = handle;
	return 0;
}

int channel_handle_flags(const struct channel_request *request)
{
	return (request->flags & CHANNEL_IN ? HOST_CONSOLE_IN : 0) |
	       (request->flags & CHANNEL_OUT ? HOST_CONSOLE_OUT : 0) |
	       (request->flags & CHANNEL_AS_IS ? HOST_CONSOLE_AS_IS : 0);
}

void channel_handle_leave(struct channel *channel)
{
	host_console_close(channel->handle);
}

long channel_handle_read(struct channel *channel, u8 *buffer, unsigned long length)
{
	return host_console_read(channel->handle, buffer, length);
}

long channel_handle_write(struct channel *channel, const u8 *buffer, unsigned long length)
{
	return host_console_write(channel->handle, buffer, length);
}

void channel_handle_print(struct channel *channel, const char *text, unsigned long length)
{
	host_console_print(channel->handle, text, length);
}

void channel_handle_watch(struct channel *channel, int direction)
{
	host_console_watch(channel->handle, direction == CHANNEL_OUT);
}

int channel_handle_events(struct channel *channel)
{
	int events = host_console_events(channel->handle);

	return (events & HOST_CONSOLE_LEFT ? CHANNEL_LEFT : 0) |
	       (events & HOST_CONSOLE_RESIZED ? CHANNEL_RESIZED : 0);
}

void channel_handle_renew(struct channel *channel)
{
	host_console_renew(channel->handle);
}

int channel_handle_size(struct channel *channel, struct winsize *size)
{
	return host_console_size(channel->handle, &size->ws_row, &size->ws_col);
}

void channel_handle_describe(struct channel *channel, char *text, unsigned long size)
{
	host_console_describe(channel->handle, text, size);
}
