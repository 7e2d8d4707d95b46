// SPDX-License-Identifier: GPL-2.0-only
/* uml_console: the list of an instance's lines. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tool.h"
#include "uml_console.h"

static void print_entry(struct host_attach_entry *entry)
{
	const int is_console = !strncmp(entry->line, "con", 3);
	char device[16], clients[16];

	entry->line[sizeof(entry->line) - 1] = '\0';
	entry->channel[sizeof(entry->channel) - 1] = '\0';
	snprintf(device, sizeof(device), "%s%s", is_console ? "tty" : "ttyS", entry->line + 3);
	snprintf(clients, sizeof(clients), "%u", entry->clients);
	tell("%-6s %-7s %-4s %7s  %s", entry->line, device, entry->is_open ? "yes" : "no", clients,
	     entry->channel);
}

/* The exit status; -1: more follows. */
static int take_frame(const struct wish *wish, int fd)
{
	union {
		unsigned int kind;
		struct host_attach_entry entry;
		struct host_attach_failure failure;
	} frame;
	long got = recv(fd, &frame, sizeof(frame), 0);

	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		complain(wish, "no answer within %d s", LIMIT / 1000);
		return NO_ANSWER;
	}
	if (got < (long)sizeof(frame.kind)) {
		complain(wish, "the instance has gone");
		return NOBODY_THERE;
	}
	if (frame.kind == HOST_ATTACH_END)
		return DONE;
	if (frame.kind == HOST_ATTACH_FAILURE && got > 2 * (long)sizeof(frame.kind)) {
		complain(wish, "%.*s", (int)(got - 2 * sizeof(frame.kind)), frame.failure.text);
		return REFUSED;
	}
	if (frame.kind != HOST_ATTACH_ENTRY || got != sizeof(frame.entry)) {
		complain(wish, "this is not the protocol of consoles");
		return REFUSED;
	}
	print_entry(&frame.entry);
	return -1;
}

int list_lines(const struct wish *wish)
{
	const unsigned int request[] = { HOST_ATTACH_LIST, HOST_ATTACH_VERSION };
	const struct timeval limit = { .tv_sec = LIMIT / 1000 };
	int fd = connect_to_instance(wish), status = -1;

	if (fd < 0)
		return -fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	/* Where that is refused, the reason can be received. */
	send(fd, request, sizeof(request), MSG_NOSIGNAL);
	tell("%-6s %-7s %-4s %7s  %s", "LINE", "DEVICE", "OPEN", "CLIENTS", "CHANNEL");
	while (status < 0)
		status = take_frame(wish, fd);
	close(fd);
	if (fflush(stdout)) {
		complain(wish, "cannot write the list: %s", strerror(errno));
		return REFUSED;
	}
	return status;
}
