// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_moo: merges a COW file with its backing file, and tells what a COW file is. See uml_moo.1.
 * The command line; opening.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "uml_moo.h"

const char *tool_name = "uml_moo";

static const char help[] =
	"usage: uml_moo [-b <backing file>] [--verify] <COW file> <new image>\n"
	"       uml_moo [-b <backing file>] [--verify] -d <COW file>\n"
	"       uml_moo [-b <backing file>] --verify <COW file>\n"
	"       uml_moo [-b <backing file>] --info [--json] <COW file>\n"
	"Merges a COW file with its backing file to a new image, or in place.\n"
	"\n"
	"  -b, --backing <file>  the backing file, instead of the one that the COW file names\n"
	"  -d, --in-place        write to the backing file; the COW file is empty afterwards. Other\n"
	"                        COW files over it become useless. After an interruption, repeating\n"
	"                        the command completes the merge\n"
	"      --verify          read what was merged and compare; without a merge: check the COW file\n"
	"      --info            describe the COW file\n"
	"      --json            the same for programs\n"
	"      --help            this text\n"
	"      --version         the version\n"
	"\n"
	"Status: 0 done, 1 an error, 2 wrong arguments.\n";

struct cow_image *open_cow(const struct arguments *arguments, int flags)
{
	struct cow_options options = {
		.path = arguments->cow,
		.backing = arguments->backing,
		.flags = flags | COW_OVERRIDE,
		.lock = flags & COW_NO_BACKING ? NULL : lock_file,
	};
	struct cow_image *image;
	char why[COW_WHY];
	int error = cow_open(&image, &options, why);

	if (error == -ENOLINK && !arguments->backing)
		die("%s; -b <file> names another", why);
	if (error)
		die("%s", why);
	return image;
}

const char *name_of(const struct cow_image *image, int depth)
{
	for (; depth && image->under; depth--)
		image = image->under;
	return depth ? image->backing : image->path;
}

static void parse_options(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{ "backing", required_argument, NULL, 'b' },
		{ "in-place", no_argument, NULL, 'd' },
		{ "verify", no_argument, NULL, 'v' },
		{ "info", no_argument, NULL, 'i' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	argv[0] = (char *)tool_name;
	while ((option = getopt_long(argc, argv, ":b:d", options, NULL)) != -1)
		switch (option) {
		case 'b':
			arguments->backing = optarg;
			break;
		case 'd':
			arguments->in_place = 1;
			break;
		case 'v':
			arguments->verify = 1;
			break;
		case 'i':
			arguments->info = 1;
			break;
		case 'j':
			arguments->json = 1;
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
}

static void parse(struct arguments *arguments, int argc, char **argv)
{
	int names;

	parse_options(arguments, argc, argv);
	names = argc - optind;
	if (arguments->json && !arguments->info)
		die_usage("--json goes with --info");
	if (arguments->info && (arguments->in_place || arguments->verify))
		die_usage("--info goes with neither -d nor --verify");
	if (names < 1)
		die_usage("a COW file is wanted");
	arguments->cow = argv[optind];
	if (names > 1)
		arguments->image = argv[optind + 1];
	if (names > 2)
		die_usage("%s: one COW file and one new image are enough", argv[optind + 2]);
	if (arguments->image && (arguments->in_place || arguments->info))
		die_usage("%s: a new image does not go with %s", arguments->image,
			  arguments->info ? "--info" : "-d");
	if (!arguments->image && !arguments->in_place && !arguments->info && !arguments->verify)
		die_usage("a new image is wanted, or -d");
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };

	parse(&arguments, argc, argv);
	if (arguments.info)
		show_info(&arguments);
	else if (arguments.in_place)
		merge_in_place(&arguments);
	else if (arguments.image)
		merge_to_new(&arguments);
	else
		verify(&arguments);
	return fflush(stdout) ? 1 : 0;
}
