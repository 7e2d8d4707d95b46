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

/* The timer is set. Any virtual CPU's thread that changes this to 1 sets it. */
static int timer_is_set;

static void set_timer(void)
{
	if (!__atomic_exchange_n(&timer_is_set, 1, __ATOMIC_SEQ_CST))
		host_runaway_check_after(CHECK_NS);
}

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

/* Whether the process is meant to run now. */
static int has_turn(int pid)
{
	for (int i = 0; i < HOST_MAX_VCPUS; i++)
		if (__atomic_load_n(&host_vcpus[i].in_guest, __ATOMIC_ACQUIRE) == pid)
			return 1;
	return 0;
}

/* Whether it was not until now, either: a turn is counted before it ends. */
static int had_no_turn(const struct runaway *runaway, int pid)
{
	return !has_turn(pid) &&
	       __atomic_load_n(&runaway->turns, __ATOMIC_RELAXED) == runaway->seen_turns;
}

/* Returns whether it must be checked again. */
static int runaway_check(struct runaway *runaway, int pid)
{
	unsigned int turns = __atomic_load_n(&runaway->turns, __ATOMIC_RELAXED);
	unsigned long long ran = host_cpu_time(pid);

	if (turns != runaway->seen_turns) {
		runaway->seen_turns = turns;
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
	if (runaway->thread_ran && ran - runaway->thread_ran >= ALLOWED_NS &&
	    had_no_turn(runaway, pid)) {
		kill(pid, SIGKILL);
		return 0;
	}
	runaway->thread_ran = ran;
	return 1;
}

/*
 * Both marks are cleared before anything is looked at, and the counter of turns is read after that.
 * So a turn that another virtual CPU gives meanwhile is seen here, or sets its mark again.
 */
void host_runaway_check(void)
{
	int left = 0;

	__atomic_store_n(&timer_is_set, 0, __ATOMIC_SEQ_CST);
	for (struct host_space *space = seccomp_spaces; space; space = space->all_next) {
		struct runaway *runaway = &space->runaway;

		if (!__atomic_exchange_n(&runaway->suspect, 0, __ATOMIC_SEQ_CST))
			continue;
		if (has_turn(space->pid) || runaway_check(runaway, space->pid)) {
			__atomic_store_n(&runaway->suspect, 1, __ATOMIC_SEQ_CST);
			left = 1;
		}
	}
	if (left)
		set_timer();
}

void runaway_watch(struct host_space *space)
{
	struct runaway *runaway = &space->runaway;

	__atomic_store_n(&runaway->turns, runaway->turns + 1, __ATOMIC_RELAXED);
	if (!__atomic_exchange_n(&runaway->suspect, 1, __ATOMIC_SEQ_CST))
		set_timer();
}
