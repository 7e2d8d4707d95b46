// SPDX-License-Identifier: GPL-2.0-only
/* uml_mkcow: makes an empty COW file over a backing file. See uml_mkcow.1. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cow_tool.h"

const char *tool_name = "uml_mkcow";

static const char help[] =
	"usage: uml_mkcow [-f] <COW file> <backing file>\n"
	"Makes an empty COW file: a disk that reads as the backing file and keeps what is written.\n"
	"\n"
	"  -f, --force    replace an existing COW file\n"
	"      --help     this text\n"
	"      --version  the version\n"
	"\n"
	"Status: 0 done, 1 an error, 2 wrong arguments.\n";

static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int flags = 0, option;

	argv[0] = (char *)tool_name;
	while ((option = getopt_long(argc, argv, ":f", options, NULL)) != -1)
		switch (option) {
		case 'f':
			flags |= COW_REPLACE;
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
	return flags;
}

int main(int argc, char **argv)
{
	char why[COW_WHY];
	struct cow_options options = { .lock = lock_file };
	int error;

	options.flags = parse(argc, argv);
	if (argc - optind != 2)
		die_usage("a COW file and a backing file are wanted");
	options.path = argv[optind];
	options.backing = argv[optind + 1];
	error = cow_create(&options, why);
	if (error == -EEXIST)
		die("%s; -f takes its place, and what was written to it is lost", why);
	if (error)
		die("%s", why);
	return 0;
}
