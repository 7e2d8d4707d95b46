// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest threads of the seccomp engine that have claimed a trap and may be running all the same.
 *
 * A hostile thread can claim a trap and continue. While its process is meant to run, kick.c ends
 * that. Afterwards it could use up a host CPU while its process waits. So every stub process that
 * has run is a suspect, and is checked until it used no CPU from one check to the next. That is
 * twice, CHECK_NS apart, for an honest one. One timer serves all, and is off without suspects. The
 * CPU time of the process is cheap to read but includes the mapper's. Where it grew, the guest
 * thread's own decides.
 *
 * Runs on the thread of the virtual CPU; host_runaway_check() in its signal handler.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <host/vcpu.h>

#include "os.h"
#include "engines.h"
#include "seccomp_stub.h"

#define CHECK_NS		20000000
#define ALLOWED_NS	5000000		/* from the claim until it sleeps */

static int watching;

/* From its field in /proc; a host that does not show it: the time of the whole process. */
static unsigned long long thread_time(int pid)
{
	char text[64], path[64];
	int fd, length;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return host_cpu_time(pid);
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return host_cpu_time(pid);
	text[length] = 0;
	return strtoull(text, NULL, 10);
}

/* Returns whether it must be checked again. */
static int runaway_check(struct runaway *runaway, int pid)
{
	unsigned long long ran = host_cpu_time(pid);

	if (runaway->turns != runaway->seen_turns) {
		runaway->seen_turns = runaway->turns;
		runaway->ran = ran;
		runaway->thread_ran = 0;
		return 1;
	}
	if (ran == runaway->ran)
		return 0;
	if (ran - runaway->ran < ALLOWED_NS)
		return 1;
	runaway->ran = ran;
	ran = thread_time(pid);
	if (runaway->thread_ran && ran - runaway->thread_ran >= ALLOWED_NS) {
		kill(pid, SIGKILL);
		return 0;
	}
	runaway->thread_ran = ran;
	return 1;
}

void host_runaway_check(void)
{
	int running = this_vcpu()->in_guest, left = 0;

	for (struct host_space *space = seccomp_spaces; space; space = space->all_next) {
		if (!space->runaway.suspect)
			continue;
		if (space->pid != running)
			space->runaway.suspect = runaway_check(&space->runaway, space->pid);
		left |= space->runaway.suspect;
	}
	watching = left;
	if (left)
		host_runaway_check_after(CHECK_NS);
}

void runaway_watch(struct host_space *space)
{
	space->runaway.turns++;
	space->runaway.suspect = 1;
	if (watching)
		return;
	watching = 1;
	host_runaway_check_after(CHECK_NS);
}
