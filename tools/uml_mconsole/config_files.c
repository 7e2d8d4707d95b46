// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: names of files in "config ubd<n><flags>=<file>[,<backing>][,<serial>]" and "config
 * virtio_uml<n>=<socket>:<virtio id>" become absolute, since the instance has another working
 * directory.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uml_mconsole.h"

struct kind {
	const char *name;
	int files;		/* parts of the value that are files; further ones are not */
};

static const struct kind kinds[] = { { "ubd", 2 }, { "virtio_uml", 1 }, { NULL, 0 } };

/* Where the value of a device with files begins in the request; NULL: it sets none. */
static const char *value_of(const char *request, const struct kind **kind)
{
	const char *device, *unit, *value;

	if (!begins_with(request, "config", &device))
		return NULL;
	for (*kind = kinds; (*kind)->name; ++*kind)
		if (!strncmp(device, (*kind)->name, strlen((*kind)->name)))
			break;
	if (!(*kind)->name)
		return NULL;
	unit = device + strlen((*kind)->name);
	for (value = unit; isalnum((unsigned char)*value); value++)
		;
	return value > unit && *value == '=' ? value + 1 : NULL;
}

/*
 * A comma separates the parts, or a colon. One of both in the working directory's path would cut
 * it there, except in a socket's name.
 */
static void write_value(FILE *to, const char *value, int files, const char *folder)
{
	for (int part = 0; ; part++) {
		size_t length = strcspn(value, ",:");

		if (part < files && length && *value != '/')
			fprintf(to, "%s/", strcmp(folder, "/") ? folder : "");
		fwrite(value, 1, length, to);
		value += length;
		if (!*value)
			return;
		fputc(*value++, to);
	}
}

static int has_relative(const char *value, int files)
{
	for (int part = 0; part < files; part++) {
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
	const struct kind *kind;
	const char *value = value_of(request, &kind);
	size_t length;
	char *folder, *result = NULL;
	FILE *to;

	*why = "there is no memory";
	if (!value || !has_relative(value, kind->files))
		return strdup(request);
	folder = getcwd(NULL, 0);
	if (!folder || (kind->files > 1 && strpbrk(folder, ",:"))) {
		*why = folder ? "the working directory's path has a comma or a colon in it, which "
				"end a file's name; change to another one" :
				"the working directory has no path; give absolute file names";
		free(folder);
		return NULL;
	}
	to = open_memstream(&result, &length);
	if (to) {
		fwrite(request, 1, value - request, to);
		write_value(to, value, kind->files, folder);
		fclose(to);
	}
	free(folder);
	return result;
}
