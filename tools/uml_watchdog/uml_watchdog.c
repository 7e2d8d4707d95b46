// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_watchdog: ends or reports an instance that stops pinging it. ./linux starts it when the
 * guest opens /dev/watchdog. See uml_watchdog.1.
 *
 * It writes a byte to its output when it is ready and reads a byte from its input for each ping.
 * The end of its input is a clean stop. Time in which ./linux is stopped by a signal does not
 * count.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

const char *tool_name = "uml_watchdog";

#define DEFAULT_TIMEOUT	60		/* seconds */
#define LONGEST_TIMEOUT	(24 * 3600)
#define TIME_TO_END	5000		/* milliseconds between SIGINT and SIGKILL */

static const char help[] =
	"usage: uml_watchdog [-pid <pid>] [-mconsole <socket>] [-timeout <seconds>]\n"
	"Reads pings from standard input; ends or reports the instance when they stop.\n"
	"\n"
	"  -pid <pid>          end this ./linux by SIGINT, after 5 seconds by SIGKILL\n"
	"  -mconsole <socket>  send a hang notification to this socket\n"
	"  -timeout <seconds>  longest time between two pings (default 60)\n"
	"      --help          this text\n"
	"      --version       the version\n"
	"\n"
	"Status: 0 the instance ended or stopped its watchdog, 1 it hung and was ended, or an\n"
	"error, 2 wrong arguments.\n";

static struct {
	pid_t pid;			/* 0: end none */
	struct sockaddr_un socket;	/* sun_path is empty: notify none */
	long timeout;			/* milliseconds */
} wanted = { .timeout = DEFAULT_TIMEOUT * 1000L };

/* ---- arguments ---- */

static long number(const char *name, const char *text, long most)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < 1 || value > most)
		die_usage("-%s %s: not a number from 1 to %ld", name, text, most);
	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "mconsole", required_argument, NULL, 'm' },
		{ "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	argv[0] = (char *)tool_name;
	while ((option = getopt_long_only(argc, argv, ":", options, NULL)) != -1)
		switch (option) {
		case 'p':
			wanted.pid = number("pid", optarg, INT32_MAX);
			break;
		case 'm':
			if (strlen(optarg) >= sizeof(wanted.socket.sun_path))
				die_usage("-mconsole %s: a socket's path has at most 107 bytes",
					  optarg);
			wanted.socket.sun_family = AF_UNIX;
			strcpy(wanted.socket.sun_path, optarg);
			break;
		case 't':
			wanted.timeout = number("timeout", optarg, LONGEST_TIMEOUT) * 1000;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		case 'V':
			printf("%s %s\n", tool_name, TOOL_VERSION);
			exit(0);
		default:
			die_usage("%s: there is no such option, or its value is missing",
				  argv[optind - 1]);
		}
	if (optind < argc)
		die_usage("%s: not an option", argv[optind]);
	if (!wanted.pid && !wanted.socket.sun_path[0])
		die_usage("-pid or -mconsole is wanted");
}

/* ---- the instance ---- */

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether a signal or a debugger has stopped it. */
static int is_stopped(pid_t pid)
{
	char path[32], line[512] = "", *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return state && state[1] && (state[2] == 'T' || state[2] == 't');
}

/*
 * Whether a message can be written without waiting: a reader of messages that is slow or has gone
 * must not keep a hung instance alive.
 */
static int can_say(void)
{
	struct pollfd messages = { .fd = 2, .events = POLLOUT };

	return poll(&messages, 1, 0) == 1 && messages.revents == POLLOUT;
}

static void notify(void)
{
	struct {
		uint32_t magic, version, kind, length;
		char text[512];
	} packet = { .magic = 0xcafebabe, .version = 2, .kind = 2 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	packet.length = 1 + snprintf(packet.text, sizeof(packet.text),
				     "no ping of the watchdog for %ld seconds",
				     wanted.timeout / 1000);
	if ((fd < 0 || sendto(fd, &packet, sizeof(packet), 0, (void *)&wanted.socket,
			      sizeof(wanted.socket)) < 0) && can_say())
		fprintf(stderr, "%s: an instance hangs, and its listener cannot be told: %s\n",
			tool_name, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/*
 * SIGINT, and SIGKILL to what is still there then. @fd: of the process, so that no other one is
 * hit.
 */
static void end_instance(int fd)
{
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	if (can_say())
		fprintf(stderr, "%s: process %d hangs: no ping for %ld seconds; ending it\n",
			tool_name, wanted.pid, wanted.timeout / 1000);
	syscall(SYS_pidfd_send_signal, fd, SIGINT, NULL, 0);
	if (poll(&ended, 1, TIME_TO_END) == 0)
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

/* ---- watching ---- */

/* Waits for a ping: 1; 0 for the end of the input; -1 when it stayed out. */
static int wait_for_ping(pid_t pid)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	long step = wanted.timeout < 8000 ? wanted.timeout / 8 : 1000;
	long left = wanted.timeout, before = now_ms();
	char pings[256];

	while (left > 0) {
		int ready = poll(&input, 1, left < step ? left : step);
		long now = now_ms();

		if (ready > 0)
			return read(0, pings, sizeof(pings)) > 0;
		if (!is_stopped(pid))
			left -= now - before;
		before = now;
	}
	return -1;
}

int main(int argc, char **argv)
{
	pid_t watched;
	int fd = -1, ping, hangs = 0;

	parse(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	watched = wanted.pid ? wanted.pid : getppid();
	if (wanted.pid) {
		fd = syscall(SYS_pidfd_open, wanted.pid, 0);
		if (fd < 0)
			die("process %d cannot be watched: %s", wanted.pid, strerror(errno));
	}
	if (write(1, "", 1) != 1)
		die("nothing waits for it to be ready: %s", strerror(errno));
	close(1);
	while ((ping = wait_for_ping(watched))) {
		if (ping < 0 && !hangs && wanted.socket.sun_path[0])
			notify();
		if (ping < 0 && wanted.pid) {
			end_instance(fd);
			return 1;
		}
		hangs = ping < 0;	/* one notification for each hang */
	}
	return 0;
}
