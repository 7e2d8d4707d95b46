// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parts of uml_ttylog that see what a hostile guest wrote: the reader of records and the filter
 * before the terminal. TTYLOG_ROUNDS=<n>: so many random logs and outputs (default 20000).
 */
#define _GNU_SOURCE
#include "../../arch/um/os-Linux/printable.c"
#include "../../tools/uml_ttylog/log_filter.c"
#include "../../tools/uml_ttylog/log_reader.c"
#include "../guest/check.h"
#include <sys/mman.h>

/* ---- the filter ---- */

static size_t filtered(const char *from, size_t length, size_t step, char *to)
{
	struct log_filter filter = { 0 };
	size_t used = 0;

	for (size_t at = 0; at < length; at += step)
		used += log_filter(&filter, from + at, step < length - at ? step : length - at,
				   to + used);
	to[used] = '\0';
	return used;
}

static void lets(const char *text, const char *wanted, const char *sentence)
{
	char whole[FILTER_ROOM(8192)], bytewise[FILTER_ROOM(8192)];

	filtered(text, strlen(text), strlen(text), whole);
	filtered(text, strlen(text), 1, bytewise);
	if (strcmp(whole, wanted) || strcmp(bytewise, wanted))
		say("# got %s\n", whole);
	check(!strcmp(whole, wanted) && !strcmp(bytewise, wanted), sentence);
}

static void unchanged(const char *text, const char *sentence)
{
	lets(text, text, sentence);
}

