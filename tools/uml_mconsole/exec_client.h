/* SPDX-License-Identifier: GPL-2.0-only */
/* uml_mconsole: commands that are run over the socket exec of an instance. */
#ifndef EXEC_CLIENT_H
#define EXEC_CLIENT_H

#include <stddef.h>

#include "uml_mconsole.h"

struct exec_wish {
	int has_input;			/* -i */
	int has_terminal;		/* -t */
	unsigned int limit;		/* seconds; 0: none */
	const char *user;		/* as given; NULL: root */
	unsigned int uid, gid;
	unsigned int *groups;
	unsigned int group_count;
	char *home;
	const char *directory;
	char **variables;		/* ends with NULL */
	char **words;			/* the command; ends with NULL */
};

/* Where output goes. */
struct exec_output {
	int fd;				/* -1: to text, which has a limit */
	char *text;
	size_t length;
};

/* exec_client.c: runs it; the exit status of the command, or of this program. */
int exec_run(struct session *session, const struct exec_wish *wish, struct exec_output *output,
	     struct exec_output *errors);

/* exec_options.c: @words are exec, its options, and a command, with NULL at the end. */
int exec_with_options(struct session *session, char **words);
/* The same for what follows exec in a line: words between blanks. */
int exec_line(struct session *session, const char *line);

#endif
