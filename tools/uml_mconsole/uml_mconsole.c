// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: sends commands to the management console of an instance. See uml_mconsole.1.
 * The command line; waiting for an instance.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "printable.h"
#include "tool.h"
#include "exec_client.h"

#define USUAL_LIMIT 10000	/* milliseconds */

const char *tool_name = "uml_mconsole";

static const char help[] =
	"usage: uml_mconsole [option]... [<umid>|<socket> [<command>...]]\n"
	"       uml_mconsole [--json] --list\n"
	"Sends a command to a running instance, or reads commands from a prompt.\n"
	"The command help lists the kernel's commands.\n"
	"\n"
	"exec <command> has a shell of the guest run it. With options, no shell is used:\n"
	"       uml_mconsole <umid> exec [-it] [-u <user>[:<gid>]] [-w <folder>]\n"
	"                    [-e <name>[=<value>]]... [-l <seconds>] <program> [<argument>...]\n"
	"  -i  with standard input              -t  on a terminal of the guest\n"
	"  -u  as another user than root        -w  in another folder than /\n"
	"  -e  with this variable               -l  a time limit; then the status is 124\n"
	"On a terminal, ~. at the start of a line leaves, whatever the guest does.\n"
	"\n"
	"      --list             list the instances of this user\n"
	"      --json             answer as JSON: for --list, version, config and proc\n"
	"      --timeout=<s>      seconds without an answer after which to end: 10, and no limit\n"
	"                         for exec; 0 is no limit\n"
	"      --wait[=<s>]       first wait until the instance answers, for at most <s> seconds\n"
	"      --uml-dir=<folder> the folder of the instances' folders\n"
	"      --help             this text\n"
	"      --version          the version\n"
	"\n"
	"Status: 0 done, 1 an error from the kernel, 2 wrong arguments, 3 no such instance,\n"
	"4 no answer; after exec, that of the command.\n";

struct arguments {
	struct session session;
	char *line;			/* the command; NULL: a prompt */
	char **exec;			/* the same in words, for exec with options; or NULL */
	int list, wait, wait_limit;
};

int explain(const struct session *session, int code)
{
	char *name = strdup(session->name);
	int error = errno;

	if (!name)
		return REFUSED;
	make_printable(name);
	fprintf(stderr, "%s: %s: ", tool_name, name);
	free(name);
	errno = error;
	fputs(mconsole_strerror(code), stderr);
	switch (code) {
	case MCONSOLE_NOBODY:
		fprintf(stderr, "; %s --list shows which there are\n", tool_name);
		return NOBODY_THERE;
	case MCONSOLE_TIMEOUT:
		fprintf(stderr, ": %g s; --timeout=<seconds> waits longer\n",
			session->limit / 1000.0);
		return NO_ANSWER;
	default:
		fputc('\n', stderr);
	}
	return code == MCONSOLE_DEAD || code == MCONSOLE_DENIED || code == MCONSOLE_GONE ?
		       NOBODY_THERE :
	       code == MCONSOLE_TOO_LONG ? WRONG_USAGE : REFUSED;
}

int open_console(struct session *session)
{
	return session->console ? MCONSOLE_OK :
	       mconsole_open(session->name, session->uml_dir, &session->console);
}

int run_line(struct session *session, const char *line)
{
	const char *why;
	char *request;
	int status;

	if (run_local(session, line, &status))
		return status;
	if (!session->name) {
		fprintf(stderr, "%s: no instance; switch <name> chooses one\n", tool_name);
		return NOBODY_THERE;
	}
	request = with_absolute_files(line, &why);
	if (!request) {
		fprintf(stderr, "%s: %s\n", tool_name, why);
		return REFUSED;
	}
	status = session->json ? send_for_json(session, request) : send_request(session, request);
	free(request);
	return status;
}

/* ---- waiting ---- */

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Milliseconds; MCONSOLE_FOREVER: no limit. */
static int left_until(double end)
{
	double left = end ? (end - seconds_now()) * 1000 : MCONSOLE_FOREVER;

	return !end ? MCONSOLE_FOREVER : left > 0 ? (int)left : 0;
}

