// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: answers as JSON, an object on one line.
 *
 * version: sysname, nodename, release, version, machine. config: device, value (null after one was
 * set). proc: file, text, and values where each line has the form "name: value". An answer with an
 * error: error, the number that the kernel sends, and text.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "tool.h"
#include "uml_mconsole.h"

/* `, "name": "..."` of a part of a text. */
static void print_member(const char *name, const char *text, size_t length)
{
	char *copy = strndup(text, length);

	printf(", \"%s\": ", name);
	print_json_string(copy ? copy : "");
	free(copy);
}

/* Name, host and release have no blanks, nor has the machine at the end. */
static void print_version(const char *text)
{
	static const char *const names[] = { "sysname", "nodename", "release" };
	const char *machine = strrchr(text, ' ');

	for (int i = 0; i < 3 && machine; i++) {
		size_t length = strcspn(text, " ");

		print_member(names[i], text, length);
		text += length + (text[length] == ' ');
	}
	if (machine && machine > text) {
		print_member("version", text, machine - text);
		print_member("machine", machine + 1, strlen(machine + 1));
	} else {
		print_member("version", text, strlen(text));
	}
}

static void print_config(const char *device, const char *text)
{
	size_t length = strcspn(device, "=");

	print_member("device", device, length);
	if (device[length])
		printf(", \"value\": null");
	else
		print_member("value", text, strlen(text));
}

/* A number as it is; "12 kB" as 12288; anything else as a string. */
static void print_value(const char *text, size_t length)
{
	char *end, *copy = strndup(text, length);
	unsigned long long number = copy ? strtoull(copy, &end, 10) : 0;
	int is_number = copy && isdigit((unsigned char)*copy);

	if (is_number && !strcmp(end, " kB") && number < 1ULL << 54)
		printf("%llu", number * 1024);
	else if (is_number && !*end && number < 1ULL << 63)
		printf("%llu", number);
	else
		print_json_string(copy ? copy : "");
	free(copy);
}

/* Calls @each, if it is not NULL, for the lines; whether all of them are "name: value". */
static int for_values(const char *text, void (*each)(const char *, size_t, const char *, size_t))
{
	while (*text) {
		const char *end = strchrnul(text, '\n'), *colon = memchr(text, ':', end - text);
		const char *name_end = colon, *value = colon ? colon + 1 : end;

		if (!colon || colon == text || isspace((unsigned char)*text))
			return 0;
		while (isspace((unsigned char)name_end[-1]))
			name_end--;
		while (value < end && isspace((unsigned char)*value))
			value++;
		if (each)
			each(text, name_end - text, value, end - value);
		text = *end ? end + 1 : end;
	}
	return 1;
}

static const char *separator;

static void print_named(const char *name, size_t name_length, const char *value, size_t length)
{
	char *copy = strndup(name, name_length);

	printf("%s", separator);
	separator = ", ";
	print_json_string(copy ? copy : "");
	free(copy);
	printf(": ");
	print_value(value, length);
}

static void print_file(const char *file, const char *text, size_t length)
{
	print_member("file", file, strlen(file));
	printf(", \"text\": ");
	print_json_text(text, length);
	if (strlen(text) != length || !for_values(text, NULL))
		return;
	printf(", \"values\": {");
	separator = "";
	for_values(text, print_named);
	putchar('}');
}

int send_for_json(struct session *session, const char *request)
{
	const char *rest, *device;
	unsigned int error;
	size_t length;
	char *answer;
	int code;

	if (!begins_with(request, "version", NULL) && !begins_with(request, "proc", NULL) &&
	    !begins_with(request, "config", NULL)) {
		fprintf(stderr, "%s: --json goes with --list, version, config and proc\n",
			tool_name);
		return WRONG_USAGE;
	}
	code = open_console(session);
	if (!code)
		code = mconsole_ask(session->console, request, session->limit, &answer, &length,
				    &error);
	if (code)
		return explain(session, code);
	printf("{\"instance\": ");
	print_json_string(session->name);
	if (error) {
		printf(", \"error\": %u, \"text\": ", error);
		print_json_text(answer, length);
	} else if (begins_with(request, "version", NULL)) {
		print_version(answer);
	} else if (begins_with(request, "config", &device)) {
		print_config(device, answer);
	} else if (begins_with(request, "proc", &rest)) {
		print_file(rest, answer, length);
	}
	puts("}");
	free(answer);
	return error ? REFUSED : DONE;
}
