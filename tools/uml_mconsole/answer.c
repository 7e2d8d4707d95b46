// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: sends requests, and shows what comes back, as it comes.
 *
 * The text of an answer is the guest's. On a terminal, what would control the terminal is shown as
 * `?`. The output of exec is an exception: the user has asked for a program's output.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "printable.h"
#include "tool.h"
#include "uml_mconsole.h"

struct shown {
	FILE *to;
	int is_terminal, is_quiet;
	int has_begun;			/* OK or ERR was printed */
	unsigned int error;		/* the first of the packets */
	size_t kept; /* bytes of a character whose end is in the next packet */
	char text[2 * MCONSOLE_LONGEST];
};

/* Prints shown->text, of @length bytes and a NUL, but for a character whose end is missing. */
static void print_printable(struct shown *shown, size_t length)
{
	char part[sizeof(shown->text) + 1];
	size_t at = 0, taken = 1;

	while (at < length && taken) {
		/* The NUL counts, so that the room ends the part: no character is cut. */
		size_t with_nul = length - at + 1;

		taken = printable_part(part, with_nul, shown->text + at, with_nul);
		if (taken)
			fputs(part, shown->to);
		at += taken;
	}
	shown->kept = length - at;
	memmove(shown->text, shown->text + at, shown->kept);
}

static void print_text(struct shown *shown, const struct mconsole_packet *packet)
{
	if (!shown->is_terminal) {
		fwrite(packet->text, 1, packet->length, shown->to);
		return;
	}
	memcpy(shown->text + shown->kept, packet->text, packet->length + 1);
	print_printable(shown, shown->kept + packet->length);
}

/*
 * The first packet's error says how the answer begins. An error that comes later, after a part of
 * a file for example, is on a separate line.
 */
static int show(void *data, const struct mconsole_packet *packet)
{
	struct shown *shown = data;

	if (shown->is_quiet && !packet->error)
		return 0;
	if (!shown->has_begun)
		fputs(packet->error ? "ERR " : "OK ", shown->to);
	else if (packet->error && !shown->error)
		fputs("\nERR ", shown->to);
	shown->has_begun = 1;
	if (!shown->error)
		shown->error = packet->error;
	print_text(shown, packet);
	return 0;
}

static int send_and_show(struct session *session, const char *request, int is_quiet)
{
	struct shown shown = { .to = stdout, .is_quiet = is_quiet };
	int code = open_console(session);
	unsigned int error = 0;

	shown.is_terminal = isatty(STDOUT_FILENO);
	if (!code)
		code = mconsole_request(session->console, request, session->limit, show, &shown,
					&error);
	if (shown.has_begun)
		fputs(shown.kept ? "?\n" : "\n", shown.to);
	fflush(shown.to);
	if (code)
		return explain(session, code);
	return error ? REFUSED : DONE;
}

int send_request(struct session *session, const char *request)
{
	return send_and_show(session, request, 0);
}

int send_quietly(struct session *session, const char *request)
{
	return send_and_show(session, request, 1);
}

/* ---- exec ---- */

struct execution {
	unsigned int status;
	int has_begun, is_refused;
};

/*
 * The last packet has the exit status for its error, and no text. An error with a text, and nothing
 * before it, is the kernel's: the command was not run.
 */
static int show_output(void *data, const struct mconsole_packet *packet)
{
	struct execution *execution = data;

	execution->is_refused = !execution->has_begun && packet->error && packet->length;
	execution->has_begun = 1;
	execution->status = packet->error;
	if (execution->is_refused) {
		tell("ERR %s", packet->text);
		return 0;
	}
	fwrite(packet->text, 1, packet->length, stdout);
	return fflush(stdout);
}

int send_exec(struct session *session, const char *request)
{
	int limit = session->has_limit ? session->limit : MCONSOLE_FOREVER;
	struct execution execution = { 0 };
	int code = open_console(session);
	unsigned int error;

	if (!code)
		code = mconsole_request(session->console, request, limit, show_output, &execution,
					&error);
	if (code == MCONSOLE_STOPPED)
		return REFUSED;		/* main() says that the output cannot be written */
	if (code)
		return explain(session, code);
	if (execution.is_refused)
		return REFUSED;
	return execution.status < 256 ? execution.status : 255;
}