/* An instance that starts answers as soon as its kernel can. */
static int wait_for_answer(struct session *session, int limit)
{
	double end = limit >= 0 ? seconds_now() + limit / 1000.0 : 0;
	struct timespec moment = { .tv_nsec = 10 * 1000000 };
	unsigned int error;
	char *answer;

	for (;;) {
		int code = open_console(session);

		if (!code) {
			code = mconsole_ask(session->console, "version", left_until(end), &answer,
					    NULL, &error);
			free(answer);
		}
		if (code != MCONSOLE_NOBODY && code != MCONSOLE_DEAD && code != MCONSOLE_GONE) {
			struct session told = *session;

			told.limit = limit;
			return code ? explain(&told, code) : DONE;
		}
		mconsole_close(session->console);
		session->console = NULL;
		if (!left_until(end))
			return explain(session, code);
		nanosleep(&moment, NULL);
	}
}

/* ---- the command line ---- */

/* A number of seconds, in milliseconds. */
static int parse_seconds(const char *option, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (!*text || *end || !(seconds >= 0) || seconds > 1e6)
		die_usage("--%s=%s: a number of seconds is wanted, at most 1000000", option, text);
	return ceil(seconds * 1000);
}

static void parse_options(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "timeout", required_argument, NULL, 't' },
		{ "wait", optional_argument, NULL, 'w' },
		{ "uml-dir", required_argument, NULL, 'u' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct session *session = &arguments->session;
	int option;

	argv[0] = (char *)tool_name;
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1)
		switch (option) {
		case 'l':
			arguments->list = 1;
			break;
		case 'j':
			session->json = 1;
			break;
		case 't':
			session->limit = parse_seconds("timeout", optarg);
			if (!session->limit)
				session->limit = MCONSOLE_FOREVER;
			session->has_limit = 1;
			break;
		case 'w':
			arguments->wait = 1;
			if (optarg)
				arguments->wait_limit = parse_seconds("wait", optarg);
			break;
		case 'u':
			session->uml_dir = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			exit(DONE);
		case 'V':
			printf("%s %s\n", tool_name, TOOL_VERSION);
			exit(DONE);
		default:
			die_of_option(option, argv);
		}
}

/* The words with blanks between them. */
static char *join(char **words)
{
	size_t length = 1;
	char *line, *to;

	for (char **word = words; *word; word++)
		length += strlen(*word) + 1;
	line = to = allocate(length);
	*line = '\0';
	for (; *words; words++)
		to += sprintf(to, "%s%s", to > line ? " " : "", *words);
	return line;
}

static int has_exec_options(char **words)
{
	return *words && !strcmp(*words, "exec") && words[1] && words[1][0] == '-';
}

static void parse(struct arguments *arguments, int argc, char **argv)
{
	parse_options(arguments, argc, argv);
	if (arguments->list && (arguments->wait || argv[optind]))
		die_usage("--list takes no instance, and does not go with --wait");
	if (argv[optind]) {
		arguments->session.name = argv[optind];
		if (argv[optind + 1])
			arguments->line = join(argv + optind + 1);
		if (has_exec_options(argv + optind + 1))
			arguments->exec = argv + optind + 1;
	}
	if (arguments->wait && !arguments->session.name)
		die_usage("--wait: for which instance?");
	if (arguments->session.json && arguments->exec)
		die_usage("--json: exec has no answer as JSON");
	if (arguments->session.json && !arguments->list && !arguments->line)
		die_usage("--json goes with --list or a command");
}

static int end_with(int status)
{
	if (!fflush(stdout))
		return status;
	fprintf(stderr, "%s: cannot write the answer: %s\n", tool_name, strerror(errno));
	return REFUSED;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {
		.session.limit = USUAL_LIMIT,
		.wait_limit = MCONSOLE_FOREVER,
	};
	struct session *session = &arguments.session;
	int status = DONE;

	parse(&arguments, argc, argv);
	if (arguments.list)
		return end_with(list_instances(session->uml_dir, session->json));
	if (arguments.wait)
		status = wait_for_answer(session, arguments.wait_limit);
	if (status || (arguments.wait && !arguments.line))
		return status;
	status = arguments.exec ? exec_with_options(session, arguments.exec) :
		 arguments.line ? run_line(session, arguments.line) : run_prompt(session);
	mconsole_close(session->console);
	free(arguments.line);
	return end_with(status);
}
