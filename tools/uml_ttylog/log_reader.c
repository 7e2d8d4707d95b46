// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the records of a terminal log.
 *
 * Two forms of the header are known: that of 64-bit hosts, and that of the 32-bit ones of the 2.4
 * port. The first record tells which it is, since a header of the one form is none of the other.
 * The contents come from a guest, and what they say is checked before it is used.
 *
 * A session begins with its record of an open. The 2.4 port gave the number of an old session to a
 * new one, so sessions are counted. Records of a number that was never opened, at the start of
 * a log that was cut, are a session too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log_reader.h"

#define HEADER_64	40
#define HEADER_32	24
#define MOST_DATA	(1U << 24)	/* bytes of one record, far more than are written */
#define BUFFER		65536

/* A number of the log, and which session has it now. */
struct number {
	uint64_t tty;
	unsigned int session;
};

struct log_reader {
	int fd;
	int inotify;			/* -1: the end of the file is that of the log */
	unsigned int header;		/* size, 0: not known yet */
	uint64_t offset;		/* of the next byte, for messages */
	uint32_t left;			/* bytes of data of the current record */
	size_t start, end;		/* of what is in buffer */
	void *numbers;			/* of tsearch(3) */
	unsigned int sessions;
	char error[128];
	char buffer[BUFFER];
};

/* ---- bytes ---- */

struct log_reader *log_reader_open(const char *path)
{
	struct log_reader *reader = calloc(1, sizeof(*reader));
	struct stat status;

	if (!reader)
		return NULL;
	reader->inotify = -1;
	reader->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(0);
	if (reader->fd >= 0 && !fstat(reader->fd, &status) && S_ISDIR(status.st_mode)) {
		close(reader->fd);
		reader->fd = -1;
		errno = EISDIR;
	}
	if (reader->fd < 0) {
		free(reader);
		return NULL;
	}
	return reader;
}

/* Pipes need no help: reading from them waits. */
void log_reader_follow(struct log_reader *reader)
{
	struct stat status;
	char path[32];

	if (fstat(reader->fd, &status) || !S_ISREG(status.st_mode))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", reader->fd);
	reader->inotify = inotify_init1(IN_CLOEXEC);
	if (reader->inotify >= 0 && inotify_add_watch(reader->inotify, path, IN_MODIFY) < 0) {
		close(reader->inotify);
		reader->inotify = -1;
	}
}

/* Waits until the file has changed. */
static void wait_for_more(struct log_reader *reader)
{
	char events[4096];

	while (read(reader->inotify, events, sizeof(events)) < 0 && errno == EINTR)
		;
}

/* More bytes into the buffer: 1, 0 at the end, -1. */
static int fill(struct log_reader *reader)
{
	ssize_t done;

	memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	for (;;) {
		done = read(reader->fd, reader->buffer + reader->end, BUFFER - reader->end);
		if (done > 0) {
			reader->end += done;
			return 1;
		}
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			snprintf(reader->error, sizeof(reader->error), "%s", strerror(errno));
			return -1;
		}
		if (reader->inotify < 0)
			return 0;
		wait_for_more(reader);
	}
}

static void advance(struct log_reader *reader, size_t bytes)
{
	reader->start += bytes;
	reader->offset += bytes;
}

static int fail(struct log_reader *reader, const char *what)
{
	snprintf(reader->error, sizeof(reader->error), "%s at byte %llu", what,
		 (unsigned long long)reader->offset);
	return -1;
}

/* ---- headers ---- */

