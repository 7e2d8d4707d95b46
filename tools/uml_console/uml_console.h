/* SPDX-License-Identifier: GPL-2.0-only */
/* uml_console: what its files have in common. */
#ifndef UML_CONSOLE_H
#define UML_CONSOLE_H

#include <host/attach.h>

#define LIMIT 10000		/* ms for an answer */

enum status {
	DONE = 0,
	REFUSED = 1,		/* the instance refused it, or something here failed */
	WRONG_USAGE = 2,
	NOBODY_THERE = 3,
	NO_ANSWER = 4,
};

struct wish {
	const char *name;		/* of the instance */
	const char *uml_dir;		/* NULL: the usual folders */
	char line[HOST_ATTACH_NAME];	/* "con0"; empty: the list */
	int only_reads;
	int escape;			/* the byte that leaves; -1: none does */
};

/* uml_console.c: connects; a descriptor, or minus the exit status after a line that says why. */
int connect_to_instance(const struct wish *wish);
/* Says so in a line, which has the instance's name in it. */
void complain(const struct wish *wish, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* console_list.c, console_session.c: return the exit status. */
int list_lines(const struct wish *wish);
int attach_to_line(const struct wish *wish);

#endif
