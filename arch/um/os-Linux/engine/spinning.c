// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the handoff of the seccomp engine spins instead of sleeping: while it measurably pays.
 *
 *  1. Sleeping, the time from turn to turn is averaged over turns that follow fast on another. A guest that computes has few of them.
 *  2. After FAST_TURNS of those, less two for each slow one between them, a stint begins: the virtual CPU goes to another host CPU, and
 *     both sides look at the turn for some microseconds before they sleep. Who had to wake the other looks for longer than waking takes:
 *     otherwise it would be asleep by the time of the answer, and so on by turns.
 *  3. A stint is reviewed every REVIEW_TURNS, and at once where many looks were in vain or this thread waited long for its CPU. It goes on while most of its turns are fast, and these cheaper
 *     than sleeping was. Moving, waking, and waiting for a CPU by this thread or the stub, are in their price; what makes a turn a slow one, guest
 *     code that computes and a kernel that works or rests, is not, as it is not in the price of sleeping. Beside a disk, whose interrupts and threads want a
 *     CPU too, turns must also follow each other in less time, all in all, than they did before the stint.
 *  4. After it there is a pause of 8 times what the last turns took, and of twice the last pause if no review went well since; so all
 *     trials together cost some percent, on a loaded host less and less.
 *
 * Times are in ticks of the TSC. Runs on the thread of the virtual CPU.
 */
#define _GNU_SOURCE
#include <time.h>

#include <host/time.h>
#include <host/vcpu.h>

#include "os.h"
#include "spinning.h"

#define SPIN_US		60	/* how long a turn is looked for */
#define WAKE_US		600	/* by who had to wake the other, or sleeps itself */
#define PATIENT_TURNS	64	/* for which the stub looks that long, too, once it was found asleep after the kernel waited for a disk */
#define FAST_US		40	/* a fast turn: follows the last one within this time */
#define FAST_TURNS	32
#define MOST_LOST_US	4000	/* in one turn: the host's own host may stop a CPU for longer, which says nothing */
#define MAY_BE_VAIN	4	/* looks before a review, and one in VAIN_TURNS */
#define VAIN_TURNS	16
#define REVIEW_TURNS	1024
#define LONG_US		1000	/* a turn: this thread may have waited for a CPU */
#define PACE_TURNS	256	/* over which the time from turn to turn is averaged, sleeping */
#define RESTED_US	5000	/* between two turns, and not for a disk */
#define DISK_TURNS	64	/* if the kernel waited for a disk in one of so many, this is beside a disk */
#define PAUSE_TIMES	8
#define LAST_PAUSE_US	2000000

/* One for each virtual CPU. */
static struct spinning {
	int on;				/* a stint is under way */
	unsigned int fast;		/* turns, less twice the slow ones */
	unsigned long sleeping;		/* average ticks of a fast turn */
	unsigned long given, trapped;	/* when the last turn was */
	int woke_stub;			/* when this turn was given */
	unsigned int patient;		/* turns that are left of these */
	int disk;			/* in this turn the kernel waited for one */
	unsigned int waited;		/* turns of which that is true, since the last review */
	unsigned int paced;		/* turns since pace_from, sleeping */
	unsigned long pace_from, pace;	/* ticks from one turn to the next, in the last PACE_TURNS of them; 0: not known */
	int overslept;			/* in this turn this thread slept before the stub trapped */
	unsigned int turns, slow, vain;	/* since the last review; of them, those that were not fast, that a side did not see in time */
	unsigned long spent, lost;	/* since then; of it, in this turn, by a stub that did not run */
	unsigned long stub_ran;		/* its CPU time when a look was in vain */
	unsigned long reviewed, ran;	/* when that review was; this thread's CPU time then */
	unsigned long slept, asleep;	/* since then; since when it sleeps now */
	unsigned long not_before, pause;
} spinnings[HOST_MAX_VCPUS];

unsigned long host_stints;
static unsigned long ticks_per_us = 1000;
static unsigned int stub_turns = 1;	/* of the stub's loop, in SPIN_US */

