// SPDX-License-Identifier: GPL-2.0-only
/* The first frame of a connection to the socket exec is checked, whatever its sender put there. */
#include <linux/slab.h>
#include <linux/string.h>
#include <host/exec.h>

#include "exec_start.h"

/* Takes a string and its NUL from the front of what is left; NULL: there is none. */
static const char *take_string(const char **at, size_t *left)
{
	const char *string = *at, *end = memchr(string, '\0', *left);

	if (!end)
		return NULL;
	*left -= end + 1 - string;
	*at = end + 1;
	return string;
}

static bool take_strings(const char **list, unsigned int count, const char **at, size_t *left)
{
	for (unsigned int i = 0; i < count; i++) {
		list[i] = take_string(at, left);
		if (!list[i])
			return false;
	}
	list[count] = NULL;
	return true;
}

static const char *check_head(const struct host_exec_start *head, size_t length)
{
	if (length < sizeof(*head) || head->kind != HOST_EXEC_START)
		return "the first frame is no request";
	if (head->version != HOST_EXEC_VERSION)
		return "the request is not of version 1 of the protocol";
	if (head->flags & ~HOST_EXEC_TERMINAL)
		return "the request has unknown flags";
	/* Each takes a byte or more of the frame. */
	if (head->groups > length || head->arguments > length || head->variables > length)
		return "the request is cut off";
	if (!head->arguments)
		return "the request has no command";
	return NULL;
}

static const char *take_lists(struct exec_start *start, struct guest_command *command,
			      const char *at, size_t left)
{
	const struct host_exec_start *head = start->frame;
	const char **variables;

	start->lists = kvmalloc_array(head->arguments + head->variables + 2,
				      sizeof(*start->lists), GFP_KERNEL);
	if (!start->lists)
		return "the kernel has no memory for the request";
	variables = start->lists + head->arguments + 1;
	command->directory = take_string(&at, &left);
	if (!command->directory || !take_strings(start->lists, head->arguments, &at, &left) ||
	    !take_strings(variables, head->variables, &at, &left))
		return "the request is cut off";
	if (left)
		return "the request has something behind its end";
	command->arguments = start->lists;
	command->environment = variables;
	return NULL;
}

const char *exec_start_parse(struct exec_start *start, struct guest_command *command,
			     const void *frame, size_t length)
{
	const struct host_exec_start *head = frame;
	const char *error = check_head(head, length);
	size_t groups;

	if (error)
		return error;
	start->frame = kmemdup(frame, length, GFP_KERNEL);
	if (!start->frame)
		return "the kernel has no memory for the request";
	head = start->frame;
	start->wants_terminal = head->flags & HOST_EXEC_TERMINAL;
	start->rows = head->rows;
	start->columns = head->columns;
	command->user = head->user;
	command->group = head->group;
	command->groups = (const unsigned int *)(head + 1);
	command->group_count = head->groups;
	groups = head->groups * sizeof(*command->groups);
	if (groups > length - sizeof(*head))
		return "the request is cut off";
	return take_lists(start, command, (const char *)(head + 1) + groups,
			  length - sizeof(*head) - groups);
}

void exec_start_free(struct exec_start *start)
{
	kvfree(start->lists);
	kfree(start->frame);
}
