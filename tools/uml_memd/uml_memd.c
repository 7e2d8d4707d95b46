// SPDX-License-Identifier: GPL-2.0-only
/* uml_memd: moves memory between instances by their need of it. See uml_memd.8. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memd.h"
#include "printable.h"
#include "tool.h"

const char *tool_name = "uml_memd";

static const char help[] =
	"usage: uml_memd [option ...] [<umid>[:<setting>=<value>,...] ...]\n"
	"Moves memory between running instances of User-Mode Linux: from those that have some to\n"
	"spare to those that are short of it. Without names, between all instances of this user.\n"
	"Settings of an instance are minimum, maximum and weight.\n"
	"\n"
	"  -t, --total=<size>     memory of all together (default: what they start with)\n"
	"  -m, --minimum=<size>   memory that each keeps (default 64M)\n"
	"  -M, --maximum=<size>   memory that none exceeds (default: its own maxmem= or mem=)\n"
	"  -w, --weight=<number>  whose share is larger when all are short (default 1)\n"
	"  -i, --interval=<s>     seconds between two decisions (default 2)\n"
	"  -p, --patience=<n>     decisions with memory to spare before some is taken (default 3)\n"
	"  -L, --low=<percent>    with less available an instance is short (default 10)\n"
	"  -H, --high=<percent>   with more available it has memory to spare (default 30)\n"
	"  -P, --pressure=<percent>\n"
	"                         it is short, too, if its tasks wait so much (default 10)\n"
	"  -c, --cgroup=<folder>  stay below the memory limit of this control group\n"
	"  -u, --uml-dir=<folder> where the folders of instances are\n"
	"  -l, --log=<file>       append decisions to this file (default: standard output)\n"
	"  -n, --dry-run          decide, and change nothing\n"
	"  -1, --once             decide once, and end\n"
	"      --help             this text\n"
	"      --version          the version\n"
	"\n"
	"Status: 0 ended by a signal or after --once, 1 an error, 2 wrong arguments.\n";

static struct policy_rules rules = {
	.low = 10, .high = 30, .pressure = 10, .patience = 3, .step = 8 * POLICY_MIB,
};
static uint64_t total;				/* 0: what the instances start with */
static double interval = 2;
static const char *cgroup, *uml_dir, *log_path;
static int dry_run, once;
static volatile sig_atomic_t ended, reopen;

/* ---- the log ---- */

void log_line(const char *format, ...)
{
	char now[32], *line;
	time_t seconds = time(NULL);
	va_list arguments;
	int length;

	strftime(now, sizeof(now), "%F %T", localtime(&seconds));
	va_start(arguments, format);
	length = vasprintf(&line, format, arguments);
	va_end(arguments);
	if (length < 0)
		die("there is no memory");
	make_printable(line);
	printf("%s %s\n", now, line);
	fflush(stdout);
	free(line);
}

static void open_log(void)
{
	reopen = 0;
	if (log_path && !freopen(log_path, "ae", stdout))
		die("%s: %s", log_path, strerror(errno));
}

/* ---- decisions ---- */

static uint64_t sizes(const struct instances *all)
{
	uint64_t sum = 0;

	for (int i = 0; i < all->count; i++)
		sum += all->guests[i].size;
	return sum;
}

static uint64_t nominal_budget(const struct instances *all)
{
	uint64_t sum = 0;

	for (int i = 0; i < all->count; i++)
		sum += all->instances[i].first;
	return total ? total : sum;
}

static void log_change(const struct policy_guest *guest)
{
	char waits[48] = "";

	if (guest->pressure >= 0)
		snprintf(waits, sizeof(waits), ", tasks wait %.1f %%", guest->pressure);
	log_line("%s: %" PRIu64 "M to %" PRIu64 "M: %s (%" PRIu64 "M available%s)%s", guest->name,
		 guest->size / POLICY_MIB, guest->target / POLICY_MIB, guest->why,
		 guest->available / POLICY_MIB, waits, dry_run ? ", dry run" : "");
}

static void resize(struct instances *all, int i)
{
	struct policy_guest *guest = &all->guests[i];
	const char *why;

	log_change(guest);
	if (!dry_run && instance_resize(all, i, uml_dir, &why))
		log_line("%s: has %" PRIu64 "M: %s", guest->name, guest->size / POLICY_MIB, why);
}

/* Only what was really freed is given to others. */
static void carry_out(struct instances *all, uint64_t budget)
{
	struct policy_guest *guests = all->guests;

	for (int i = 0; i < all->count; i++)
		if (guests[i].target < guests[i].size)
			resize(all, i);
	for (int i = 0; i < all->count; i++) {
		uint64_t size = sizes(all), room = budget > size ? budget - size : 0;

		if (guests[i].target <= guests[i].size)
			continue;
		if (!dry_run && guests[i].target - guests[i].size > room)
			guests[i].target = guests[i].size + room / POLICY_MIB * POLICY_MIB;
		if (guests[i].target > guests[i].size)
			resize(all, i);
	}
}

static void decide(struct instances *all, const struct settings *settings)
{
	static uint64_t said;
	struct policy_host host;
	uint64_t nominal;

	instances_look(all, uml_dir, settings);
	if (host_facts(cgroup, &host))
		die("/proc/meminfo cannot be read, which is needed");
	nominal = nominal_budget(all);
	rules.budget = policy_budget(nominal, sizes(all), &host, &rules);
	if (all->count && (said == nominal) != (rules.budget >= nominal)) {
		said = rules.budget >= nominal ? nominal : 0;
		log_line("instances may have %" PRIu64 "M together%s", rules.budget / POLICY_MIB,
			 said ? "" : ", since the host has little memory left");
	}
	policy_decide(all->guests, all->count, &rules);
	carry_out(all, rules.budget);
}

