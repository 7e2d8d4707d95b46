// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest threads of the seccomp engine that have claimed a trap: do they stand still?
 *
 * A hostile one can claim a trap and go on. While its process is meant to run that is its own affair, and kick.c sees to its end; but it could use
 * up a host CPU while its process waits. So every stub process that has run is looked at until it was seen to have used no CPU
 * from one look to the next; that is twice, LOOK_NS apart, for an honest one. There is one timer for all, which is off when nobody is left to
 * be looked at. The CPU time of the process is cheap to ask for but includes the mapper's; where it grew, that of the guest thread decides.
 *
 * Runs on the thread of the virtual CPU; host_parked_look() in its signal handler.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <host/vcpu.h>

#include "os.h"
#include "seccomp_stub.h"

#define LOOK_NS		20000000
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

/* Returns whether it must be looked at again. */
static int look(struct parked *parked, int pid)
{
	unsigned long long ran = host_cpu_time(pid);

	if (parked->turns != parked->seen_turns) {
		parked->seen_turns = parked->turns;
		parked->ran = ran;
		parked->thread_ran = 0;
		return 1;
	}
	if (ran == parked->ran)
		return 0;
	if (ran - parked->ran < ALLOWED_NS)
		return 1;
	parked->ran = ran;
	ran = thread_time(pid);
	if (parked->thread_ran && ran - parked->thread_ran >= ALLOWED_NS) {
		kill(pid, SIGKILL);
		return 0;
	}
	parked->thread_ran = ran;
	return 1;
}

void host_parked_look(void)
{
	int running = this_vcpu()->in_guest, left = 0;

	for (struct host_space *space = seccomp_spaces; space; space = space->all_next) {
		if (!space->parked.suspect)
			continue;
		if (space->pid != running)
			space->parked.suspect = look(&space->parked, space->pid);
		left |= space->parked.suspect;
	}
	watching = left;
	if (left)
		host_look_after(LOOK_NS);
}

void parked_watch(struct host_space *space)
{
	space->parked.turns++;
	space->parked.suspect = 1;
	if (watching)
		return;
	watching = 1;
	host_look_after(LOOK_NS);
}
