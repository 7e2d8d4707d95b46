/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TAP from a guest program: one line per test, written with a single write() so that kernel
 * messages do not cut it. The programs also run natively: what only holds in the guest asks
 * in_guest().
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int check_count, check_failures;

static __attribute__((unused, format(printf, 1, 2))) void say(const char *format, ...)
{
	char line[1024];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length > (int)sizeof(line) - 1)
		length = sizeof(line) - 1;
	if (write(1, line, length) != length)
		_exit(99);
}

/* One test; returns whether it passed. */
static __attribute__((unused)) int check(int passed, const char *sentence)
{
	say("%sok %d - %s\n", passed ? "" : "not ", ++check_count, sentence);
	check_failures += !passed;
	return passed;
}

/* One test of two numbers, shown when they differ. */
static __attribute__((unused)) int check_equal(long got, long wanted, const char *sentence)
{
	if (got != wanted)
		say("# %s: got %ld (%#lx), wanted %ld (%#lx)\n", sentence, got, got, wanted,
		    wanted);
	return check(got == wanted, sentence);
}

static __attribute__((unused)) void check_skip(const char *sentence, const char *reason)
{
	say("ok %d - %s # SKIP %s\n", ++check_count, sentence, reason);
}

/* The plan and the exit status. */
static __attribute__((unused)) int check_done(void)
{
	say("1..%d\n", check_count);
	return check_failures ? 1 : 0;
}

/* The harness's init sets GUEST. */
static __attribute__((unused)) int in_guest(void)
{
	return getenv("GUEST") != NULL;
}

/* What a test cannot go on without. */
#define need(condition) do {							\
	if (!(condition)) {							\
		say("# %s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno)); \
		say("not ok %d - setting up\n", ++check_count);			\
		exit(98);							\
	}									\
} while (0)

#endif
