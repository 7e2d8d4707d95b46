// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of spinning and what leads from one to the next: see spin_policy.h.
 *
 *  1. Without spinning, the price of a fast turn is averaged, and the pace: the time from turn to
 *     turn, the slow ones included.
 *  2. A phase is reviewed every review_turns, and early after many vain polls or a long turn. It
 *     continues while most of its turns are fast and these cost less than they did asleep.
 *  3. Waking, and waiting for a CPU by this thread or the stub, are in the price of a phase. Guest
 *     code that computes, and a kernel that works or rests, make a turn slow and are in no price.
 *  4. If the kernel waits for a disk, whose interrupts and threads want a CPU too, the pace must
 *     also be better than before the phase.
 *  5. A pause lasts pause_factor times as long as the turns since the last review took, and twice
 *     as long as the last pause if no review has found a gain since.
 *
 * Pure functions: they change nothing but *s.
 */
#include "spin_policy.h"

static unsigned long at_most(unsigned long value, unsigned long limit)
{
	return value < limit ? value : limit;
}

static unsigned long ticks_of(const struct spin *s, unsigned int us)
{
	return us * s->ticks_per_us;
}

/* ---- the price of a turn ---- */

/* A turn begins, took ticks after the last one. */
static void note_pace(struct spin *s, unsigned long now, unsigned long took)
{
	if (!s->pace_from || (took > ticks_of(s, spin_rules.rest_us) && !s->disk)) {
		s->pace_from = now;
		s->pace = s->paced = 0;
	} else if (++s->paced == spin_rules.pace_turns) {
		s->pace = (now - s->pace_from) / spin_rules.pace_turns;
		s->pace_from = now;
		s->paced = 0;
	}
}

static void count_asleep(struct spin *s, unsigned long took)
{
	if (took >= ticks_of(s, spin_rules.fast_us)) {
		s->fast -= at_most(s->fast, 2);
		return;
	}
	s->fast++;
	s->sleeping = s->sleeping ? s->sleeping - s->sleeping / 16 + took / 16 : took;
}

/* A slow turn costs at most what waking took: the guest or the kernel had something to do. */
static void count_in_phase(struct spin *s, unsigned long in_guest, unsigned long in_kernel)
{
	unsigned long fast = ticks_of(s, spin_rules.fast_us);

	s->turns++;
	s->waited += s->disk;
	in_guest -= at_most(in_guest, s->lost);
	s->spent += s->lost;
	if (in_guest + in_kernel < fast) {
		s->spent += in_guest + in_kernel;
		return;
	}
	s->slow++;
	if (s->woke_stub || s->overslept)
		s->spent += at_most(in_guest, fast);
}

/* ---- the phase ---- */

static void begin_review(struct spin *s, unsigned long now, unsigned long ran)
{
	s->turns = s->slow = s->vain = s->waited = 0;
	s->spent = s->slept = 0;
	s->ran = ran;
	s->reviewed = now;
}

void spin_begin(struct spin *s, unsigned long now, unsigned long ran)
{
	s->state = SPIN_PHASE;
	begin_review(s, now, ran);
}

static void end_phase(struct spin *s, unsigned long now)
{
	unsigned long time = now - s->reviewed, busy = time - at_most(s->slept, time);
	unsigned long pause = spin_rules.pause_factor * busy;

	if (pause < 2 * s->pause)
		pause = 2 * s->pause;
	s->state = SPIN_PAUSE;
	s->pause = at_most(pause, ticks_of(s, spin_rules.max_pause_us));
	s->not_before = now + s->pause;
	s->fast = 0;
	s->pace_from = s->pace = s->paced = 0;
}

static int review_is_due(const struct spin *s)
{
	return s->turns >= spin_rules.review_turns ||
	       s->vain > spin_rules.vain_base + s->turns / spin_rules.vain_share;
}

/* The time since the last review in which this thread neither ran nor slept. */
static unsigned long kept_waiting(const struct spin *s, unsigned long now, unsigned long ran)
{
	unsigned long time = now - s->reviewed, busy = ran - s->ran + s->slept;

	return time - at_most(busy, time);
}

