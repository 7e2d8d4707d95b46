// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_ttylog: plays back terminal logs, which ./linux makes with tty_log_dir= or tty_log_fd=, and
 * turns them into asciicast. See uml_ttylog.1.
 *
 * The contents of a log come from a guest. Unless --raw is given, only what log_filter.c lets
 * through reaches the terminal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "printable.h"
#include "tool.h"
#include "uml_ttylog.h"

const char *tool_name = "uml_ttylog";

static const char help[] =
	"usage: uml_ttylog [-f] [-n] [-a] [-i <seconds>] [--raw] <log> [<session>]\n"
	"       uml_ttylog --asciicast [-a] [-i <seconds>] [--raw] [--size=<columns>x<rows>]\n"
	"                  <log> [<session>]\n"
	"       uml_ttylog --programs <log> [<session>]\n"
	"       uml_ttylog --list <log or folder>\n"
	"Plays back a terminal log of ./linux; - is standard input.\n"
	"\n"
	"  -f, --follow         show what there is at once, then what is added, until the end\n"
	"  -n, --no-timing      show all at once\n"
	"  -a, --all            show also what was typed, in reverse video\n"
	"  -i, --idle=<seconds> shorten longer pauses\n"
	"      --raw            leave out nothing: only for logs that you trust\n"
	"      --asciicast      write asciicast v2, for web players\n"
	"      --size=<c>x<r>   its columns and rows, which a log does not have (default 80x24)\n"
	"      --programs       print the programs that began, with their arguments\n"
	"      --list           list sessions; + after the seconds: it has not ended\n"
	"      --help           this text\n"
	"      --version        the version\n"
	"\n"
	"Status: 0 done, 1 an error, 2 wrong arguments.\n";

struct wanted wanted = { .columns = 80, .rows = 24 };

static int (*action)(void) = play;

/* Upper halves of the numbers of sessions. */
#define OLDEST 0x50000000
#define NEWEST 0xfffeffff

/* ---- what all actions use ---- */

struct log_reader *open_log(const char *path)
{
	struct log_reader *reader = log_reader_open(path);

	if (!reader && errno == EISDIR)
		die("%s: it is a folder; give one of its files, or --list", path);
	if (!reader)
		die("%s: %s", path, strerror(errno));
	return reader;
}

static void __attribute__((noreturn)) die_of_log(const struct log_reader *reader)
{
	fflush(stdout);
	die("%s: %s", wanted.path, log_reader_error(reader));
}

int next_record(struct log_reader *reader, struct log_record *record)
{
	int result = log_reader_next(reader, record);

	if (result < 0)
		die_of_log(reader);
	return result;
}

int next_data(struct log_reader *reader, char *bytes)
{
	int result = log_reader_data(reader, bytes);

	if (result < 0)
		die_of_log(reader);
	return result;
}

unsigned long long read_missing(struct log_reader *reader)
{
	char bytes[LOG_PIECE];
	uint64_t missing = 0;

	/* A piece may be shorter, at the end of a buffer. */
	for (size_t have = 0; have < sizeof(missing); ) {
		int length = log_reader_data(reader, bytes);

		if (length <= 0)
			break;
		for (int i = 0; i < length && have < sizeof(missing); i++)
			((char *)&missing)[have++] = bytes[i];
	}
	return missing;
}

void warn(const char *format, ...)
{
	va_list arguments;
	char *line;
	int length;

	va_start(arguments, format);
	length = vasprintf(&line, format, arguments);
	va_end(arguments);
	if (length < 0)
		die("there is no memory");
	make_printable(line);
	fprintf(stderr, "%s: %s\n", tool_name, line);
	free(line);
}

void name_terminal(uint64_t tty, char name[TERMINAL_NAME])
{
	unsigned int device = tty, major = device >> 20, minor = device & 0xfffff;

	/* Above the device are about the seconds since 1970. Others have addresses of a kernel. */
	if (tty >> 32 < OLDEST || tty >> 32 > NEWEST)
		snprintf(name, TERMINAL_NAME, "%llx", (unsigned long long)tty);
	else if (major == 4)
		snprintf(name, TERMINAL_NAME, minor < 64 ? "tty%u" : "ttyS%u",
			 minor < 64 ? minor : minor - 64);
	else if (major >= 136 && major < 144)
		snprintf(name, TERMINAL_NAME, "pts/%u", (major - 136) * (1U << 20) + minor);
	else
		snprintf(name, TERMINAL_NAME, "%u:%u", major, minor);
}

