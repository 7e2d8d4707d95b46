// SPDX-License-Identifier: GPL-2.0-only
/*
 * The least that a system call intercepted with ptrace can cost on this host: tracer and tracee on
 * one CPU, each call stopped with PTRACE_SYSEMU, its general registers read and written. Prints
 * `sysemu <nanoseconds>`, the median of five.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SYSEMU 31
#define ROUNDS 5
#define TRAPS 20000

static int by_value(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(void)
{
	struct user_regs_struct regs;
	double took[ROUNDS];
	cpu_set_t one;
	int status;
	pid_t child;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		perror("sched_setaffinity");
	child = fork();
	if (child < 0) {
		perror("fork");
		return 1;
	}
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		for (;;)
			syscall(SYS_getppid);
	}
	waitpid(child, &status, 0);
	if (ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) {
		perror("ptrace");
		return 1;
	}
	for (int round = 0; round < ROUNDS; round++) {
		double start = now();

		for (int i = 0; i < TRAPS; i++) {
			ptrace(SYSEMU, child, 0, 0);
			waitpid(child, &status, __WALL);
			ptrace(PTRACE_GETREGS, child, 0, &regs);
			regs.rax = 1;
			ptrace(PTRACE_SETREGS, child, 0, &regs);
		}
		took[round] = (now() - start) / TRAPS;
	}
	kill(child, SIGKILL);
	qsort(took, ROUNDS, sizeof(took[0]), by_value);
	printf("sysemu %.1f\n", took[ROUNDS / 2]);
	return 0;
}
