// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminal logs: the thread that makes records of what the ring holds and writes them.
 *
 * Pieces of data that follow each other closely are one record: the kernel side passes a line of
 * text and its end in two. When the host refuses to write, one line says so, the guest runs on,
 * and what is missing is counted. Each write is tried, so that the log continues when it can.
 *
 * At the end of ./linux the thread has a second to write the rest.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <host/process.h>
#include <host/ttylog.h>

#include "os.h"
#include "log_files.h"
#include "log_ring.h"
#include "terminal_logs.h"

#define BATCH		(64UL << 10)	/* bytes of records for one write */
#define TOGETHER	10000		/* microseconds between the first and the last piece */
#define QUIET		60		/* seconds between two lines of one kind */

const char *host_ttylog_dir_option, *host_ttylog_fd_option, *host_ttylog_hostfs_option;

/* Records of one session that are written together. The thread's. */
static struct {
	struct host_ttylog *session;
	char bytes[BATCH + 2 * sizeof(struct host_ttylog_record) + HOST_TTYLOG_MOST];
	size_t used;
	unsigned long data;		/* bytes of data in it */
	size_t last;			/* where its last record begins, which may still grow */
} batch;

static unsigned long refused;		/* bytes that the host did not write; atomic */

/* ---- writing ---- */

/* One line when it begins, one when it ends, and no more than that in a minute. */
static void say_refused(int error)
{
	static unsigned long before;
	static time_t next;
	static int is_refused;
	struct timespec now;

	if (is_refused == !!error)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (error && now.tv_sec < next)
		return;
	is_refused = !!error;
	if (error) {
		next = now.tv_sec + QUIET;
		before = refused;
		host_warn("%s: %s: terminals are not recorded until it can be written to",
			  log_files_name(), host_error_text(error));
	} else {
		host_warn("%s: terminals are recorded again; %lu bytes are missing",
			  log_files_name(), refused - before);
	}
}

static void put_header(char *at, const struct log_entry *entry)
{
	struct host_ttylog_record record;

	memset(&record, 0, sizeof(record));	/* what lies between the fields, too */
	record.what = entry->what;
	record.tty = entry->session->id;
	record.length = entry->length;
	record.direction = entry->direction;
	record.seconds = entry->microseconds / 1000000;
	record.microseconds = entry->microseconds % 1000000;
	memcpy(at, &record, sizeof(record));
}

/* Says in the log how much was refused before, if the log takes that now. */
static void write_missing(struct host_ttylog *session)
{
	struct host_ttylog_record record;
	char bytes[sizeof(record) + sizeof(session->unwritten)];
	struct log_entry entry = {
		.session = session,
		.length = sizeof(session->unwritten),
		.what = HOST_TTYLOG_LOST,
	};

	memcpy(&record, batch.bytes, sizeof(record));
	entry.microseconds = record.seconds * 1000000 + record.microseconds;
	put_header(bytes, &entry);
	memcpy(bytes + sizeof(record), &session->unwritten, sizeof(session->unwritten));
	if (!log_files_write(session, bytes, sizeof(bytes)))
		session->unwritten = 0;
}

static void write_batch(void)
{
	struct host_ttylog *session = batch.session;
	int error;

	if (!batch.used)
		return;
	if (session->unwritten)
		write_missing(session);
	error = log_files_write(session, batch.bytes, batch.used);
	if (error) {
		session->unwritten += batch.data;
		__atomic_fetch_add(&refused, batch.data, __ATOMIC_RELAXED);
	}
	/* Counts first, so that the line of the end is right. */
	say_refused(error);
	batch.used = batch.data = 0;
}

/* ---- making records ---- */

/* Whether the data belongs to the last record of the batch. */
static int continues(const struct log_entry *entry, const struct host_ttylog_record *last)
{
	unsigned long began = last->seconds * 1000000 + last->microseconds;

	return entry->what == HOST_TTYLOG_DATA && last->what == HOST_TTYLOG_DATA &&
	       last->direction == entry->direction && entry->microseconds >= began &&
	       entry->microseconds - began < TOGETHER;
}

static void add(const struct log_entry *entry, const char *bytes)
{
	struct host_ttylog_record last;

	if (batch.session != entry->session || batch.used + entry->length > BATCH)
		write_batch();
	batch.session = entry->session;
	if (batch.used)
		memcpy(&last, batch.bytes + batch.last, sizeof(last));
	if (batch.used && continues(entry, &last)) {
		last.length += entry->length;
		memcpy(batch.bytes + batch.last, &last, sizeof(last));
	} else {
		batch.last = batch.used;
		put_header(batch.bytes + batch.used, entry);
		batch.used += sizeof(last);
	}
	memcpy(batch.bytes + batch.used, bytes, entry->length);
	batch.used += entry->length;
	batch.data += entry->length;
}

static void *write_loop(void *unused)
{
	static char bytes[HOST_TTYLOG_MOST];
	struct log_entry entry;

	for (;;) {
		while (log_ring_take(&entry, bytes)) {
			add(&entry, bytes);
			if (entry.what != HOST_TTYLOG_CLOSE)
				continue;
			write_batch();
			free(entry.session);
			batch.session = NULL;
		}
		write_batch();
		log_ring_written();
		log_ring_wait();
	}
	return unused;
}

/* ---- start and end ---- */

int host_ttylog_wanted(void)
{
	return host_ttylog_dir_option || host_ttylog_fd_option;
}

int host_ttylog_is_hidden(const char *word)
{
	return !strncmp(word, "tty_log_dir=", 12) || !strncmp(word, "tty_log_fd=", 11);
}

static void finish(void)
{
	unsigned long late, bytes;

	log_ring_drain();
	late = log_ring_lost();
	bytes = __atomic_load_n(&refused, __ATOMIC_RELAXED);
	if (late || bytes)
		host_warn("%s: %lu bytes are missing: %lu came faster than the host wrote, %lu it "
			  "refused to write", log_files_name(), late + bytes, late, bytes);
	log_files_leave();
}

/* Root in the guest may remove a log that hostfs shows it. */
static void warn_of_hostfs(const char *path)
{
	char root[PATH_MAX], log[PATH_MAX], *option, *comma;
	size_t length;

	if (!strstr(host_config_text, "CONFIG_HOSTFS=y") || !realpath(path, log))
		return;
	option = strdup(host_ttylog_hostfs_option ? host_ttylog_hostfs_option : "/");
	comma = option ? strchr(option, ',') : NULL;
	if (comma)
		*comma = '\0';
	if (option && realpath(option, root)) {
		length = strlen(root);
		if (!strncmp(log, root, length) &&
		    (length == 1 || !log[length] || log[length] == '/'))
			host_warn("tty_log_dir=%s: root in the guest can reach it by hostfs: give "
				  "hostfs=<another folder>", path);
	}
	free(option);
}

void host_ttylog_init(void)
{
	int error;

	if (!host_ttylog_wanted())
		return;
	if (host_ttylog_dir_option && host_ttylog_fd_option)
		host_fatal("tty_log_dir=%s and tty_log_fd=%s: there is one log; leave one of them "
			   "out", host_ttylog_dir_option, host_ttylog_fd_option);
	if (host_ttylog_dir_option) {
		log_files_use_folder(host_ttylog_dir_option);
		warn_of_hostfs(host_ttylog_dir_option);
	} else {
		log_files_use_descriptor(host_ttylog_fd_option);
	}
	log_ring_init();
	error = host_thread(write_loop, NULL);
	if (error)
		host_fatal("%s: the host gives no thread: %s; %s", log_files_name(),
			   host_error_text(error), host_thread_advice(error));
	host_at_exit(finish);
}
