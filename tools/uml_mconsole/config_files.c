// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: names of files in "config ubd<n><flags>=<file>[,<backing>][,<serial>]" become
 * absolute, since the instance has another working directory.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uml_mconsole.h"

#define FILES 2		/* further parts are no files */

/* Where the value of a disk begins in the request; NULL: it sets none. */
static const char *value_of_disk(const char *request)
{
	const char *device, *value;

	if (!begins_with(request, "config", &device) || strncmp(device, "ubd", 3))
		return NULL;
	for (value = device + 3; isalnum((unsigned char)*value); value++)
		;
	return value > device + 3 && *value == '=' ? value + 1 : NULL;
}

/*
 * A comma separates the parts, or a colon. One of both in the working directory's path would cut
 * it there.
 */
static void write_value(FILE *to, const char *value, const char *folder)
{
	for (int part = 0; ; part++) {
		size_t length = strcspn(value, ",:");

		if (part < FILES && length && *value != '/')
			fprintf(to, "%s/", strcmp(folder, "/") ? folder : "");
		fwrite(value, 1, length, to);
		value += length;
		if (!*value)
			return;
		fputc(*value++, to);
	}
}

static int has_relative(const char *value)
{
	for (int part = 0; part < FILES; part++) {
		size_t length = strcspn(value, ",:");

		if (length && *value != '/')
			return 1;
		value += length;
		if (!*value++)
			break;
	}
	return 0;
}

char *with_absolute_files(const char *request, const char **why)
{
	const char *value = value_of_disk(request);
	size_t length;
	char *folder, *result = NULL;
	FILE *to;

	*why = "there is no memory";
	if (!value || !has_relative(value))
		return strdup(request);
	folder = getcwd(NULL, 0);
	if (!folder || strpbrk(folder, ",:")) {
		*why = folder ? "the working directory's path has a comma or a colon in it, which "
				"end a file's name; change to another one" :
				"the working directory has no path; give absolute file names";
		free(folder);
		return NULL;
	}
	to = open_memstream(&result, &length);
	if (to) {
		fwrite(request, 1, value - request, to);
		write_value(to, value, folder);
		fclose(to);
	}
	free(folder);
	return result;
}
