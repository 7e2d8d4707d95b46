// SPDX-License-Identifier: GPL-2.0-only
/*
 * elapse <name> <times> <command...>: runs the command once, then so many times again, and prints
 * `<name> <milliseconds>`, the median of the latter. Status 1 if the command cannot be run or
 * fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 100

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv)
{
	int times = argc > 3 ? atoi(argv[2]) : 0;
	double took[MOST];

	if (times < 1 || times > MOST) {
		fprintf(stderr, "usage: elapse <name> <times, at most %d> <command...>\n", MOST);
		return 2;
	}
	for (int i = -1; i < times; i++) {
		double start = now();
		pid_t child = fork();
		int status;

		if (!child) {
			execvp(argv[3], argv + 3);
			perror(argv[3]);
			_exit(127);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status) {
			fprintf(stderr, "elapse: %s failed\n", argv[3]);
			return 1;
		}
		if (i >= 0)
			took[i] = now() - start;
	}
	qsort(took, times, sizeof(took[0]), by_value);
	printf("%s %.3f\n", argv[1], took[times / 2]);
	return 0;
}