static void filter_cases(void)
{
	char long_string[FILTER_STRING + 64];

	unchanged("text\r\n\ttabs\b", "text, line ends, tabs and backspaces pass");
	unchanged("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "characters of UTF-8 pass");
	unchanged("\033[1;31mred\033[0m\033[38;5;8m\033[4:3m", "colours pass");
	unchanged("\033[2J\033[H\033[10;20H\033[K\033[A\033[?1049h\033[3;20r",
		  "the cursor moves");
	unchanged("\033(0lqk\033(B\0337\0338\033D\033M\016x\017", "lines are drawn");
	unchanged("\033[?25l\033[?7l\033[4h", "modes that the end of the log undoes pass");
	lets("\a\001\005x\177", "x", "other control characters do not");
	lets("a\033]0;title\ab\033]2;title\033\\c", "abc", "titles do not");
	lets("a\033]52;c;Zm9v\ab", "ab", "nor the clipboard");
	lets("a\033]8;;http://x\033\\link\033]8;;\033\\b", "alinkb", "nor links");
	lets("a\033P+q544e\033\\b\033_apc\033\\c\033^pm\033\\d\033Xsos\033\\e", "abcde",
	     "nor other control strings");
	lets("\033[c\033[>c\033[=c\033[5n\033[6n\033[?6n\033[x\033Z\033[?1$p\005", "",
	     "nor questions that the terminal answers");
	lets("\033[21t\033[8;9;9t\033[14t", "", "nor changes of the window");
	lets("\033c\033[!p\033[?2004h\033[?1000h\033[?1006h\033[?1h\033=\033#8", "",
	     "nor resets, and modes of the keyboard, mouse and pasting");
	lets("\033[5i\033[4i\033[20h\033[2h\033[>4;2m\033[2 q\033[3J\033[g\033H", "",
	     "nor printing, modes of the keyboard, and clearing what was scrolled out");
	lets("\033[1;1;5;1;9T\033[2T", "\033[2T", "nor following the mouse");
	lets("\033[99999b\033[5b", "\033[5b", "nor numbers that only keep it busy");
	lets("\x9b" "6n\x9d" "0;x\a", "?6n?0;x", "bytes beyond ASCII are no control characters");
	lets("\xc2\x9b" "6n", "?6n", "nor are their characters");
	lets("\xe2\x80\xae" "x\xc3(\xff", "?x?(", "text that changes direction or is none is ?");
	memset(long_string, 'x', sizeof(long_string));
	memcpy(long_string, "\033]0;", 4);
	strcpy(long_string + sizeof(long_string) - 8, "visible");
	check(strstr(long_string, "visible") != NULL, "a string that has no end");
	{
		char out[FILTER_ROOM(8192)];

		filtered(long_string, strlen(long_string), 77, out);
		check(strstr(out, "visible") != NULL, "does not hide what follows for long");
	}
	lets("\033]0;x\033[31mred", "\033[31mred", "and any escape ends it");
}

/* An independent look at what came out: returns where it is wrong, or NULL. */
static const char *wrong_at(const char *at)
{
	while (*at) {
		unsigned char byte = *at;
		int length = utf8_length(at);

		if (!length || byte == 0x7f || (byte == 0xc2 && (unsigned char)at[1] < 0xa0))
			return at;
		if (byte == 0x1b && at[1] == '[') {
			const char *end = at + 2 + strspn(at + 2, "0123456789;:?");

			if (!*end || !strchr("@ABCDEFGHIJKLMPSTXZ`abdefhlmrsu", *end))
				return at;
			at = end + 1;
		} else if (byte == 0x1b) {
			if (!at[1] || !strchr("78DEM()", at[1]))
				return at;
			at += at[1] == '(' || at[1] == ')' ? 3 : 2;
		} else if (byte < ' ' && !strchr("\b\t\n\r\016\017", byte)) {
			return at;
		} else {
			at += length;
		}
	}
	return NULL;
}

static void filter_random(long rounds)
{
	static const char alphabet[] = "\033\033\033\033[[[]P?;:0123456789hlmnctqJHrTb\\\a\xc2\x9b"
				       "\xe2\x80\xae\xf0(0B78cZ#=> $!px";
	char from[200], whole[FILTER_ROOM(200) + 1], parts[FILTER_ROOM(200) + 1];
	int wrong = 0, differs = 0, large = 0;

	for (long i = 0; i < rounds && !wrong && !differs; i++) {
		size_t length = random() % sizeof(from), out;

		for (size_t j = 0; j < length; j++)
			from[j] = random() % 4 ? alphabet[random() % (sizeof(alphabet) - 1)] :
						 random();
		out = filtered(from, length, length ? length : 1, whole);
		large |= out >= FILTER_ROOM(length);
		filtered(from, length, 1 + random() % 7, parts);
		wrong = wrong_at(whole) != NULL;
		differs = strcmp(whole, parts) != 0;
	}
	check(!wrong, "random output: nothing but the allowed sequences comes out");
	check(!differs, "and it does not matter how it is cut");
	check(!large, "nor is it larger than promised");
}

/* ---- the reader ---- */

/* In memory: thousands of logs are written to it. */
static char name[32];
static int file;

static void put_log(const char *bytes, size_t length)
{
	need(!ftruncate(file, 0) && pwrite(file, bytes, length, 0) == (ssize_t)length);
}

/* Reads all; the number of records, or -1. */
static int read_log(struct log_record *last, uint64_t *data)
{
	struct log_reader *reader = log_reader_open(name);
	char bytes[LOG_PIECE];
	int count = 0, more, length;

	need(reader);
	*data = 0;
	while ((more = log_reader_next(reader, last)) > 0) {
		count++;
		if (last->session == 0 || last->session > (unsigned int)count)
			more = -2;
		while (count % 3 && (length = log_reader_data(reader, bytes)) > 0)
			*data += length;
	}
	if (more < 0 && !log_reader_error(reader)[0])
		count = -100;
	log_reader_close(reader);
	return more < 0 ? -1 : count;
}

static size_t put_64(char *at, int what, uint64_t tty, int length, int direction)
{
	uint64_t seconds = 1700000000, microseconds = 123456;

	memset(at, 0, HEADER_64 + length);
	memcpy(at, &what, 4);
	memcpy(at + 8, &tty, 8);
	memcpy(at + 16, &length, 4);
	memcpy(at + 20, &direction, 4);
	memcpy(at + 24, &seconds, 8);
	memcpy(at + 32, &microseconds, 8);
	memset(at + HEADER_64, 'd', length);
	return HEADER_64 + length;
}

static size_t put_32(char *at, int what, uint32_t tty, int length, int direction)
{
	uint32_t time[2] = { 1100000000, 654321 };

	memcpy(at, &what, 4);
	memcpy(at + 4, &tty, 4);
	memcpy(at + 8, &length, 4);
	memcpy(at + 12, &direction, 4);
	memcpy(at + 16, time, 8);
	memset(at + HEADER_32, 'd', length);
	return HEADER_32 + length;
}

static size_t make_log(char *at, int wide)
{
	size_t (*put)(char *at, int what, uint64_t tty, int length, int direction) = put_64;
	char *start = at;

	if (!wide) {
		at += put_32(at, LOG_OPEN, 0xa0f00000, 4, 0);
		at += put_32(at, LOG_DATA, 0xa0f00000, 100, LOG_SHOWN);
		at += put_32(at, LOG_DATA, 0xa0f00000, 7, LOG_TYPED);
		at += put_32(at, LOG_CLOSE, 0xa0f00000, 0, 0);
		return at - start;
	}
	at += put(at, LOG_OPEN, 0x65535f0008800003, 8, 0);
	at += put(at, LOG_DATA, 0x65535f0008800003, 5000, LOG_SHOWN);
	at += put(at, LOG_OPEN, 0x65535f0108800003, 8, 0);
	at += put(at, LOG_DATA, 0x65535f0108800003, 3, LOG_TYPED);
	at += put(at, LOG_CLOSE, 0x65535f0008800003, 0, 0);
	at += put(at, LOG_OPEN, 0x65535f0008800003, 8, 0);
	return at - start;
}

static void reader_cases(void)
{
	char log[8192];
	struct log_record last;
	uint64_t data;
	size_t length = make_log(log, 1);

	put_log(log, length);
	check_equal(read_log(&last, &data), 6, "a log of 64-bit hosts is read");
	check(last.session == 3, "a number that is opened again is another session");
	check(last.microseconds == 1700000000123456, "with the time");
	put_log(log, length - 3);
	check_equal(read_log(&last, &data), -1, "data that is cut is an error");
	put_log(log, length - 20);
	check_equal(read_log(&last, &data), -1, "a header that is cut is an error");
	length = make_log(log, 0);
	put_log(log, length);
	check_equal(read_log(&last, &data), 4, "a log of 32-bit hosts is read");
	check(last.tty == 0xa0f00000 && last.microseconds == 1100000000654321,
	      "with its numbers and times");
	put_log("", 0);
	check_equal(read_log(&last, &data), 0, "an empty log has no records");
	put_log("#!/bin/sh\necho this is no log, but long enough to be one\n", 56);
	check_equal(read_log(&last, &data), -1, "another file is none");
}

static void reader_random(long rounds)
{
	static char log[8192];
	struct log_record last;
	int errors = 0, read = 0, silent = 0;
	uint64_t data;

	for (long i = 0; i < rounds; i++) {
		size_t length = make_log(log, random() % 2);
		int result;

		for (int changes = random() % 6; changes; changes--)
			log[random() % (random() % 2 ? 200 : length)] = random() % 3 ? random() : 0;
		put_log(log, random() % 3 ? length : random() % length);
		result = read_log(&last, &data);
		errors += result == -1;
		read += result > 0;
		silent += result < -1;
	}
	check(errors && read && !silent, "random damage is an error with a reason, or is read");
}

int main(void)
{
	const char *rounds = getenv("TTYLOG_ROUNDS");
	long count = rounds ? atol(rounds) : 20000;

	srandom(rounds ? getpid() : 1);
	file = memfd_create("log", 0);
	need(file >= 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	filter_cases();
	filter_random(count);
	reader_cases();
	reader_random(count / 4);
	return check_done();
}
