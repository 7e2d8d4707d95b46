// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clocks as a program sees them. In the guest and natively:
 *
 *	clocks moments [<n>]	n lines "moment <TSC> <CLOCK_MONOTONIC> <CLOCK_REALTIME>", half a second of work and sleep between them.
 *				The TSC is the same inside and outside, so these can be laid beside those of another program.
 *	clocks calls <n>	reads CLOCK_MONOTONIC n times through libc; "calls <nanoseconds each>"
 *	clocks			TAP: clocks never go back, by whichever way they are read
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <x86intrin.h>
#include "check.h"

#define NS 1000000000LL

static long long of(struct timespec t)
{
	return t.tv_sec * NS + t.tv_nsec;
}

static long long through_libc(clockid_t clock)
{
	struct timespec t = { 0 };

	clock_gettime(clock, &t);
	return of(t);
}

static long long by_system_call(clockid_t clock)
{
	struct timespec t = { 0 };

	syscall(SYS_clock_gettime, clock, &t);
	return of(t);
}

/* Of several tries the one in which both clocks were read closest to the TSC. */
static void print_moment(void)
{
	unsigned long long shortest = -1ULL, tsc = 0;
	long long monotonic = 0, wall = 0;

	for (int i = 0; i < 10; i++) {
		unsigned long long before = __rdtsc(), middle, took;
		long long m, w;

		m = through_libc(CLOCK_MONOTONIC);
		middle = __rdtsc();
		w = through_libc(CLOCK_REALTIME);
		took = __rdtsc() - before;
		if (took < shortest) {
			shortest = took;
			tsc = middle;
			monotonic = m;
			wall = w;
		}
	}
	printf("moment %llu %lld %lld\n", tsc, monotonic, wall);
	fflush(stdout);
}

static void moments(int count)
{
	for (int i = 0; i < count; i++) {
		long long end = through_libc(CLOCK_MONOTONIC) + NS / 4;

		while (i && through_libc(CLOCK_MONOTONIC) < end)
			;
		print_moment();
		if (i + 1 < count)
			usleep(250000);
	}
}

static void calls(long count)
{
	long long start = through_libc(CLOCK_MONOTONIC);

	for (long i = 0; i < count; i++)
		through_libc(CLOCK_MONOTONIC);
	printf("calls %.1f\n", (through_libc(CLOCK_MONOTONIC) - start) / (double)count);
}

/* Both ways by turns for two seconds, long enough for many corrections. */
static int goes_back(clockid_t clock)
{
	long long end = by_system_call(CLOCK_MONOTONIC) + 2 * NS, last = 0, now;

	do {
		now = through_libc(clock);
		if (now < last)
			return 1;
		last = now;
		for (int i = 0; i < 100; i++) {
			now = through_libc(clock);
			if (now < last)
				return 1;
			last = now;
		}
		now = by_system_call(clock);
		if (now < last)
			return 1;
		last = now;
	} while (by_system_call(CLOCK_MONOTONIC) < end);
	return 0;
}

static int agree_on_wall_time(void)
{
	long long before = by_system_call(CLOCK_REALTIME), of_day;
	struct timeval day;
	time_t seconds;

	gettimeofday(&day, NULL);
	of_day = day.tv_sec * NS + day.tv_usec * 1000;
	seconds = time(NULL);
	return of_day >= before - 1000 && of_day <= by_system_call(CLOCK_REALTIME) &&
	       seconds >= before / NS - 1 && seconds <= by_system_call(CLOCK_REALTIME) / NS;
}

int main(int argc, char **argv)
{
	unsigned int cpu = -1, by_call = -2;

	if (argc > 1 && !strcmp(argv[1], "moments")) {
		moments(argc > 2 ? atoi(argv[2]) : 1);
		return 0;
	}
	if (argc > 2 && !strcmp(argv[1], "calls")) {
		calls(atol(argv[2]));
		return 0;
	}
	check(getauxval(AT_SYSINFO_EHDR), "the auxiliary vector names a vDSO");
	check(!goes_back(CLOCK_MONOTONIC), "CLOCK_MONOTONIC does not go back");
	check(!goes_back(CLOCK_REALTIME), "CLOCK_REALTIME does not go back");
	check(!goes_back(CLOCK_MONOTONIC_RAW), "CLOCK_MONOTONIC_RAW does not go back");
	check(!goes_back(CLOCK_BOOTTIME), "CLOCK_BOOTTIME does not go back");
	check(agree_on_wall_time(), "gettimeofday and time agree with clock_gettime");
	syscall(SYS_getcpu, &by_call, NULL, NULL);
	cpu = sched_getcpu();
	check(in_guest() ? cpu == by_call : cpu != -1U, "getcpu agrees with the system call");
	return check_done();
}
