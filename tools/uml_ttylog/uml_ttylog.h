/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef UML_TTYLOG_H
#define UML_TTYLOG_H

#include <stdint.h>

#include "log_reader.h"

/* The command line. */
struct wanted {
	const char *path;
	const char *session;		/* NULL: the only one, or when following the first one */
	int follow, at_once, typed, raw;
	double idle;			/* longest pause in seconds; 0: as it was */
	int columns, rows;		/* for asciicast */
};

extern struct wanted wanted;

/* Opens the log of the command line, or another one, or ends the program. */
struct log_reader *open_log(const char *path);
/* The next record, 0 at the end; ends the program where the log is wrong. */
int next_record(struct log_reader *reader, struct log_record *record);
/* The same for data of it. */
int next_data(struct log_reader *reader, char *bytes);
/* The session that is meant, or 0: that of the first record. Ends the program if it is unclear. */
unsigned int find_session(void);
/* The name of a session's terminal, as the guest has it. */
#define TERMINAL_NAME 32
void name_terminal(uint64_t tty, char name[TERMINAL_NAME]);

/* The count of a record of bytes that are missing. */
unsigned long long read_missing(struct log_reader *reader);
/* One line on standard error. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* log_play.c, log_cast.c, log_list.c: do it and return the exit status. */
int play(void);
int write_asciicast(void);
int list_sessions(void);
int list_programs(void);

#endif
