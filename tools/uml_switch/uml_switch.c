// SPDX-License-Identifier: GPL-2.0-only
/* uml_switch: options, the loop, and the end. See switch.h and uml_switch.1. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "switch.h"
#include "tool.h"

const char *tool_name = "uml_switch";

#define EVENTS		64
#define DEFAULT_SOCKET	"/tmp/uml.ctl"

static const char help[] =
	"usage: uml_switch [option]...\n"
	"An Ethernet switch between User-Mode Linux instances.\n"
	"\n"
	"  -unix <socket>      the control socket (default " DEFAULT_SOCKET ")\n"
	"  -compat-v0          -unix takes a second path, of a data socket, for clients of\n"
	"                      the oldest kind\n"
	"  -hub                send each frame to all ports, and learn nothing\n"
	"  -vlan               learn addresses in each VLAN by itself\n"
	"  -tap <interface>    an interface of the host is a port, too\n"
	"  -mtu <bytes>        the most that a frame may carry, 68 to 65520 (default 1500)\n"
	"  -m <mode>           mode of the control socket, in octal (default: by the umask)\n"
	"  -g <group>          group of the control socket\n"
	"  -p <file>           write the process id there\n"
	"  -pcap <file>        write all frames there, as tcpdump and wireshark read them\n"
	"  -stats              print what each port did at the end\n"
	"      --json          as JSON\n"
	"  -daemon             run in the background, silently\n"
	"      --help          this text\n"
	"      --version       the version\n"
	"\n"
	"SIGUSR1 prints what each port did. SIGTERM, and the end of a terminal that is the\n"
	"input, end the switch.\n"
	"Status: 0 it was ended, 1 an error, 2 wrong arguments.\n";

struct options options = { .control = DEFAULT_SOCKET, .mode = -1, .group = -1, .mtu = 1500 };

static int set;				/* of epoll */
static struct source *gone;

/* ---- what is waited for ---- */

