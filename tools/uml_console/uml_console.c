// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_console: attaches this terminal to a line of an instance. See uml_console.1. The command
 * line, and the connection.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mconsole.h>

#include "instance_socket.h"
#include "tool.h"
#include "printable.h"
#include "uml_console.h"

#define CONTROL(key)	((key) & 0x1f)

const char *tool_name = "uml_console";

static const char help[] =
	"usage: uml_console [option]... <umid>|<folder> [<line>]\n"
	"Attaches this terminal to a terminal line of a running instance; without a line, lists\n"
	"the lines that it has. A line is con0 to con15 or ssl0 to ssl63, or its device in the\n"
	"guest: 0 or tty0 is con0, ttyS3 is ssl3.\n"
	"\n"
	"Recent output is shown first. Ctrl-] leaves, and the guest continues. Of\n"
	"several who are attached the first writes and the others watch, until it leaves.\n"
	"\n"
	"      --read-only        only watch; Ctrl-C leaves, too\n"
	"      --escape=<key>     another key that leaves, such as ^A or ~; none: no key does\n"
	"      --uml-dir=<folder> the folder of the instances' folders\n"
	"      --help             this text\n"
	"      --version          the version\n"
	"\n"
	"Status: 0 left, or the guest ended; 1 refused; 2 wrong arguments; 3 nobody there, or the\n"
	"instance was killed; 4 no answer; 128 + n after signal n.\n";

void complain(const struct wish *wish, const char *format, ...)
{
	va_list arguments;
	char *what, *line;

	va_start(arguments, format);
	if (vasprintf(&what, format, arguments) < 0)
		what = NULL;
	va_end(arguments);
	if (what && asprintf(&line, "%s: %s: %s", tool_name, wish->name, what) >= 0) {
		make_printable(line);
		fprintf(stderr, "%s\n", line);
		free(line);
	}
	free(what);
}

int connect_to_instance(const struct wish *wish)
{
	int code = instance_connect(wish->name, wish->uml_dir, "console");

	if (code >= 0)
		return code;
	if (code == MCONSOLE_SYSTEM && errno == EOPNOTSUPP)
		complain(wish, "this instance's kernel does not offer its consoles");
	else if (code == MCONSOLE_NOBODY)
		complain(wish, "%s; uml_mconsole --list shows which there are",
			 mconsole_strerror(code));
	else
		complain(wish, "%s", mconsole_strerror(code));
	return code == MCONSOLE_SYSTEM ? -REFUSED : -NOBODY_THERE;
}

/* ---- the command line ---- */

/* "^]", "~" or "none" */
static int parse_escape(const char *text)
{
	if (!strcmp(text, "none"))
		return -1;
	if (text[0] == '^' && text[1] >= '@' && text[1] != 0x7f && !text[2])
		return CONTROL(text[1]);
	if (!text[0] || text[1] || !isgraph((unsigned char)text[0]))
		die_usage("--escape=%s: a key is wanted, such as ^] or ~, or none", text);
	return text[0];
}

/* The number behind @prefix, or -1: it is something else. */
static int number_behind(const char *prefix, const char *text)
{
	size_t length = strlen(prefix), digits = strlen(text) - length;

	if (strncmp(text, prefix, length) || !digits || digits > 2 ||
	    strspn(text + length, "0123456789") != digits)
		return -1;
	return atoi(text + length);
}

static void parse_line(struct wish *wish, const char *text)
{
	static const struct {
		const char *prefix, *line;
	} names[] = { { "con", "con" }, { "ssl", "ssl" }, { "ttyS", "ssl" }, { "tty", "con" },
		      { "", "con" } };
	const char *name = !strncmp(text, "/dev/", 5) ? text + 5 : text;

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++) {
		size_t length = strlen(names[i].prefix);
		int number = strlen(name) > length ? number_behind(names[i].prefix, name) : -1;

		if (number < 0 || number > 99)
			continue;
		snprintf(wish->line, sizeof(wish->line), "%s%d", names[i].line, number);
		return;
	}
	die_usage("%s: a line is wanted, such as con0, ssl3, tty0 or ttyS3", text);
}

static void parse(struct wish *wish, int argc, char **argv)
{
	static const struct option options[] = {
		{ "read-only", no_argument, NULL, 'r' },
		{ "escape", required_argument, NULL, 'e' },
		{ "uml-dir", required_argument, NULL, 'u' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	argv[0] = (char *)tool_name;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1)
		switch (option) {
		case 'r':
			wish->only_reads = 1;
			break;
		case 'e':
			wish->escape = parse_escape(optarg);
			break;
		case 'u':
			wish->uml_dir = optarg;
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
	if (!argv[optind])
		die_usage("for which instance?");
	wish->name = argv[optind++];
	if (argv[optind])
		parse_line(wish, argv[optind++]);
	if (argv[optind])
		die_usage("%s: one line is wanted", argv[optind]);
}

int main(int argc, char **argv)
{
	struct wish wish = { .escape = CONTROL(']') };

	parse(&wish, argc, argv);
	return wish.line[0] ? attach_to_line(&wish) : list_lines(&wish);
}