/*
 * Faster by a sixteenth at least: less may be chance, and a phase costs a CPU. Where the pace
 * before is not known, the phase ends, so that the pause measures it.
 */
static int disk_is_no_faster(const struct spin *s, unsigned long now)
{
	if (s->turns < spin_rules.pace_turns || s->waited < s->turns / spin_rules.disk_share)
		return 0;
	return !s->pace || (now - s->reviewed) / s->turns > s->pace - s->pace / 16;
}

int spin_review(struct spin *s, unsigned long now, unsigned long ran)
{
	unsigned long spent = s->spent + kept_waiting(s, now, ran);
	unsigned int fast = s->turns - s->slow;

	/* After a long turn only: can the turns until the next review still win this back? */
	if (!review_is_due(s) && spent <= spin_rules.review_turns * s->sleeping)
		return 0;
	if (spent >= fast * s->sleeping || fast < s->slow || disk_is_no_faster(s, now)) {
		end_phase(s, now);
		return 1;
	}
	s->pause = 0;
	begin_review(s, now, ran);
	return 0;
}

/* ---- a turn ---- */

static enum spin_step step_in_phase(struct spin *s, unsigned long took, int stub_sleeps)
{
	s->vain += stub_sleeps;
	if (review_is_due(s) || took > ticks_of(s, spin_rules.long_us))
		return SPIN_REVIEW;
	return SPIN_STAY;
}

static enum spin_step step_asleep(struct spin *s, unsigned long now, unsigned long took)
{
	note_pace(s, now, took);
	if (s->state == SPIN_PAUSE && (long)(now - s->not_before) > 0)
		s->state = SPIN_WATCHING;
	if (s->state == SPIN_WATCHING && s->fast >= spin_rules.fast_turns)
		return SPIN_MOVE;
	return SPIN_STAY;
}

enum spin_step spin_give(struct spin *s, unsigned long now, int stub_sleeps)
{
	unsigned long took = now - s->given;
	enum spin_step step;

	if (s->state == SPIN_PHASE) {
		count_in_phase(s, s->trapped - s->given, now - s->trapped);
		step = step_in_phase(s, took, stub_sleeps);
	} else {
		count_asleep(s, took);
		step = step_asleep(s, now, took);
	}
	if (stub_sleeps && s->disk)
		s->patient = spin_rules.patient_turns;
	else if (s->patient)
		s->patient--;
	s->given = now;
	s->woke_stub = stub_sleeps;
	s->lost = 0;
	s->disk = s->overslept = 0;
	return step;
}

unsigned int spin_poll_us(const struct spin *s)
{
	if (s->state != SPIN_PHASE)
		return 0;
	return s->woke_stub ? spin_rules.wake_us : spin_rules.poll_us;
}

unsigned int spin_stub_poll_us(const struct spin *s)
{
	if (s->state != SPIN_PHASE)
		return 0;
	return s->patient ? spin_rules.wake_us : spin_rules.poll_us;
}

void spin_missed(struct spin *s, unsigned long now, unsigned long stub_ran)
{
	s->vain++;
	s->overslept = 1;
	s->asleep = now;
	s->stub_ran = stub_ran;
}

void spin_trapped(struct spin *s, unsigned long now)
{
	s->trapped = now;
}

void spin_overslept(struct spin *s, unsigned long stub_ran)
{
	unsigned long time = s->trapped - s->asleep, ran = stub_ran - s->stub_ran;

	s->lost = at_most(time - at_most(ran, time), ticks_of(s, spin_rules.max_lost_us));
	spin_woke(s, s->trapped);
}

/* ---- sleeping ---- */

void spin_sleeps(struct spin *s, unsigned long now)
{
	s->asleep = now;
}

void spin_woke(struct spin *s, unsigned long now)
{
	s->slept += now - s->asleep;
}

void spin_waits_for_disk(struct spin *s)
{
	s->disk = 1;
}