int watch(struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(set, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

void watch_for(struct source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	epoll_ctl(set, EPOLL_CTL_MOD, source->fd, &event);
}

static void ignore(struct source *source UNUSED, uint32_t events UNUSED)
{
}

void forget(struct source *source)
{
	close(source->fd);
	source->ready = ignore;
	source->next = gone;
	gone = source;
}

static void free_gone(void)
{
	while (gone) {
		struct source *source = gone;

		gone = source->next;
		free(source);
	}
}

uint32_t now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

void say(const char *format, ...)
{
	struct pollfd output = { .fd = 1, .events = POLLOUT };
	va_list arguments;

	if (options.daemon || options.json || poll(&output, 1, 0) != 1 ||
	    !(output.revents & POLLOUT))
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

/* ---- arguments ---- */

static long number(const char *option, const char *text, int base, long least, long most)
{
	char *end;
	long value = strtol(text, &end, base);

	if (end == text || *end || value < least || value > most)
		die_usage(base == 8 ? "-%s %s: not an octal number from %lo to %lo" :
				      "-%s %s: not a number from %ld to %ld",
			  option, text, least, most);
	return value;
}

static int group_of(const char *name)
{
	struct group *group = getgrnam(name);
	char *end;
	long id = strtol(name, &end, 10);

	if (group)
		return group->gr_gid;
	if (end == name || *end || id < 0)
		die_usage("-g %s: there is no such group", name);
	return id;
}

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "unix", required_argument, NULL, 'u' },
		{ "compat-v0", no_argument, NULL, 'c' },
		{ "hub", no_argument, &options.hub, 1 },
		{ "vlan", no_argument, &options.vlan, 1 },
		{ "tap", required_argument, NULL, 't' },
		{ "mtu", required_argument, NULL, 'M' },
		{ "m", required_argument, NULL, 'm' },
		{ "g", required_argument, NULL, 'g' },
		{ "p", required_argument, NULL, 'p' },
		{ "pcap", required_argument, NULL, 'C' },
		{ "stats", no_argument, &options.stats, 1 },
		{ "json", no_argument, &options.json, 1 },
		{ "daemon", no_argument, &options.daemon, 1 },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option, compat = 0, unix_given = 0;

	argv[0] = (char *)tool_name;
	while ((option = getopt_long_only(argc, argv, "-:", known, NULL)) != -1)
		switch (option) {
		case 0:
			break;
		case 'u':
			options.control = optarg;
			unix_given = 1;
			/* The second path, of clients of version 0. */
			if (optind < argc && argv[optind][0] != '-')
				options.data = argv[optind++];
			break;
		case 'c':
			compat = 1;
			break;
		case 't':
			options.tap = optarg;
			break;
		case 'M':
			options.mtu = number("mtu", optarg, 10, LEAST_MTU, MOST_MTU);
			break;
		case 'm':
			options.mode = number("m", optarg, 8, 0, 0777);
			break;
		case 'g':
			options.group = group_of(optarg);
			break;
		case 'p':
			options.pid_file = optarg;
			break;
		case 'C':
			options.capture = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		case 'V':
			printf("%s %s\n", tool_name, TOOL_VERSION);
			exit(0);
		case 1:
			die_usage("%s: not an option", optarg);
		default:
			die_usage("%s: there is no such option, or its value is missing",
				  argv[optind - 1]);
		}
	if (compat && unix_given && !options.data)
		die_usage("-compat-v0: -unix wants two paths, of the control and the data socket");
	if (compat && !unix_given)
		options.data = "/tmp/uml.data";
	if (!compat && options.data)
		die_usage("%s: a data socket goes with -compat-v0", options.data);
}

/* ---- begin and end ---- */

static struct source signals, input;

static void end(void)
{
	if (options.stats)
		report();
	capture_flush();
	exit(0);
}

static void signal_ready(struct source *source, uint32_t events UNUSED)
{
	struct signalfd_siginfo signal;

	if (read(source->fd, &signal, sizeof(signal)) != sizeof(signal))
		return;
	if (signal.ssi_signo == SIGUSR1)
		report();
	else
		end();
}

/* A terminal: its end is the switch's, and what is typed means nothing. */
static void input_ready(struct source *source, uint32_t events UNUSED)
{
	char bytes[512];

	if (read(source->fd, bytes, sizeof(bytes)) <= 0 && errno != EAGAIN)
		end();
}

static void watch_signals(void)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGHUP);
	sigaddset(&wanted, SIGUSR1);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = (struct source){ .fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK),
				   .ready = signal_ready };
	if (signals.fd < 0 || watch(&signals, EPOLLIN) < 0)
		die("signals cannot be watched: %s", strerror(errno));
	input = (struct source){ .fd = 0, .ready = input_ready };
	if (!options.daemon && isatty(0))
		watch(&input, EPOLLIN);
}

static void remove_pid_file(void)
{
	unlink(options.pid_file);
}

static void write_pid_file(void)
{
	FILE *file;

	if (!options.pid_file)
		return;
	file = fopen(options.pid_file, "we");
	if (!file || fprintf(file, "%d\n", getpid()) < 0 || fclose(file) != 0)
		die("-p %s: %s", options.pid_file, strerror(errno));
	atexit(remove_pid_file);
}

/*
 * -daemon: a child does all of it; the parent waits for a byte from it, which says that it serves,
 * or has its status. Returns where the child is to send the byte.
 */
static int start_child(void)
{
	int ends[2], status;
	char byte;
	pid_t child = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;

	if (child < 0)
		die("-daemon: %s", strerror(errno));
	if (child == 0) {
		close(ends[0]);
		setsid();
		return ends[1];
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) == 1)
		_exit(0);
	_exit(waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void child_serves(int to)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	if (null < 0 || write(to, "", 1) != 1)
		exit(1);
	close(null);
	close(to);
}

/* A port has two descriptors. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	int parent = -1;
	struct port *tap;

	parse(argc, argv);
	if (options.daemon)
		parent = start_child();
	raise_limit();
	set = epoll_create1(EPOLL_CLOEXEC);
	if (set < 0)
		die("epoll: %s", strerror(errno));
	ports_init();
	if (options.capture)
		capture_open(options.capture);
	if (options.tap && port_add(tap_open(options.tap), 1, &tap) < 0)
		die("-tap %s: cannot be watched", options.tap);
	watch_signals();
	control_init();
	write_pid_file();
	control_serve();
	if (options.daemon)
		child_serves(parent);
	for (;;) {
		int count = epoll_wait(set, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			struct source *source = events[i].data.ptr;

			source->ready(source, events[i].events);
		}
		free_gone();
		capture_flush();
	}
}
