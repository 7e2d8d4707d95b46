// SPDX-License-Identifier: GPL-2.0-only
/* The kinds of channel there are, and how a command line names them: <kind>[:<argument>]. */
#include <linux/err.h>
#include <linux/init.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "channel.h"

static LIST_HEAD(kinds);	/* written during console_initcalls only */

void channel_register(struct channel_kind *kind)
{
	list_add_tail(&kind->list, &kinds);
}

/* "there is no such channel; there are fd:<n>, null" */
static const char *unknown_kind(void)
{
	static char why[256];
	struct channel_kind *kind;

	strscpy(why, "there is no such channel; there are");
	list_for_each_entry(kind, &kinds, list) {
		strlcat(why, kind->list.prev == &kinds ? " " : ", ", sizeof(why));
		strlcat(why, kind->syntax, sizeof(why));
	}
	return why;
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

struct channel *channel_join(const char *spec, int directions, const char **why)
{
	struct channel_kind *kind = find_kind(spec);
	const char *argument = strchr(spec, ':');
	struct channel *channel;
	int error;

	if (!kind) {
		*why = unknown_kind();
		return ERR_PTR(-EINVAL);
	}
	if (!kind->join)
		return NULL;
	channel = kzalloc(sizeof(*channel), GFP_KERNEL);
	if (!channel) {
		*why = "there is no memory for it";
		return ERR_PTR(-ENOMEM);
	}
	channel->kind = kind;
	error = kind->join(channel, argument ? argument + 1 : NULL, directions, why);
	if (error) {
		kfree(channel);
		return ERR_PTR(error);
	}
	return channel;
}
