// SPDX-License-Identifier: GPL-2.0-only
/* The common part of all tools: messages, and how they end. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "printable.h"
#include "tool.h"

static void say(const char *format, va_list arguments)
{
	char *line;

	if (vasprintf(&line, format, arguments) < 0)
		exit(1);
	make_printable(line);
	fprintf(stderr, "%s: %s", tool_name, line);
	free(line);
}

void tell(const char *format, ...)
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
	puts(line);
	free(line);
}

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	fputc('\n', stderr);
	exit(1);
}

void die_usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	fprintf(stderr, "; see %s --help\n", tool_name);
	exit(2);
}

void die_of_option(int result, char *const *argv)
{
	const char *word = argv[optind - 1], *next = argv[optind];
	/* Inside of a word of several letters optind has not passed it. */
	int inside = optopt && next && next[0] == '-' && next[1] != '-' && strchr(next, optopt);

	if (result == ':')
		die_usage("%s: a value is wanted", word);
	if (!inside && !strncmp(word, "--", 2) && (!optopt || strchr(word, '=')))
		die_usage("%s: there is no such option, or several, or it takes no value", word);
	die_usage("-%c: there is no such option", optopt);
}

void *allocate(unsigned long size)
{
	void *memory = malloc(size);

	if (!memory)
		die("there is no memory");
	return memory;
}