/* Whether the argument is its number in the list or, in hexadecimal, in the log. */
static int is_meant(const struct log_record *record)
{
	char *end;
	unsigned long long number = strtoull(wanted.session, &end, 0);

	return !strncmp(wanted.session, "0x", 2) ? number == record->tty :
						   number == record->session;
}

static void check_session(void)
{
	char *end;

	errno = 0;
	strtoull(wanted.session, &end, 0);
	if (errno || end == wanted.session || *end || wanted.session[0] == '-')
		die_usage("%s: not the number of a session", wanted.session);
}

static int can_be_read_twice(void)
{
	struct stat status;

	return strcmp(wanted.path, "-") && !stat(wanted.path, &status) && S_ISREG(status.st_mode);
}

unsigned int find_session(void)
{
	struct log_reader *reader;
	struct log_record record;
	unsigned int found = 0;

	if (!can_be_read_twice() || (wanted.follow && !wanted.session)) {
		if (wanted.session && !strncmp(wanted.session, "0x", 2))
			die("%s: it can be read once only; give the session's number in the list",
			    wanted.path);
		return wanted.session ? strtoul(wanted.session, NULL, 0) : 0;
	}
	reader = open_log(wanted.path);
	while (next_record(reader, &record)) {
		if (!wanted.session && found && found != record.session)
			die("%s: there are several sessions; give the number of one, see --list",
			    wanted.path);
		if (!wanted.session || is_meant(&record))
			found = record.session;
	}
	log_reader_close(reader);
	if (!found)
		die(wanted.session ? "%s: there is no session %s; see --list" :
				     "%s: there is no record in it", wanted.path, wanted.session);
	return found;
}

/* ---- arguments ---- */

static void parse_size(const char *text)
{
	char rest;

	if (sscanf(text, "%dx%d%c", &wanted.columns, &wanted.rows, &rest) != 2 ||
	    wanted.columns < 1 || wanted.rows < 1 || wanted.columns > 9999 || wanted.rows > 9999)
		die_usage("--size=%s: not columns and rows, such as 80x24", text);
}

static void parse_idle(const char *text)
{
	char *end;

	wanted.idle = strtod(text, &end);
	if (end == text || *end || !(wanted.idle > 0 && wanted.idle < 1e6))
		die_usage("-i %s: not a number of seconds", text);
}

static void set_action(int (*what)(void))
{
	if (action != play && action != what)
		die_usage("--asciicast, --programs and --list: one of them at a time");
	action = what;
}

static void parse(int argc, char **argv)
{
	enum { RAW = 256, CAST, SIZE, PROGRAMS, LIST, HELP, VERSION };
	static const struct option options[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "no-timing", no_argument, NULL, 'n' },
		{ "all", no_argument, NULL, 'a' },
		{ "idle", required_argument, NULL, 'i' },
		{ "raw", no_argument, NULL, RAW },
		{ "asciicast", no_argument, NULL, CAST },
		{ "size", required_argument, NULL, SIZE },
		{ "programs", no_argument, NULL, PROGRAMS },
		{ "list", no_argument, NULL, LIST },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	argv[0] = (char *)tool_name;
	while ((option = getopt_long(argc, argv, ":fnai:", options, NULL)) != -1)
		switch (option) {
		case 'f':
			wanted.follow = wanted.at_once = 1;
			break;
		case 'n':
			wanted.at_once = 1;
			break;
		case 'a':
			wanted.typed = 1;
			break;
		case 'i':
			parse_idle(optarg);
			break;
		case RAW:
			wanted.raw = 1;
			break;
		case CAST:
			set_action(write_asciicast);
			break;
		case SIZE:
			parse_size(optarg);
			break;
		case PROGRAMS:
			set_action(list_programs);
			break;
		case LIST:
			set_action(list_sessions);
			break;
		case HELP:
			fputs(help, stdout);
			exit(0);
		case VERSION:
			printf("%s %s\n", tool_name, TOOL_VERSION);
			exit(0);
		default:
			die_of_option(option, argv);
		}
	if (optind == argc)
		die_usage("a log is wanted");
	wanted.path = argv[optind++];
	if (optind < argc)
		wanted.session = argv[optind++];
	if (optind < argc)
		die_usage("%s: one log and one session at a time", argv[optind]);
	if (wanted.session)
		check_session();
	if (wanted.follow && action != play)
		die_usage("-f goes with playing only");
}

int main(int argc, char **argv)
{
	int status;

	parse(argc, argv);
	status = action();
	if (fflush(stdout) || ferror(stdout))
		die("standard output: %s", strerror(errno));
	return status;
}
