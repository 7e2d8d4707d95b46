// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which host CPU runs what. A virtual CPU and its stub processes run by turns, never at once, and
 * handing over across host CPUs costs several times as much as on one; so all stay on the CPU where
 * the virtual CPU is. The host may move it every so often, while it sleeps (host_idle) and while it
 * works; the stubs follow. For a time they may be apart (host_pin_elsewhere), when both sides spin
 * (handoff.c).
 */
#define _GNU_SOURCE
#include <sched.h>
#include <unistd.h>

#include <host/vcpu.h>

#include "os.h"

static cpu_set_t all_cpus;
static int elsewhere;		/* the virtual CPU is not where its stubs are */

void host_cpus_init(void)
{
	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		CPU_ZERO(&all_cpus);
	host_pin();
}

const void *host_all_cpus(unsigned long *size)
{
	*size = sizeof(all_cpus);
	return &all_cpus;
}

int host_several_cpus(void)
{
	return CPU_COUNT(&all_cpus) > 1;
}

static void pin_to(int pid, int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(pid, sizeof(one), &one);
}

int host_cpu_now(void)
{
	return sched_getcpu();
}

void host_pin(void)
{
	int cpu = sched_getcpu();

	elsewhere = 0;
	this_vcpu()->host_cpu = cpu;
	if (cpu >= 0 && cpu < CPU_SETSIZE && host_several_cpus())
		pin_to(0, cpu);
}

void host_unpin(void)
{
	if (host_several_cpus())
		sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
}

/* Every sleep would be too often: two host calls, and cold caches. */
#define RESTS 32

static unsigned int rests;

void host_rest_begin(void)
{
	if (elsewhere)
		return;
	if (++rests % RESTS == 0)
		host_unpin();
}

void host_rest_end(void)
{
	if (!elsewhere && rests % RESTS == 0)
		host_pin();
}

/* One tick in PERIOD the thread is free to go, for the length of a tick. */
#define PERIOD 64

void host_pin_now_and_then(void)
{
	static unsigned int ticks;

	if (elsewhere)
		return;
	switch (++ticks % PERIOD) {
	case 0:
		host_unpin();
		break;
	case 1:
		host_pin();
		break;
	}
}

void host_pin_to(int thread, int cpu)
{
	if (cpu >= 0 && cpu < CPU_SETSIZE && host_several_cpus())
		pin_to(thread, cpu);
}

void host_pin_process(int pid)
{
	host_pin_to(pid, this_vcpu()->host_cpu);
}

int host_pin_elsewhere(void)
{
	cpu_set_t others = all_cpus;

	if (this_vcpu()->host_cpu < 0 || !host_several_cpus())
		return -1;
	CPU_CLR(this_vcpu()->host_cpu, &others);
	if (sched_setaffinity(0, sizeof(others), &others))
		return -1;
	elsewhere = 1;
	return 0;
}

void host_pin_back(void)
{
	elsewhere = 0;
	host_pin_to(0, this_vcpu()->host_cpu);
}
