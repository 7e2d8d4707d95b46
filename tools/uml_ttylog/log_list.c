// SPDX-License-Identifier: GPL-2.0-only
/* Lists the sessions of a log or of a folder of logs, and the programs of a session. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "printable.h"
#include "tool.h"
#include "uml_ttylog.h"

struct session {
	uint64_t tty, start, end;
	unsigned long long shown, typed, programs, lost;
	int closed;
};

struct list {
	struct session *sessions;
	unsigned int count, room;
};

static struct session *session_at(struct list *list, const struct log_record *record)
{
	struct session *session;

	if (record->session > list->room) {
		list->room = record->session * 2;
		list->sessions = realloc(list->sessions, list->room * sizeof(*list->sessions));
		if (!list->sessions)
			die("there is no memory");
	}
	session = &list->sessions[record->session - 1];
	if (record->session > list->count) {
		memset(session, 0, sizeof(*session));
		session->tty = record->tty;
		session->start = session->end = record->microseconds;
		list->count = record->session;
	}
	return session;
}

static void count(struct list *list, struct log_reader *reader, const struct log_record *record)
{
	struct session *session = session_at(list, record);

	if (record->microseconds > session->end)
		session->end = record->microseconds;
	if (record->what == LOG_DATA && record->direction == LOG_SHOWN)
		session->shown += record->length;
	else if (record->what == LOG_DATA)
		session->typed += record->length;
	else if (record->what == LOG_EXEC)
		session->programs++;
	else if (record->what == LOG_LOST)
		session->lost += read_missing(reader);
	else if (record->what == LOG_CLOSE)
		session->closed = 1;
}

static void print_session(const char *log, unsigned int number, const struct session *session)
{
	time_t seconds = session->start / 1000000;
	char name[TERMINAL_NAME], start[32] = "?";
	struct tm local;

	name_terminal(session->tty, name);
	if (localtime_r(&seconds, &local))
		strftime(start, sizeof(start), "%F %T", &local);
	tell("%-20s %7u %-10s %-19s %9.1f%c %10llu %9llu %8llu %9llu", log, number, name, start,
	     (session->end - session->start) / 1e6, session->closed ? ' ' : '+', session->shown,
	     session->typed, session->programs, session->lost);
}

/* A log that is wrong is listed as far as it is right; 0, or 1 then. */
static int list_log(const char *path, const char *shown_name)
{
	struct log_reader *reader = open_log(path);
	struct log_record record;
	struct list list = { 0 };
	int more;

	while ((more = log_reader_next(reader, &record)) > 0)
		count(&list, reader, &record);
	for (unsigned int i = 0; i < list.count; i++)
		print_session(shown_name, i + 1, &list.sessions[i]);
	fflush(stdout);
	if (more)
		warn("%s: %s", path, log_reader_error(reader));
	log_reader_close(reader);
	free(list.sessions);
	return !!more;
}

/* Names that tty_log_dir= makes. */
static int is_log(const struct dirent *entry)
{
	const char *name = entry->d_name;
	size_t first = strspn(name, "0123456789");

	return first && name[first] == '-' && name[first + 1] &&
	       !name[first + 1 + strspn(name + first + 1, "0123456789")];
}

int list_sessions(void)
{
	struct dirent **entries;
	struct stat status;
	int count, folder, wrong = 0;

	folder = !stat(wanted.path, &status) && S_ISDIR(status.st_mode);
	tell("%-20s %7s %-10s %-19s %10s %10s %9s %8s %9s", "LOG", "SESSION", "TERMINAL", "START",
	     "SECONDS ", "SHOWN", "TYPED", "PROGRAMS", "LOST");
	if (!folder) {
		const char *slash = strrchr(wanted.path, '/');

		return list_log(wanted.path, slash ? slash + 1 : wanted.path);
	}
	count = scandir(wanted.path, &entries, is_log, alphasort);
	if (count < 0)
		die("%s: %s", wanted.path, strerror(errno));
	for (int i = 0; i < count; i++) {
		char *path;

		if (asprintf(&path, "%s/%s", wanted.path, entries[i]->d_name) < 0)
			die("there is no memory");
		wrong |= list_log(path, entries[i]->d_name);
		free(path);
		free(entries[i]);
	}
	free(entries);
	return wrong;
}

/* ---- programs ---- */

/* Arguments as a shell would need them; long ones continue in the next record. */
static void print_arguments(struct log_reader *reader, int *inside)
{
	char bytes[LOG_PIECE], word[2 * LOG_PIECE + 1];
	int length, used;

	while ((length = next_data(reader, bytes))) {
		used = 0;
		for (int i = 0; i < length; i++) {
			if (!bytes[i]) {
				word[used++] = ' ';
				continue;
			}
			if (strchr(" \t\n\\\"'$`|&;<>()*?[]{}~#!", bytes[i]))
				word[used++] = '\\';
			word[used++] = bytes[i] == '\n' ? 'n' : bytes[i];
		}
		word[used] = '\0';
		make_printable(word);
		fputs(word, stdout);
		*inside = bytes[length - 1] != '\0';
	}
	if (!*inside)
		putchar('\n');
}

int list_programs(void)
{
	unsigned int session = find_session();
	struct log_reader *reader = open_log(wanted.path);
	struct log_record record;
	int inside = 0;

	while (next_record(reader, &record)) {
		time_t seconds = record.microseconds / 1000000;
		char time[32] = "?";
		struct tm local;

		if (!session)
			session = record.session;
		if (record.session != session || record.what != LOG_EXEC)
			continue;
		if (!inside && localtime_r(&seconds, &local)) {
			strftime(time, sizeof(time), "%F %T", &local);
			printf("%s  ", time);
		}
		print_arguments(reader, &inside);
	}
	if (inside)
		putchar('\n');
	log_reader_close(reader);
	return 0;
}
