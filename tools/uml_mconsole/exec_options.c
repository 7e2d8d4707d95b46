// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: exec with options, "exec [-it] [-u user] [-w folder] [-e NAME=value] [-l seconds]
 * command...". A user's name is looked up in the guest, by a command there.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"
#include "exec_client.h"

#define PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define MOST_VARIABLES	256
#define USUAL_VARIABLES	3

static int wrong(const char *word, const char *why)
{
	fprintf(stderr, "%s: exec: %s: %s; see %s --help\n", tool_name, word, why, tool_name);
	return WRONG_USAGE;
}

/* ---- variables ---- */

/* Where the variable of that name is, or the end of the list. @name may have a value behind it. */
static char **find_variable(const struct exec_wish *wish, const char *name)
{
	size_t length = strcspn(name, "=");
	char **at = wish->variables;

	while (*at && (strncmp(*at, name, length) || (*at)[length] != '='))
		at++;
	return at;
}

static char *assignment(const char *name, const char *value)
{
	char *text;

	if (asprintf(&text, "%s=%s", name, value) < 0)
		die("there is no memory");
	return text;
}

/* -e NAME=value, or -e NAME: the value that it has here. */
static int give_variable(struct exec_wish *wish, char *text)
{
	const char *value = getenv(text);
	char **at;

	if (!*text || *text == '=')
		return wrong("-e", "it needs NAME=value, or NAME");
	if (!strchr(text, '=')) {
		if (!value)
			return DONE;
		text = assignment(text, value);
	}
	at = find_variable(wish, text);
	if (at - wish->variables == MOST_VARIABLES - USUAL_VARIABLES)
		return wrong("-e", "there are too many variables");
	*at = text;
	return DONE;
}

/* Unless -e gave it. */
static void set_variable(struct exec_wish *wish, const char *name, const char *value)
{
	char **at = find_variable(wish, name);

	if (!*at)
		*at = assignment(name, value);
}

/* ---- users ---- */

static int parse_number(const char *text, unsigned int *number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	*number = value;
	return isdigit((unsigned char)*text) && !*end && !errno && value < 0xffffffff;
}

/* The ids, groups and home that the guest knows for the name: a line each. */
static int take_user(struct exec_wish *wish, char *text)
{
	char *line = strsep(&text, "\n"), *group = text ? strsep(&text, "\n") : NULL;
	char *groups = text ? strsep(&text, "\n") : NULL, *word;
	unsigned int number;

	if (!groups || !parse_number(line, &wish->uid) || !parse_number(group, &wish->gid))
		return 0;
	wish->groups = allocate((strlen(groups) + 1) * sizeof(*wish->groups));
	while ((word = strsep(&groups, " ")))
		if (parse_number(word, &number))
			wish->groups[wish->group_count++] = number;
	wish->home = text ? strdup(strsep(&text, "\n")) : NULL;
	return 1;
}

static int look_up(struct session *session, struct exec_wish *wish)
{
	static char script[] = "id -u \"$1\" && id -g \"$1\" && id -G \"$1\" && eval \"echo ~$1\"";
	char *words[] = { "sh", "-c", script, "sh", (char *)wish->user, NULL };
	char *variables[] = { "PATH=" PATH, NULL };
	struct exec_wish search = { .directory = "/", .words = words, .variables = variables };
	struct exec_output output = { .fd = -1 }, errors = { .fd = -1 };
	int status;

	if (strspn(wish->user, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
	    != strlen(wish->user) || wish->user[0] == '-' || !*wish->user)
		return wrong(wish->user, "not a user's name");
	status = exec_run(session, &search, &output, &errors);
	if (status == DONE && !take_user(wish, output.text))
		status = REFUSED;
	if (status && errors.text)
		fprintf(stderr, "%s: exec: the guest has no user %s\n", tool_name, wish->user);
	free(output.text);
	free(errors.text);
	return status ? REFUSED : DONE;
}

/* A name, or an id; ":group" with the id of another group behind it. */
static int set_user(struct session *session, struct exec_wish *wish, char *text)
{
	char *group = strchr(text, ':');
	int status = DONE;

	if (group)
		*group++ = '\0';
	wish->user = text;
	if (parse_number(text, &wish->uid))
		wish->gid = wish->uid;
	else
		status = look_up(session, wish);
	if (!status && group && !parse_number(group, &wish->gid))
		status = wrong(group, "a group is given by its number");
	return status;
}

/* ---- the line ---- */

static int parse(struct exec_wish *wish, int argc, char **argv, char **user)
{
	int option, status = DONE;

	optind = 0;
	while (!status && (option = getopt(argc, argv, "+:itu:w:e:l:")) != -1)
		switch (option) {
		case 'i':
			wish->has_input = 1;
			break;
		case 't':
			wish->has_terminal = 1;
			break;
		case 'u':
			*user = optarg;
			break;
		case 'w':
			wish->directory = optarg;
			break;
		case 'e':
			status = give_variable(wish, optarg);
			break;
		case 'l':
			if (!parse_number(optarg, &wish->limit) || !wish->limit)
				status = wrong(optarg, "not a number of seconds");
			break;
		default:
			status = wrong(argv[optind - 1], option == ':' ? "a value is wanted" :
				       "there is no such option");
		}
	if (!status && !argv[optind])
		status = wrong("exec", "a command is wanted");
	wish->words = argv + optind;
	return status;
}

static void set_usual_variables(struct exec_wish *wish)
{
	const char *terminal = getenv("TERM");

	set_variable(wish, "PATH", PATH);
	set_variable(wish, "HOME", wish->home ? wish->home : wish->uid ? "/" : "/root");
	if (wish->has_terminal)
		set_variable(wish, "TERM", terminal ? terminal : "linux");
}

int exec_line(struct session *session, const char *line)
{
	char *text = strdup(line), *rest = text, *word;
	char **words = text ? allocate((strlen(text) + 3) * sizeof(*words)) : NULL;
	int count = 0, status;

	if (!words)
		return REFUSED;
	words[count++] = "exec";
	while ((word = strsep(&rest, " \t\n")))
		if (*word)
			words[count++] = word;
	words[count] = NULL;
	status = exec_with_options(session, words);
	free(words);
	free(text);
	return status;
}

int exec_with_options(struct session *session, char **argv)
{
	char *variables[MOST_VARIABLES + 1] = { NULL }, *user = NULL;
	struct exec_wish wish = { .directory = "/", .variables = variables };
	struct exec_output output = { .fd = STDOUT_FILENO }, errors = { .fd = STDERR_FILENO };
	int argc = 0, status;

	while (argv[argc])
		argc++;
	status = parse(&wish, argc, argv, &user);
	if (!status && user)
		status = set_user(session, &wish, user);
	if (status)
		return status;
	set_usual_variables(&wish);
	fflush(stdout);
	status = exec_run(session, &wish, &output, &errors);
	free(wish.groups);
	free(wish.home);
	return status < 256 ? status : 255;
}