static struct spinning *mine(void)
{
	return &spinnings[this_vcpu() - host_vcpus];
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

/* ---- 1. the price of a turn ---- */

static unsigned long at_most(unsigned long value, unsigned long limit)
{
	return value < limit ? value : limit;
}

/* Sleeping: a turn begins, took after the last one. A rest is no pace. */
static void note_pace(struct spinning *s, unsigned long now, unsigned long took)
{
	if (!s->pace_from || (took > RESTED_US * ticks_per_us && !s->disk)) {
		s->pace_from = now;
		s->pace = s->paced = 0;
	} else if (++s->paced == PACE_TURNS) {
		s->pace = (now - s->pace_from) / PACE_TURNS;
		s->pace_from = now;
		s->paced = 0;
	}
}

static void count_turn(struct spinning *s, unsigned long in_guest, unsigned long in_kernel)
{
	unsigned long fast = FAST_US * ticks_per_us;

	if (s->on) {
		s->turns++;
		in_guest -= at_most(in_guest, s->lost);
		s->spent += s->lost;
		if (in_guest + in_kernel < fast) {
			s->spent += in_guest + in_kernel;
		} else {
			s->slow++;
			if (s->woke_stub || s->overslept)
				s->spent += at_most(in_guest, fast);
		}
	} else if (in_guest + in_kernel < fast) {
		s->fast++;
		s->sleeping = s->sleeping ? s->sleeping - s->sleeping / 16 + (in_guest + in_kernel) / 16 : in_guest + in_kernel;
	} else {
		s->fast -= at_most(s->fast, 2);
	}
	s->lost = 0;
}

/* ---- 2., 3., 4. the stint ---- */

static void new_review(struct spinning *s)
{
	s->turns = s->slow = s->vain = s->waited = 0;
	s->spent = s->slept = 0;
	s->ran = cpu_time(CLOCK_THREAD_CPUTIME_ID);
	s->reviewed = ticks();
}

/* Time since the last review that this thread neither ran nor slept. */
static unsigned long kept_waiting(const struct spinning *s)
{
	unsigned long busy = cpu_time(CLOCK_THREAD_CPUTIME_ID) - s->ran + s->slept, time = ticks() - s->reviewed;

	return time - at_most(busy, time);
}

/* After a long turn: the whole time until the review cannot win back what this thread has waited for a CPU that others use. */
static int has_waited_too_long(const struct spinning *s)
{
	return s->spent + kept_waiting(s) > REVIEW_TURNS * s->sleeping;
}

static void begin(struct spinning *s)
{
	if (host_pin_elsewhere())
		return;
	s->on = 1;
	new_review(s);
	host_stints++;
}

/* stub_sleeps: the stubs come to this CPU, since to wake them over there costs more; otherwise this thread goes to theirs. */
static void end(struct spinning *s, unsigned long now, int stub_sleeps)
{
	unsigned long busy = now - s->reviewed, pause = PAUSE_TIMES * (busy - at_most(s->slept, busy));

	s->on = 0;
	s->fast = 0;
	s->pace_from = s->pace = s->paced = 0;
	s->pause = at_most(pause > 2 * s->pause ? pause : 2 * s->pause, LAST_PAUSE_US * ticks_per_us);
	s->not_before = now + s->pause;
	if (stub_sleeps)
		host_pin();
	else
		host_pin_back();
}

/* Faster by a sixteenth at least: less may be chance, and costs a CPU. Where the pace before is not known, the pause will tell. */
static int disk_is_no_faster(const struct spinning *s, unsigned long now)
{
	if (s->turns < PACE_TURNS || s->waited < s->turns / DISK_TURNS)
		return 0;
	return !s->pace || (now - s->reviewed) / s->turns > s->pace - s->pace / 16;
}

static void review(struct spinning *s, unsigned long now, int stub_sleeps)
{
	unsigned int fast = s->turns - s->slow;

	s->spent += kept_waiting(s);
	if (s->spent >= fast * s->sleeping || fast < s->slow || disk_is_no_faster(s, now)) {
		end(s, now, stub_sleeps);
		return;
	}
	s->pause = 0;
	new_review(s);
}

/* ---- what the handoff calls ---- */

unsigned int spinning_give(int stub_sleeps)
{
	struct spinning *s = mine();
	unsigned long now = ticks(), took = now - s->given;

	count_turn(s, s->trapped - s->given, now - s->trapped);
	s->given = now;
	s->woke_stub = stub_sleeps;
	s->waited += s->disk;
	if (s->on) {
		s->vain += stub_sleeps;
		if (s->turns >= REVIEW_TURNS || s->vain > MAY_BE_VAIN + s->turns / VAIN_TURNS ||
		    (took > LONG_US * ticks_per_us && has_waited_too_long(s)))
			review(s, now, stub_sleeps);
	} else {
		note_pace(s, now, took);
		if (s->fast >= FAST_TURNS && (long)(now - s->not_before) > 0)
			begin(s);
	}
	if (stub_sleeps && s->disk)
		s->patient = PATIENT_TURNS;
	else if (s->patient)
		s->patient--;
	s->disk = s->overslept = 0;
	if (!s->on)
		return 0;
	return s->patient ? stub_turns * (WAKE_US / SPIN_US) : stub_turns;
}

int spinning_look(const unsigned int *turn, unsigned int wanted, int pid)
{
	struct spinning *s = mine();
	unsigned long until = ticks() + (s->woke_stub ? WAKE_US : SPIN_US) * ticks_per_us;

	if (!s->on)
		return 0;
	do {
		if (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == wanted)
			return 1;
		__builtin_ia32_pause();
	} while ((long)(ticks() - until) < 0);
	s->vain++;
	s->overslept = 1;
	spinning_sleeps();
	s->stub_ran = cpu_time_of(pid);
	return 0;
}

unsigned int spinning_answer(void)
{
	return mine()->on ? stub_turns * (WAKE_US / SPIN_US) : 0;
}

void spinning_trapped(int pid, int slept)
{
	struct spinning *s = mine();

	s->trapped = ticks();
	if (s->on && slept) {
		unsigned long ran = cpu_time_of(pid) - s->stub_ran, waited = s->trapped - s->asleep;

		s->lost = at_most(waited - at_most(ran, waited), MOST_LOST_US * ticks_per_us);
		spinning_woke();
	}
}

void spinning_sleeps(void)
{
	if (mine()->on)
		mine()->asleep = ticks();
}

void spinning_waits_for_disk(void)
{
	mine()->disk = 1;
}

void spinning_woke(void)
{
	struct spinning *s = mine();

	if (s->on)
		s->slept += ticks() - s->asleep;
}

/* How fast the TSC runs and how long the stub's loop takes, near enough: in the shortest of some rounds, which nobody interrupted. */
void spinning_init(void)
{
	enum { ROUNDS = 4, TURNS = 1000 };
	struct host_moment before, after;
	unsigned long long best = -1ULL;

	for (int round = 0; round < ROUNDS; round++) {
		if (host_read_moment(&before))
			continue;
		for (int i = 0; i < TURNS; i++)
			__builtin_ia32_pause();
		if (host_read_moment(&after) || after.ns - before.ns >= best)
			continue;
		best = after.ns - before.ns + 1;
		ticks_per_us = (after.tsc - before.tsc) * 1000 / best + 1;
		stub_turns = SPIN_US * TURNS * 1000ULL / best + 1;
	}
}