static uint32_t get_32(const char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t get_64(const char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* Whether there is a record in this form; some fields have the same size in both. */
static int parse(const char *at, unsigned int header, struct log_record *record)
{
	int wide = header == HEADER_64;
	const char *after = at + (wide ? 16 : 8);
	uint64_t seconds = wide ? get_64(at + 24) : get_32(at + 16);
	uint64_t microseconds = wide ? get_64(at + 32) : get_32(at + 20);

	record->what = get_32(at);
	record->tty = wide ? get_64(at + 8) : get_32(at + 4);
	record->length = get_32(after);
	record->direction = get_32(after + 4);
	record->microseconds = seconds * 1000000 + microseconds;
	return record->what >= LOG_OPEN && record->what <= LOG_LOST &&
	       record->length <= MOST_DATA && microseconds < 1000000 &&
	       seconds < UINT64_MAX / 1000000 - 1 &&
	       (record->what != LOG_DATA || record->direction == LOG_TYPED ||
		record->direction == LOG_SHOWN);
}

/*
 * The form by the first record, which is an open where the log was not cut. That one has no
 * direction in our logs; others may have left any value there.
 */
static unsigned int find_form(const char *at, size_t available)
{
	struct log_record record;

	if (available >= HEADER_64 && parse(at, HEADER_64, &record))
		return HEADER_64;
	if (available >= HEADER_32 && parse(at, HEADER_32, &record))
		return HEADER_32;
	return 0;
}

/* ---- sessions ---- */

static int compare(const void *one, const void *other)
{
	uint64_t a = ((const struct number *)one)->tty, b = ((const struct number *)other)->tty;

	return (a > b) - (a < b);
}

static int count_session(struct log_reader *reader, struct log_record *record)
{
	struct number key = { .tty = record->tty }, *number;
	void *found = tfind(&key, &reader->numbers, compare);

	if (!found) {
		number = calloc(1, sizeof(*number));
		if (!number)
			return fail(reader, "no memory");
		number->tty = record->tty;
		if (!tsearch(number, &reader->numbers, compare)) {
			free(number);
			return fail(reader, "no memory");
		}
	} else {
		number = *(struct number **)found;
	}
	if (!found || record->what == LOG_OPEN)
		number->session = ++reader->sessions;
	record->session = number->session;
	return 1;
}

/* ---- the interface ---- */

/* Whether so many bytes are in the buffer: 1, 0 for the end, -1. */
static int need(struct log_reader *reader, size_t bytes)
{
	while (reader->end - reader->start < bytes) {
		int more = fill(reader);

		if (more <= 0)
			return more;
	}
	return 1;
}

static int skip_data(struct log_reader *reader)
{
	while (reader->left) {
		size_t here = reader->end - reader->start;
		int more;

		if (!here) {
			more = fill(reader);
			if (more < 0)
				return -1;
			if (!more)
				return fail(reader, "the log ends within a record");
			continue;
		}
		if (here > reader->left)
			here = reader->left;
		advance(reader, here);
		reader->left -= here;
	}
	return 0;
}

int log_reader_next(struct log_reader *reader, struct log_record *record)
{
	int more;

	if (skip_data(reader))
		return -1;
	more = need(reader, reader->header ? reader->header : HEADER_64);
	if (more < 0)
		return -1;
	if (!more && reader->start == reader->end)
		return 0;
	if (!reader->header)
		reader->header = find_form(reader->buffer + reader->start,
					   reader->end - reader->start);
	if (!reader->header)
		return fail(reader, "this is no terminal log: there is no record");
	if (reader->end - reader->start < reader->header)
		return fail(reader, "the log ends within a record");
	if (!parse(reader->buffer + reader->start, reader->header, record))
		return fail(reader, "there is no record");
	advance(reader, reader->header);
	reader->left = record->length;
	return count_session(reader, record);
}

int log_reader_data(struct log_reader *reader, char *bytes)
{
	size_t here;

	if (!reader->left)
		return 0;
	if (reader->start == reader->end) {
		int more = fill(reader);

		if (more < 0)
			return -1;
		if (!more)
			return fail(reader, "the log ends within a record");
	}
	here = reader->end - reader->start;
	if (here > reader->left)
		here = reader->left;
	if (here > LOG_PIECE)
		here = LOG_PIECE;
	memcpy(bytes, reader->buffer + reader->start, here);
	advance(reader, here);
	reader->left -= here;
	return here;
}

const char *log_reader_error(const struct log_reader *reader)
{
	return reader->error;
}

void log_reader_close(struct log_reader *reader)
{
	close(reader->fd);
	if (reader->inotify >= 0)
		close(reader->inotify);
	tdestroy(reader->numbers, free);
	free(reader);
}
