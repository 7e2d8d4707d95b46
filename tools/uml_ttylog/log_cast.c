// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes a session as asciicast v2 (https://docs.asciinema.org/manual/asciicast/v2): a header and
 * then an event a line, [seconds, "o" or "i", text]. The text is UTF-8, so a character that is cut
 * at the end of a record goes with the next event of its direction.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "log_filter.h"
#include "printable.h"
#include "tool.h"
#include "uml_ttylog.h"

#define REST 3				/* bytes of a character that is not complete */

/* One direction. */
struct side {
	const char *code;
	char rest[REST];
	size_t kept;
};

static struct log_filter filter;

static void write_header(const struct log_record *record)
{
	char name[TERMINAL_NAME];

	name_terminal(record->tty, name);
	printf("{\"version\": 2, \"width\": %d, \"height\": %d, \"timestamp\": %llu, ",
	       wanted.columns, wanted.rows, (unsigned long long)record->microseconds / 1000000);
	if (wanted.idle)
		printf("\"idle_time_limit\": %g, ", wanted.idle);
	printf("\"title\": ");
	print_json_string(name);
	printf("}\n");
}

/* How many of the last bytes begin a character that may continue. */
static size_t cut_off(const char *text, size_t length)
{
	for (size_t back = 1; back <= REST && back <= length; back++) {
		unsigned char byte = text[length - back];

		if ((byte & 0xc0) == 0x80)
			continue;
		return (byte >= 0xf0 && back < 4) || (byte >= 0xe0 && byte < 0xf0 && back < 3) ||
		       (byte >= 0xc0 && byte < 0xe0 && back < 2) ? back : 0;
	}
	return 0;
}

static void write_event(struct side *side, double seconds, const char *bytes, size_t length,
			int last)
{
	char text[FILTER_ROOM(LOG_PIECE) + REST + 1];
	size_t rest;

	memcpy(text, side->rest, side->kept);
	memcpy(text + side->kept, bytes, length);
	length += side->kept;
	rest = last ? 0 : cut_off(text, length);
	side->kept = rest;
	length -= rest;
	memcpy(side->rest, text + length, rest);
	if (!length)
		return;
	text[length] = '\0';
	printf("[%.6f, \"%s\", ", seconds, side->code);
	print_json_text(text, length);
	printf("]\n");
}

static void write_data(struct log_reader *reader, struct side *side, double seconds, int filtered)
{
	char bytes[LOG_PIECE], passed[FILTER_ROOM(LOG_PIECE)];
	int length;

	while ((length = next_data(reader, bytes))) {
		if (filtered)
			write_event(side, seconds, passed,
				    log_filter(&filter, bytes, length, passed), 0);
		else
			write_event(side, seconds, bytes, length, 0);
	}
}

int write_asciicast(void)
{
	unsigned int session = find_session();
	struct log_reader *reader = open_log(wanted.path);
	struct side shown = { .code = "o" }, typed = { .code = "i" };
	struct log_record record;
	uint64_t start = 0;
	double seconds = 0;

	while (next_record(reader, &record)) {
		if (!session)
			session = record.session;
		if (record.session != session)
			continue;
		if (!start) {
			start = record.microseconds;
			write_header(&record);
		}
		/* Events are in order, also where the host's clock was set back. */
		if (record.microseconds > start + seconds * 1e6)
			seconds = (record.microseconds - start) / 1e6;
		if (record.what == LOG_DATA && record.direction == LOG_SHOWN)
			write_data(reader, &shown, seconds, !wanted.raw);
		else if (record.what == LOG_DATA && wanted.typed)
			write_data(reader, &typed, seconds, 0);
		else if (record.what == LOG_CLOSE)
			break;
	}
	write_event(&shown, seconds, "", 0, 1);
	write_event(&typed, seconds, "", 0, 1);
	if (!start)
		die("%s: there is no record in it", wanted.path);
	log_reader_close(reader);
	return 0;
}
