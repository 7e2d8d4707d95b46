// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spinning in the handoff of the seccomp engine: what spin_policy.c decides, done. In a spin phase
 * the virtual CPU is on another host CPU than its stub processes, and both sides poll the turn for
 * some microseconds before they sleep.
 *
 * This file reads the clocks, polls, and moves the thread. A CPU time costs a host call, so it is
 * read only at a review and around a sleep. Runs on the thread of the virtual CPU.
 */
#define _GNU_SOURCE
#include <time.h>

#include <host/time.h>
#include <host/vcpu.h>

#include "os.h"
#include "spin_policy.h"
#include "spinning.h"

/* One for each virtual CPU. */
static struct spin spins[HOST_MAX_VCPUS];

unsigned long host_spin_phases;
static unsigned long ticks_per_us = 1000;
static unsigned int loops_per_poll = 1;	/* rounds of the stub's loop in poll_us */

static struct spin *this_spin(void)
{
	return &spins[this_vcpu() - host_vcpus];
}

static unsigned long ticks(void)
{
	return __builtin_ia32_rdtsc();
}

static unsigned long cpu_time(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time))
		return 0;
	return (time.tv_sec * 1000000UL + time.tv_nsec / 1000) * ticks_per_us;
}

static unsigned long cpu_time_of(int pid)
{
	return cpu_time(((clockid_t)~pid << 3) | 2);	/* what clock_getcpuclockid(3) returns */
}

static unsigned int stub_loops(const struct spin *s)
{
	return spin_stub_poll_us(s) / spin_rules.poll_us * loops_per_poll;
}

static void begin_phase(struct spin *s)
{
	unsigned long ran;

	if (host_pin_elsewhere())
		return;
	ran = cpu_time(CLOCK_THREAD_CPUTIME_ID);
	spin_begin(s, ticks(), ran);
	host_spin_phases++;
}

/*
 * If the phase ends while the stub sleeps, the stubs come to this CPU, since to wake them over
 * there costs more. Otherwise this thread goes to theirs.
 */
static void review(struct spin *s, int stub_sleeps)
{
	unsigned long ran = cpu_time(CLOCK_THREAD_CPUTIME_ID);

	if (!spin_review(s, ticks(), ran))
		return;
	if (stub_sleeps)
		host_pin();
	else
		host_pin_back();
}

unsigned int spinning_give(int stub_sleeps)
{
	struct spin *s = this_spin();
	enum spin_step step = spin_give(s, ticks(), stub_sleeps);

	if (step == SPIN_MOVE)
		begin_phase(s);
	else if (step == SPIN_REVIEW)
		review(s, stub_sleeps);
	return stub_loops(s);
}

int spinning_poll(const unsigned int *turn, unsigned int wanted, int pid)
{
	struct spin *s = this_spin();
	unsigned long now = ticks(), end = now + spin_poll_us(s) * ticks_per_us;

	if (s->state != SPIN_PHASE)
		return 0;
	do {
		if (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == wanted)
			return 1;
		__builtin_ia32_pause();
		now = ticks();
	} while ((long)(now - end) < 0);
	spin_missed(s, now, cpu_time_of(pid));
	return 0;
}

unsigned int spinning_answer(void)
{
	unsigned int polls_per_wake = spin_rules.wake_us / spin_rules.poll_us;

	return this_spin()->state == SPIN_PHASE ? polls_per_wake * loops_per_poll : 0;
}

void spinning_trapped(int pid, int slept)
{
	struct spin *s = this_spin();

	spin_trapped(s, ticks());
	if (slept && s->state == SPIN_PHASE)
		spin_overslept(s, cpu_time_of(pid));
}

void spinning_sleeps(void)
{
	if (this_spin()->state == SPIN_PHASE)
		spin_sleeps(this_spin(), ticks());
}

void spinning_woke(void)
{
	if (this_spin()->state == SPIN_PHASE)
		spin_woke(this_spin(), ticks());
}

void spinning_waits_for_disk(void)
{
	spin_waits_for_disk(this_spin());
}

/*
 * Measures how fast the TSC runs and how long the stub's loop takes, near enough: in the shortest
 * of some rounds, which was not interrupted.
 */
void spinning_init(void)
{
	enum { ROUNDS = 4, LOOPS = 1000 };
	struct host_moment before, after;
	unsigned long long best = -1ULL;

	for (int round = 0; round < ROUNDS; round++) {
		if (host_read_moment(&before))
			continue;
		for (int i = 0; i < LOOPS; i++)
			__builtin_ia32_pause();
		if (host_read_moment(&after) || after.ns - before.ns >= best)
			continue;
		best = after.ns - before.ns + 1;
		ticks_per_us = (after.tsc - before.tsc) * 1000 / best + 1;
		loops_per_poll = spin_rules.poll_us * LOOPS * 1000ULL / best + 1;
	}
	for (int i = 0; i < HOST_MAX_VCPUS; i++)
		spins[i].ticks_per_us = ticks_per_us;
}
