// SPDX-License-Identifier: GPL-2.0-only
/* Plays a session back on standard output, in its time or at once. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log_filter.h"
#include "tool.h"
#include "uml_ttylog.h"

static struct log_filter filter;

static void write_all(const char *bytes, size_t length)
{
	while (length) {
		ssize_t done = write(1, bytes, length);

		if (done < 0 && errno != EINTR)
			die("standard output: %s", strerror(errno));
		if (done > 0) {
			bytes += done;
			length -= done;
		}
	}
}

/* ---- the terminal afterwards ---- */

static void reset_terminal(void)
{
	char bytes[FILTER_RESET];

	if (!wanted.raw && isatty(1))
		write_all(bytes, log_filter_reset(&filter, bytes));
}

static void on_signal(int signal_number)
{
	char bytes[FILTER_RESET];
	size_t length = wanted.raw || !isatty(1) ? 0 : log_filter_reset(&filter, bytes);

	if (length && write(1, bytes, length) < 0)
		_exit(1);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_NODEFER };

	for (unsigned int i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
}

/* ---- records ---- */

/* The pause between two records. */
static void wait_for(uint64_t before, uint64_t now)
{
	uint64_t pause = now > before ? now - before : 0;
	struct timespec left;

	if (wanted.idle && pause > wanted.idle * 1e6)
		pause = wanted.idle * 1e6;
	left.tv_sec = pause / 1000000;
	left.tv_nsec = pause % 1000000 * 1000;
	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/* Typed bytes in reverse video, ^M for a return, so that they differ from their echo. */
static void show_typed(const char *bytes, int length)
{
	char shown[4 * LOG_PIECE + 16], *at = stpcpy(shown, "\033[7m");

	for (int i = 0; i < length; i++) {
		unsigned char byte = bytes[i];

		if (byte < ' ' || byte == 0x7f)
			at += sprintf(at, "^%c", byte ^ 0x40);
		else if (byte < 0x7f)
			*at++ = byte;
		else
			at += sprintf(at, "<%02x", byte);
	}
	at = stpcpy(at, "\033[27m");
	write_all(shown, at - shown);
}

static void show(const char *bytes, int length)
{
	char filtered[FILTER_ROOM(LOG_PIECE)];

	if (wanted.raw)
		write_all(bytes, length);
	else
		write_all(filtered, log_filter(&filter, bytes, length, filtered));
}

static void play_data(struct log_reader *reader, const struct log_record *record)
{
	char bytes[LOG_PIECE];
	int length;

	while ((length = next_data(reader, bytes))) {
		if (record->direction == LOG_TYPED)
			show_typed(bytes, length);
		else
			show(bytes, length);
	}
}

static void say_lost(struct log_reader *reader)
{
	warn("%llu bytes are missing here", read_missing(reader));
}

int play(void)
{
	unsigned int session = find_session();
	struct log_reader *reader = open_log(wanted.path);
	struct log_record record;
	uint64_t before = 0;

	if (wanted.follow)
		log_reader_follow(reader);
	catch_signals();
	while (next_record(reader, &record)) {
		if (!session)
			session = record.session;
		if (record.session != session)
			continue;
		if (!wanted.at_once && before)
			wait_for(before, record.microseconds);
		before = record.microseconds;
		if (record.what == LOG_DATA && (wanted.typed || record.direction == LOG_SHOWN))
			play_data(reader, &record);
		else if (record.what == LOG_LOST)
			say_lost(reader);
		else if (record.what == LOG_CLOSE)
			break;
	}
	log_reader_close(reader);
	reset_terminal();
	return 0;
}
