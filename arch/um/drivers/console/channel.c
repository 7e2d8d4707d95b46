// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kinds of channel there are, and how a command line names them: <kind>[:<argument>].
 *
 * A channel's lock is the innermost one: only host calls are made under it. So kernel messages
 * can be printed while any other lock of a line is held. A processor that prints while it holds
 * the channel's lock itself is in an oops; then the lock is not waited for.
 */
#include <linux/err.h>
#include <linux/init.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "channel.h"

static LIST_HEAD(kinds);	/* written during console_initcalls only */

void channel_register(struct channel_kind *kind)
{
	list_add_tail(&kind->list, &kinds);
}

/* "there is no such channel; there are fd:<n>, null" */
static void name_kinds(char *why)
{
	struct channel_kind *kind;

	strscpy(why, "there is no such channel; there are", CHANNEL_WHY);
	list_for_each_entry(kind, &kinds, list) {
		strlcat(why, kind->list.prev == &kinds ? " " : ", ", CHANNEL_WHY);
		strlcat(why, kind->syntax, CHANNEL_WHY);
	}
}

static struct channel_kind *find_kind(const char *spec)
{
	size_t length = strcspn(spec, ":");
	struct channel_kind *kind;

	list_for_each_entry(kind, &kinds, list)
		if (strlen(kind->name) == length && !strncmp(kind->name, spec, length))
			return kind;
	return NULL;
}

struct channel *channel_join(const char *spec, const char *line, int flags, char *why)
{
	struct channel_kind *kind = find_kind(spec);
	const char *colon = strchr(spec, ':');
	struct channel_request request = {
		.argument = colon ? colon + 1 : NULL,
		.line = line,
		.flags = flags,
		.why = why,
	};
	struct channel *channel;
	int error;

	if (!kind) {
		name_kinds(why);
		return ERR_PTR(-EINVAL);
	}
	if (!kind->join)
		return NULL;
	channel = kzalloc(sizeof(*channel), GFP_KERNEL);
	if (!channel) {
		strscpy(why, "there is no memory for it", CHANNEL_WHY);
		return ERR_PTR(-ENOMEM);
	}
	channel->kind = kind;
	spin_lock_init(&channel->lock);
	error = kind->join(channel, &request);
	if (error) {
		kfree(channel);
		return ERR_PTR(error);
	}
	return channel;
}

void channel_leave(struct channel *channel)
{
	if (!channel)
		return;
	channel->kind->leave(channel);
	kfree(channel);
}

/* ---- the operations ---- */

long channel_read(struct channel *channel, u8 *buffer, unsigned long length)
{
	unsigned long flags;
	long got;

	spin_lock_irqsave(&channel->lock, flags);
	got = channel->kind->read(channel, buffer, length);
	spin_unlock_irqrestore(&channel->lock, flags);
	return got;
}

long channel_write(struct channel *channel, const u8 *buffer, unsigned long length)
{
	unsigned long flags;
	long put;

	if (!channel)
		return length;
	spin_lock_irqsave(&channel->lock, flags);
	put = channel->kind->write(channel, buffer, length);
	spin_unlock_irqrestore(&channel->lock, flags);
	return put;
}

void channel_print(struct channel *channel, const char *text, unsigned long length)
{
	bool locked = true;
	unsigned long flags;

	if (!channel)
		return;
	if (oops_in_progress)
		locked = spin_trylock_irqsave(&channel->lock, flags);
	else
		spin_lock_irqsave(&channel->lock, flags);
	channel->kind->print(channel, text, length);
	if (locked)
		spin_unlock_irqrestore(&channel->lock, flags);
}

void channel_watch(struct channel *channel, int direction)
{
	unsigned long flags;

	spin_lock_irqsave(&channel->lock, flags);
	channel->kind->watch(channel, direction);
	spin_unlock_irqrestore(&channel->lock, flags);
}

int channel_events(struct channel *channel)
{
	unsigned long flags;
	int events;

	if (!channel || !channel->kind->events)
		return 0;
	spin_lock_irqsave(&channel->lock, flags);
	events = channel->kind->events(channel);
	spin_unlock_irqrestore(&channel->lock, flags);
	return events;
}

void channel_renew(struct channel *channel)
{
	unsigned long flags;

	if (!channel || !channel->kind->renew)
		return;
	spin_lock_irqsave(&channel->lock, flags);
	channel->kind->renew(channel);
	spin_unlock_irqrestore(&channel->lock, flags);
}

int channel_size(struct channel *channel, struct winsize *size)
{
	unsigned long flags;
	int error;

	if (!channel)
		return -ENOTTY;
	spin_lock_irqsave(&channel->lock, flags);
	error = channel->kind->size(channel, size);
	spin_unlock_irqrestore(&channel->lock, flags);
	return error;
}

void channel_describe(struct channel *channel, char *text, unsigned long size)
{
	unsigned long flags;

	if (!channel) {
		strscpy(text, "none", size);
		return;
	}
	spin_lock_irqsave(&channel->lock, flags);
	channel->kind->describe(channel, text, size);
	spin_unlock_irqrestore(&channel->lock, flags);
}