/* ---- options ---- */

static uint64_t size_option(const char *name, const char *text)
{
	uint64_t size;

	if (parse_size(text, &size))
		die_usage("%s=%s: not a size; write a number with K, M or G", name, text);
	return size;
}

static double number_option(const char *name, const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= least && value <= most))
		die_usage("%s=%s: not a number from %g to %g", name, text, least, most);
	return value;
}

static void setting(struct settings *own, const char *name, const char *value)
{
	if (!strcmp(name, "minimum"))
		own->minimum = size_option(name, value);
	else if (!strcmp(name, "maximum"))
		own->maximum = size_option(name, value);
	else if (!strcmp(name, "weight"))
		own->weight = number_option(name, value, 1, 1000);
	else
		die_usage("%s: there is no such setting; there are minimum, maximum and weight",
			  name);
}

/* <umid>[:<setting>=<value>,...], on top of the settings of all. */
static void parse_instance(struct settings *own, const struct settings *all, char *text)
{
	char *rest = strchr(text, ':'), *word, *value;

	*own = *all;
	if (rest)
		*rest++ = '\0';
	if (!*text)
		die_usage("the name of an instance is missing");
	own->name = text;
	while (rest && (word = strsep(&rest, ","))) {
		value = strchr(word, '=');
		if (!value)
			die_usage("%s: %s: a setting is <name>=<value>", text, word);
		*value++ = '\0';
		setting(own, word, value);
	}
	if (own->maximum && own->maximum < own->minimum)
		die_usage("%s: the maximum is less than the minimum", text);
}

static const struct option options[] = {
	{ "total", required_argument, NULL, 't' },
	{ "minimum", required_argument, NULL, 'm' },
	{ "maximum", required_argument, NULL, 'M' },
	{ "weight", required_argument, NULL, 'w' },
	{ "interval", required_argument, NULL, 'i' },
	{ "patience", required_argument, NULL, 'p' },
	{ "low", required_argument, NULL, 'L' },
	{ "high", required_argument, NULL, 'H' },
	{ "pressure", required_argument, NULL, 'P' },
	{ "cgroup", required_argument, NULL, 'c' },
	{ "uml-dir", required_argument, NULL, 'u' },
	{ "log", required_argument, NULL, 'l' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "once", no_argument, NULL, '1' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void option(int which, struct settings *all, char **argv)
{
	switch (which) {
	case 't': total = size_option("total", optarg); break;
	case 'm': setting(all, "minimum", optarg); break;
	case 'M': setting(all, "maximum", optarg); break;
	case 'w': setting(all, "weight", optarg); break;
	case 'i': interval = number_option("interval", optarg, 0.05, 3600); break;
	case 'p': rules.patience = number_option("patience", optarg, 1, 10000); break;
	case 'L': rules.low = number_option("low", optarg, 1, 90); break;
	case 'H': rules.high = number_option("high", optarg, 2, 95); break;
	case 'P': rules.pressure = number_option("pressure", optarg, 0.1, 100); break;
	case 'c': cgroup = optarg; break;
	case 'u': uml_dir = optarg; break;
	case 'l': log_path = optarg; break;
	case 'n': dry_run = 1; break;
	case '1': once = 1; break;
	case 'h': fputs(help, stdout); exit(0);
	case 'V': printf("%s %s\n", tool_name, TOOL_VERSION); exit(0);
	default: die_of_option(which, argv);
	}
}

static void check_options(const struct settings *all)
{
	uint64_t limit;

	if (rules.low >= rules.high)
		die_usage("low is %u and high %u percent; low must be less", rules.low, rules.high);
	if (all->maximum && all->maximum < all->minimum)
		die_usage("the maximum is less than the minimum");
	if (cgroup && group_limit(cgroup, &limit))
		die("%s: has no memory.max; name the folder of a control group for memory",
		    cgroup);
}

/* ---- the daemon ---- */

static void end(int signal)
{
	if (signal == SIGHUP)
		reopen = 1;
	else
		ended = 1;
}

/* Signals are blocked but while it rests, so that none is missed. */
static void rest(const sigset_t *signals)
{
	struct timespec time = {
		.tv_sec = (long)interval, .tv_nsec = (interval - (long)interval) * 1e9,
	};
	int signal = sigtimedwait(signals, NULL, &time);

	if (signal > 0)
		end(signal);
}

int main(int argc, char **argv)
{
	struct settings all = { .minimum = 64 * POLICY_MIB, .weight = 1 }, *settings;
	struct instances instances = { 0 };
	sigset_t signals;
	int which, count;

	while ((which = getopt_long(argc, argv, ":t:m:M:w:i:p:L:H:P:c:u:l:n1", options, NULL)) !=
	       -1)
		option(which, &all, argv);
	check_options(&all);
	count = argc - optind;
	settings = calloc(count + 1, sizeof(*settings));
	if (!settings)
		die("there is no memory");
	for (int i = 0; i < count; i++)
		parse_instance(&settings[i], &all, argv[optind + i]);
	settings[count] = all;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	open_log();
	while (!ended) {
		decide(&instances, settings);
		if (once)
			break;
		rest(&signals);
		if (reopen)
			open_log();
	}
	return 0;
}
