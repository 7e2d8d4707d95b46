/* SPDX-License-Identifier: GPL-2.0-only */
/* uml_mconsole: what its files have in common. */
#ifndef UML_MCONSOLE_H
#define UML_MCONSOLE_H

#include <mconsole.h>

enum status {
	DONE = 0,
	REFUSED = 1,		/* the kernel said ERR, or something here failed */
	WRONG_USAGE = 2,
	NOBODY_THERE = 3,
	NO_ANSWER = 4,
};

struct session {
	const char *name;		/* of the instance; NULL: none yet */
	const char *uml_dir;		/* NULL: the usual folders */
	struct mconsole *console;	/* NULL: not open */
	int limit;			/* milliseconds without an answer */
	int has_limit;			/* it was given by the user */
	int json;
};

/* Says on standard error what @code means for this instance; returns the exit status. */
int explain(const struct session *session, int code);
/* Opens the instance's console, if it is not open: 0, or a code of libmconsole. */
int open_console(struct session *session);
/* Returns the exit status. For exec it is the command's. */
int run_line(struct session *session, const char *line);

/* answer.c: each sends a request, and returns the exit status. */
int send_request(struct session *session, const char *request);
int send_exec(struct session *session, const char *request);
/* Only shows an answer that is an error. */
int send_quietly(struct session *session, const char *request);
/* answer_json.c: the same, with the answer as JSON. */
int send_for_json(struct session *session, const char *request);

/* local_commands.c: whether @line is a command of this program; its exit status, then. */
int run_local(struct session *session, const char *line, int *status);
/* The name of local command @index, or NULL. */
const char *local_command(int index);
/* Whether the first word of @line is @word; the rest goes to *@rest, which may be NULL. */
int begins_with(const char *line, const char *word, const char **rest);

/*
 * config_files.c: the request with the file names in "config ubdN=" and "config virtio_umlN="
 * absolute, to be freed. Any other request is copied. NULL, with *@why set: that cannot be.
 */
char *with_absolute_files(const char *request, const char **why);

/* backup.c: backup <disk> <file>. */
int back_up(struct session *session, const char *arguments);

/* listing.c: --list. */
int list_instances(const char *uml_dir, int json);

/* prompt.c: reads commands until the end. */
int run_prompt(struct session *session);

#endif
