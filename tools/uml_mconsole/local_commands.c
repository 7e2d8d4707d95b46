// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: commands that this program carries out, alone or by several requests. A command
 * that needs more than one request, as a backup does, has its place in this table.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "printable.h"
#include "tool.h"
#include "exec_client.h"
#include "uml_mconsole.h"

#define LOG "log "

int begins_with(const char *line, const char *word, const char **rest)
{
	size_t length = strlen(word);

	line += strspn(line, " \t");
	if (strncmp(line, word, length) || !strchr(" \t\n", line[length]))
		return 0;
	line += length;
	if (rest)
		*rest = line + strspn(line, " \t");
	return 1;
}

static int complain(const char *what, const char *why)
{
	char *line;

	if (asprintf(&line, "%s: %s", what, why) < 0)
		return REFUSED;
	make_printable(line);
	fprintf(stderr, "%s: %s\n", tool_name, line);
	free(line);
	return REFUSED;
}

/* ---- log -f ---- */

/*
 * Sends whole lines, as many as go into a request. A line that is longer comes in pieces. A NUL
 * would end the request, and is sent as `?`.
 */
static int log_text(struct session *session, char *text, size_t length)
{
	char request[MCONSOLE_LONGEST + 1] = LOG;
	const size_t room = MCONSOLE_LONGEST - strlen(LOG);
	int status = DONE;

	while (length && status == DONE) {
		size_t part = length < room ? length : room;
		char *end = length > room ? memrchr(text, '\n', part) : NULL;

		if (end)
			part = end + 1 - text;
		memcpy(request + strlen(LOG), text, part);
		for (char *at = request; at < request + strlen(LOG) + part; at++)
			if (!*at)
				*at = '?';
		request[strlen(LOG) + part] = '\0';
		status = send_quietly(session, request);
		text += part;
		length -= part;
	}
	return status;
}

static char *read_all(FILE *file, size_t *length)
{
	char *text = NULL, buffer[4096];
	FILE *to = open_memstream(&text, length);
	size_t got;

	while (to && (got = fread(buffer, 1, sizeof(buffer), file)) > 0)
		fwrite(buffer, 1, got, to);
	if (to)
		fclose(to);
	return text;
}

static int log_file(struct session *session, const char *path)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	int status = REFUSED;
	size_t length;
	char *text;

	if (!file)
		return complain(path, strerror(errno));
	errno = 0;
	text = read_all(file, &length);
	if (ferror(file) || !text)
		complain(path, strerror(errno ? errno : EIO));
	else
		status = log_text(session, text, length);
	free(text);
	if (file != stdin)
		fclose(file);
	if (status == DONE)
		puts("OK ");
	return status;
}

/* ---- int ---- */

/* The process cannot be another one that got its number: it is looked at after it was opened. */
static int interrupt_process(const struct session *session, const char *folder)
{
	struct mconsole_instance instance, again;
	int code = mconsole_look(folder, &instance), fd, status;

	if (code)
		return explain(session, code);
	fd = instance.pid > 0 ? pidfd_open(instance.pid, 0) : -1;
	code = mconsole_look(folder, &again);
	if (code)
		status = explain(session, code);
	else if (!instance.pid)
		status = complain(folder, "its file pid has no number, so that no signal is sent");
	else if (fd < 0 || again.state != MCONSOLE_LIVES || again.pid != instance.pid)
		status = explain(session, MCONSOLE_DEAD);
	else if (pidfd_send_signal(fd, SIGINT, NULL, 0))
		status = complain(session->name, strerror(errno));
	else
		status = DONE;
	if (fd >= 0)
		close(fd);
	mconsole_look_free(&instance);
	mconsole_look_free(&again);
	return status;
}

static int interrupt(struct session *session, const char *unused)
{
	char *path, *slash;
	int code, status;

	(void)unused;
	code = mconsole_find(session->name, session->uml_dir, &path);
	if (code) {
		free(path);
		return explain(session, code);
	}
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	status = interrupt_process(session, slash ? path : ".");
	free(path);
	return status;
}

/* ---- the others ---- */

static int quit(struct session *session, const char *unused)
{
	(void)unused;
	mconsole_close(session->console);
	fflush(stdout);
	exit(DONE);
}

static int help(struct session *session, const char *unused)
{
	(void)unused;
	if (session->name) {
		int status = send_request(session, "help");

		if (status != DONE)
			return status;
	}
	puts("Additional local mconsole commands:\n"
	     "    quit - Quit mconsole\n"
	     "    switch <socket-name> - Switch control to the given machine\n"
	     "    log -f <filename> - use contents of <filename> as UML log messages\n"
	     "    mconsole-version - version of this mconsole program\n"
	     "    int  - Interrupt UML session");
	return DONE;
}

static int switch_to(struct session *session, const char *name)
{
	struct session other = *session;
	int code;

	other.name = strdup(name);
	other.console = NULL;
	if (!other.name)
		return REFUSED;
	code = *name ? open_console(&other) : MCONSOLE_NOBODY;
	if (code) {
		int status = explain(&other, code);

		free((char *)other.name);
		return status;
	}
	mconsole_close(session->console);
	*session = other;
	return DONE;
}

static int say_version(struct session *unused, const char *none)
{
	(void)unused, (void)none;
	puts("uml_mconsole client version 2");
	return DONE;
}

static int exec(struct session *session, const char *rest)
{
	char *request;
	int status;

	if (*rest == '-')
		return exec_line(session, rest);
	if (asprintf(&request, "exec %s", rest) < 0)
		return REFUSED;
	status = send_exec(session, request);
	free(request);
	return status;
}

/* NULL: not this one. */
static const char *file_to_log(const char *arguments)
{
	const char *path;

	return begins_with(arguments, "-f", &path) && *path ? path : NULL;
}

static int log_it(struct session *session, const char *arguments)
{
	return log_file(session, file_to_log(arguments));
}

static const struct local_command {
	const char *name;
	int needs_instance;
	int (*run)(struct session *session, const char *arguments);
	const char *(*is_for)(const char *arguments);	/* NULL: for all arguments */
} commands[] = {
	{ "quit", 0, quit, NULL },
	{ "help", 0, help, NULL },
	{ "switch", 0, switch_to, NULL },
	{ "log", 1, log_it, file_to_log },
	{ "mconsole-version", 0, say_version, NULL },
	{ "int", 1, interrupt, NULL },
	{ "exec", 1, exec, NULL },
	{ "backup", 1, back_up, NULL },
	{ NULL, 0, NULL, NULL }
};

const char *local_command(int index)
{
	return commands[index].name;
}

int run_local(struct session *session, const char *line, int *status)
{
	for (const struct local_command *command = commands; command->name; command++) {
		const char *rest;

		if (!begins_with(line, command->name, &rest) ||
		    (command->is_for && !command->is_for(rest)) ||
		    (command->needs_instance && !session->name))
			continue;
		if (session->json) {
			fprintf(stderr, "%s: %s has no answer as JSON; leave out --json\n",
				tool_name, command->name);
			*status = WRONG_USAGE;
		} else {
			*status = command->run(session, rest);
		}
		return 1;
	}
	return 0;
}
