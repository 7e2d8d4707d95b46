/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads the records of a terminal log (docs/reference/terminal-log-format.md) from any file. */
#ifndef LOG_READER_H
#define LOG_READER_H

#include <stdint.h>

enum { LOG_OPEN = 1, LOG_CLOSE, LOG_DATA, LOG_EXEC, LOG_LOST };
enum { LOG_TYPED = 1, LOG_SHOWN = 2 };

#define LOG_PIECE 4096			/* bytes of data at a time */

struct log_record {
	int what, direction;
	uint64_t tty;			/* the session's number in the log */
	unsigned int session;		/* counted from 1 as sessions begin */
	uint64_t microseconds;		/* since 1970 */
	uint32_t length;		/* bytes of data */
};

struct log_reader;

/* Opens a log; "-" is standard input. NULL with errno set. */
struct log_reader *log_reader_open(const char *path);
/* The end of a file is then not the end of the log: waits for more. */
void log_reader_follow(struct log_reader *reader);
/*
 * The next record: 1, 0 at the end of the log, -1 with a reason for log_reader_error(). Data of the
 * record before that was not read is skipped.
 */
int log_reader_next(struct log_reader *reader, struct log_record *record);
/* Some data of the record, at most LOG_PIECE bytes; 0: that was all; -1 as above. */
int log_reader_data(struct log_reader *reader, char *bytes);
const char *log_reader_error(const struct log_reader *reader);
void log_reader_close(struct log_reader *reader);

#endif
