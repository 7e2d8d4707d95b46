// SPDX-License-Identifier: GPL-2.0-only
/*
 * tunctl: makes TAP interfaces that stay and belong to a user, and removes them. See tunctl.8.
 * Requests and flags: linux/if_tun.h.
 *
 * Output and status are those of uml-utilities, which scripts read: a wrong command line ends with
 * status 1 here, not with 2 as in the other tools.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "json.h"
#include "printable.h"
#include "tool.h"

const char *tool_name = "tunctl";

static const char help[] =
	"usage: tunctl [-b] [-u <owner>] [-g <group>] [-t <device>] [-f <tun device>] [--json]\n"
	"       tunctl -d <device> [-f <tun device>] [--json]\n"
	"Makes a TAP interface that stays and that its owner may open; -d removes one.\n"
	"\n"
	"  -b             print the name of the interface, and nothing else\n"
	"  -u <owner>     user who may open it, by name or number (default: you)\n"
	"  -g <group>     group that may open it, by name or number\n"
	"  -t <device>    its name (default: the first free one of tap0, tap1, ...)\n"
	"  -d <device>    remove this interface\n"
	"  -f <device>    the host's device for interfaces (default /dev/net/tun)\n"
	"      --json     print the result as JSON\n"
	"      --help     this text\n"
	"      --version  the version\n"
	"\n"
	"Status: 0 done, 1 an error or a wrong command line.\n";

static struct {
	int brief, json;
	long owner, group;		/* -1: not given */
	const char *device;		/* NULL: the kernel chooses */
	const char *remove;		/* NULL: make one */
	const char *clone;
} wanted = { .owner = -1, .group = -1, .clone = "/dev/net/tun" };

static void __attribute__((noreturn)) usage(const char *what, const char *why)
{
	char *line;

	if (asprintf(&line, "%s: %s", what, why) < 0)
		exit(1);
	make_printable(line);
	fprintf(stderr, "%s: %s; see tunctl --help\n", tool_name, line);
	exit(1);
}

/* A number, or -1. */
static long number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	return text[0] < '0' || text[0] > '9' || *end || errno || value >= UINT32_MAX ?
		       -1 : (long)value;
}

static long user_of(const char *text)
{
	struct passwd *user = getpwnam(text);
	long id = user ? (long)user->pw_uid : number(text);

	if (id < 0)
		usage(text, "neither a user nor a user's number");
	return id;
}

static long group_of(const char *text)
{
	struct group *group = getgrnam(text);
	long id = group ? (long)group->gr_gid : number(text);

	if (id < 0)
		usage(text, "neither a group nor a group's number");
	return id;
}

static const char *interface_name(const char *text)
{
	if (!text[0] || strlen(text) >= IFNAMSIZ)
		usage(text, "an interface's name has 1 to 15 bytes");
	return text;
}

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "json", no_argument, &wanted.json, 1 },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, ":bu:g:t:d:f:", known, NULL)) != -1)
		switch (option) {
		case 0:
			break;
		case 'b':
			wanted.brief = 1;
			break;
		case 'u':
			wanted.owner = user_of(optarg);
			break;
		case 'g':
			wanted.group = group_of(optarg);
			break;
		case 't':
			wanted.device = interface_name(optarg);
			break;
		case 'd':
			wanted.remove = interface_name(optarg);
			break;
		case 'f':
			wanted.clone = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		case 'V':
			printf("%s %s\n", tool_name, TOOL_VERSION);
			exit(0);
		default:
			usage(argv[optind - 1], option == ':' ?
			      "its value is missing" : "there is no such option");
		}
	if (optind < argc)
		usage(argv[optind], "not an option");
}

/* Opens the interface that the request names, and makes it if there is none. */
static int attach(int fd, struct ifreq *request)
{
	request->ifr_flags = IFF_TAP | IFF_NO_PI;
	if (ioctl(fd, TUNSETIFF, request) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	/* One with several queues is opened as such only. */
	request->ifr_flags |= IFF_MULTI_QUEUE;
	return ioctl(fd, TUNSETIFF, request) == 0 ? 0 : -EINVAL;
}

static const char *reason(int error)
{
	switch (error) {
	case -EPERM:
		return "Operation not permitted (only root, or the owner of one that is there)";
	case -EBUSY:
		return "Device or resource busy (a program has it open)";
	case -EINVAL:
		return "Invalid argument (is it a TAP interface?)";
	default:
		return strerror(-error);
	}
}

static void set(int fd, unsigned long request, unsigned long value, const char *what,
		const char *name)
{
	if (ioctl(fd, request, value) < 0)
		die("%s: %s: %s", name, what, strerror(errno));
}

static void tell_json(const char *name, int persistent)
{
	printf("{\"device\":");
	print_json_string(name);
	printf(",\"persistent\":%s", persistent ? "true" : "false");
	if (persistent) {
		printf(",\"owner\":%ld,\"group\":", wanted.owner);
		if (wanted.group >= 0)
			printf("%ld", wanted.group);
		else
			printf("null");
	}
	puts("}");
}

static void make(int fd, struct ifreq *request)
{
	int error;

	/* A name with a format is the kernel's to complete. */
	strcpy(request->ifr_name, wanted.device ? wanted.device : "tap%d");
	error = attach(fd, request);
	if (error)
		die("%s: the interface cannot be made: %s",
		    wanted.device ? wanted.device : "tap", reason(error));
	if (wanted.owner < 0)
		wanted.owner = geteuid();
	set(fd, TUNSETOWNER, wanted.owner, "its owner cannot be set", request->ifr_name);
	if (wanted.group >= 0)
		set(fd, TUNSETGROUP, wanted.group, "its group cannot be set", request->ifr_name);
	set(fd, TUNSETPERSIST, 1, "it cannot be made to stay", request->ifr_name);
	if (wanted.json)
		tell_json(request->ifr_name, 1);
	else if (wanted.brief)
		tell("%s", request->ifr_name);
	else if (wanted.group >= 0)
		tell("Set '%s' persistent and owned by uid %ld gid %ld", request->ifr_name,
		     wanted.owner, wanted.group);
	else
		tell("Set '%s' persistent and owned by uid %ld", request->ifr_name, wanted.owner);
}

static void remove_interface(int fd, struct ifreq *request)
{
	int error;

	/* Opening one that is not there would make it. */
	if (!if_nametoindex(wanted.remove))
		die("%s: there is no such interface", wanted.remove);
	strcpy(request->ifr_name, wanted.remove);
	error = attach(fd, request);
	if (error)
		die("%s: the interface cannot be removed: %s", wanted.remove, reason(error));
	set(fd, TUNSETPERSIST, 0, "the interface cannot be removed", wanted.remove);
	if (wanted.json)
		tell_json(request->ifr_name, 0);
	else
		tell("Set '%s' nonpersistent", request->ifr_name);
}

int main(int argc, char **argv)
{
	struct ifreq request = { .ifr_flags = 0 };
	int fd;

	parse(argc, argv);
	fd = open(wanted.clone, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s%s", wanted.clone, strerror(errno),
		    errno == ENOENT ? " (modprobe tun makes it)" : "");
	if (wanted.remove)
		remove_interface(fd, &request);
	else
		make(fd, &request);
	return 0;
}
