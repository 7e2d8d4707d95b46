// SPDX-License-Identifier: GPL-2.0-only
/* uml_top: a live view of all instances of the user. See uml_top.1. The command line. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"
#include "uml_top.h"

#define LIMIT 500	/* milliseconds for the answers of all guests */

const char *tool_name = "uml_top";

static const char help[] =
	"usage: uml_top [--interval=<s>] [--uml-dir=<folder>]\n"
	"       uml_top --once --json | --metrics\n"
	"Shows the instances of this user: CPU, memory, disks, networks, load and state.\n"
	"\n"
	"      --interval=<s>     seconds between two samples: 2, and 1 for --once\n"
	"      --once --json      print one sample as JSON and end\n"
	"      --metrics          print one sample as text for Prometheus and end\n"
	"      --uml-dir=<folder> the folder of the instances' folders\n"
	"      --help             this text\n"
	"      --version          the version\n"
	"\n"
	"Status: 0 done, 1 an error, 2 wrong arguments.\n";

struct arguments {
	struct guests guests;
	double interval;
	int once, json, metrics;
};

static double parse_interval(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (!*text || *end || !(seconds >= 0.1 && seconds <= 3600))
		die_usage("--interval=%s: seconds are wanted, 0.1 to 3600", text);
	return seconds;
}

static void parse(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "once", no_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "metrics", no_argument, NULL, 'm' },
		{ "uml-dir", required_argument, NULL, 'u' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	argv[0] = (char *)tool_name;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1)
		switch (option) {
		case 'i':
			arguments->interval = parse_interval(optarg);
			break;
		case 'o':
			arguments->once = 1;
			break;
		case 'j':
			arguments->json = 1;
			break;
		case 'm':
			arguments->metrics = 1;
			break;
		case 'u':
			arguments->guests.uml_dir = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		case 'V':
			printf("%s %s\n", tool_name, TOOL_VERSION);
			exit(0);
		default:
			die_of_option(option, argv);
		}
	if (argv[optind])
		die_usage("%s: no argument is wanted", argv[optind]);
	if (arguments->once != arguments->json)
		die_usage("--once and --json go together");
	if (arguments->once && arguments->metrics)
		die_usage("--metrics does not go with --once --json");
}

static void pause_for(double seconds)
{
	struct timespec left = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (seconds - (time_t)seconds) * 1e9,
	};

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/* Rates need two samples. */
static void run_once(struct arguments *arguments)
{
	take_sample(&arguments->guests, LIMIT);
	if (arguments->guests.count) {
		pause_for(arguments->interval ? arguments->interval : 1);
		take_sample(&arguments->guests, LIMIT);
	}
	print_guests_json(&arguments->guests);
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };

	parse(&arguments, argc, argv);
	if (arguments.metrics) {
		take_sample(&arguments.guests, LIMIT);
		print_metrics(&arguments.guests);
	} else if (arguments.once) {
		run_once(&arguments);
	} else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		die("there is no terminal; --once --json or --metrics print one sample");
	} else {
		setlocale(LC_ALL, "");
		run_screen(&arguments.guests, arguments.interval ? arguments.interval : 2);
	}
	free_guests(&arguments.guests);
	if (fflush(stdout))
		die("cannot write: %s", strerror(errno));
	return 0;
}
