// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of spinning (arch/um/os-Linux/engine/spin_policy.c), on clocks of this test: when a
 * spin phase begins, what lets it continue, what ends it, and how long the pause after it is.
 */
#include "../../arch/um/os-Linux/engine/spin_policy.c"
#include "../guest/check.h"

#define US 1000UL			/* ticks */
#define ASLEEP 10UL			/* us of a fast turn without spinning */

/* A virtual CPU: its state, the TSC, and its thread's and its stub's CPU time. */
static struct spin spin;
static unsigned long now, ran, stub_ran;
static enum spin_step step;
static int ended;			/* what the last review returned */

static void start_at(unsigned long time)
{
	spin = (struct spin){ .ticks_per_us = US };
	now = spin.given = spin.trapped = time;
	ran = stub_ran = 0;
	step = SPIN_STAY;
	ended = 0;
}

static void works_ticks(unsigned long ticks)
{
	now += ticks;
	ran += ticks;
}

static void works(unsigned long us)
{
	works_ticks(us * US);
}

/* As spinning_give() takes a turn, when another CPU is free. */
static void give(int stub_sleeps)
{
	step = spin_give(&spin, now, stub_sleeps);
	if (step == SPIN_MOVE)
		spin_begin(&spin, now, ran);
	else if (step == SPIN_REVIEW)
		ended = spin_review(&spin, now, ran);
}

/* A turn in which neither side sleeps, or both as always. */
static void turn_ticks(unsigned long in_guest, unsigned long in_kernel)
{
	works_ticks(in_guest);
	spin_trapped(&spin, now);
	works_ticks(in_kernel);
	give(0);
}

static void turn(unsigned long in_guest, unsigned long in_kernel)
{
	turn_ticks(in_guest * US, in_kernel * US);
}

static void turns(unsigned int count, unsigned long us)
{
	while (count--)
		turn(us / 2, us - us / 2);
}

/* This thread polls in vain for poll us, then sleeps for us, of which the stub runs for busy us. */
static void trap_after(unsigned long poll, unsigned long us, unsigned long busy)
{
	works(poll);
	spin_missed(&spin, now, stub_ran);
	now += us * US;
	stub_ran += busy * US;
	spin_trapped(&spin, now);
	spin_overslept(&spin, stub_ran);
	works(1);
	give(0);
}

/* A turn in which this thread polls in vain, and the stub traps just then. */
static void vain_turn(unsigned long us, int stub_sleeps)
{
	works(us);
	spin_missed(&spin, now, stub_ran);
	spin_trapped(&spin, now);
	give(stub_sleeps);
}

static void long_trap(unsigned long us, unsigned long busy)
{
	trap_after(spin_poll_us(&spin), us, busy);
}

/* A phase whose review is the next thing to come, after which turns cost us each. */
static void start_phase(void)
{
	start_at(US);
	turns(spin_rules.fast_turns, ASLEEP);
	need(spin.state == SPIN_PHASE);
}

static void finish_review(unsigned long us)
{
	turns(spin_rules.review_turns - spin.turns, us);
	need(step == SPIN_REVIEW);
}

/* The turns of a pause, until just after its end. Slow ones, so that no phase begins. */
static void outlast_pause(void)
{
	turn(0, spin.pause / US + 1);
	need(spin.state == SPIN_WATCHING);
}

/* Fast turns until the next phase. */
static void to_next_phase(void)
{
	outlast_pause();
	turns(spin_rules.fast_turns, ASLEEP);
	need(spin.state == SPIN_PHASE);
}

/* ---- before a phase ---- */

static void check_watching(void)
{
	start_at(US);
	turns(spin_rules.fast_turns - 1, ASLEEP);
	check(spin.state == SPIN_WATCHING && !spin_poll_us(&spin) && !spin_stub_poll_us(&spin),
	      "one fast turn too few begins no phase, and nobody polls");
	turns(1, ASLEEP);
	check(spin.state == SPIN_PHASE, "enough fast turns begin a phase");

	start_at(US);
	turns(20, ASLEEP);
	turns(5, spin_rules.fast_us);
	turns(spin_rules.fast_turns - 11, ASLEEP);
	check(spin.state == SPIN_WATCHING, "a slow turn takes back two fast ones");
	turns(1, ASLEEP);
	check(spin.state == SPIN_PHASE, "and as many more begin the phase");

	start_at(US);
	for (int i = 0; i < 1000; i++) {
		turns(2, ASLEEP);
		turns(1, 500);
	}
	check(spin.state == SPIN_WATCHING, "one slow turn in three, and no phase ever begins");
}

static void check_fast(void)
{
	unsigned long fast = spin_rules.fast_us * US;

	start_at(US);
	for (unsigned int i = 0; i < spin_rules.fast_turns; i++)
		turn_ticks(fast - 1, 0);
	check(spin.state == SPIN_PHASE, "a turn one tick shorter than fast_us is fast");
	turn_ticks(fast - 2, 1);
	check(!spin.slow && spin.spent == fast - 1, "in a phase as well, at its whole price");
	turn_ticks(fast - 1, 1);
	check(spin.slow == 1 && spin.spent == fast - 1, "one of fast_us is slow there");

	start_at(US);
	turns(1, 16);
	check(spin.sleeping == 16 * US, "the price asleep begins as that of the first fast turn");
	turns(1, 32);
	check(spin.sleeping == 17 * US, "and moves a sixteenth of the way to each other one");
	turns(1, 1000);
	check(spin.sleeping == 17 * US, "but to a slow one");
}

static void check_no_cpu(void)
{
	start_at(US);
	turns(spin_rules.fast_turns - 1, ASLEEP);
	works(ASLEEP);
	step = spin_give(&spin, now, 0);
	check(step == SPIN_MOVE && spin.state == SPIN_WATCHING,
	      "the phase begins when the caller has another CPU, not before");
	works(ASLEEP);
	check(spin_give(&spin, now, 0) == SPIN_MOVE, "a refused CPU is asked for at the next turn");
}

/* ---- the phase ---- */

static void check_gain(void)
{
	start_phase();
	finish_review(2);
	check(spin.state == SPIN_PHASE && !spin.pause && !ended,
	      "a phase whose turns are cheaper than asleep continues");
	finish_review(ASLEEP + 1);
	check(spin.state == SPIN_PAUSE && ended, "until its turns are dearer");

	start_phase();
	finish_review(ASLEEP);
	check(spin.state == SPIN_PAUSE, "a phase whose turns cost the same ends");

	start_phase();
	turns(1, 100);
	spin_waits_for_disk(&spin);
	long_trap(100, 50);
	need(spin.slow && spin.vain && spin.waited && spin.slept && spin.spent);
	finish_review(2);
	need(spin.state == SPIN_PHASE);
	check(!spin.turns && !spin.slow && !spin.vain && !spin.waited && !spin.slept && !spin.spent,
	      "after a review everything is counted from zero");
}

static void check_slow(void)
{
	start_phase();
	for (unsigned int i = 0; i < spin_rules.review_turns; i += 4) {
		turns(2, 2);
		turn(1, 300);
		turn(300, 1);
	}
	check(spin.state == SPIN_PHASE, "slow turns of guest and kernel are in no price");

	start_phase();
	for (unsigned int i = 0; i < spin_rules.review_turns; i += 4) {
		turns(1, 2);
		turns(3, 300);
	}
	check(spin.state == SPIN_PAUSE, "a phase ends if most of its turns are slow");
}

static void check_polling(void)
{
	start_phase();
	check(spin_poll_us(&spin) == spin_rules.poll_us &&
	      spin_stub_poll_us(&spin) == spin_rules.poll_us, "in a phase both sides poll");
	works(1);
	give(1);
	check(spin_poll_us(&spin) == spin_rules.wake_us,
	      "this thread polls for longer after it had to wake the stub");
	turns(1, 2);
	check(spin_poll_us(&spin) == spin_rules.poll_us, "in that turn only");
	check(spin_stub_poll_us(&spin) == spin_rules.poll_us, "which is nothing to the stub");
	spin_waits_for_disk(&spin);
	works(1);
	give(1);
	turns(spin_rules.patient_turns - 1, 2);
	check(spin_stub_poll_us(&spin) == spin_rules.wake_us,
	      "the stub polls for longer once it fell asleep during a wait for a disk");
	turns(1, 2);
	check(spin_stub_poll_us(&spin) == spin_rules.poll_us, "and stops that after some turns");
}

static void check_vain(void)
{
	const unsigned int share = 20;	/* vain polls in so many times vain_share turns */
	unsigned int i;

	start_phase();
	for (i = 1; step != SPIN_REVIEW; i++) {
		works(20);
		give(1);
	}
	check(i == spin_rules.vain_base + 2 && spin.state == SPIN_PAUSE,
	      "a phase in which the stub always sleeps ends after a few turns");

	start_phase();
	for (i = 0; i < spin_rules.review_turns - 1; i++) {
		works(2);
		give(!(i % (2 * spin_rules.vain_share)));
		if (step == SPIN_REVIEW)
			break;
	}
	check(i == spin_rules.review_turns - 1, "a few vain polls bring no early review");

	start_phase();
	turns(share * (spin_rules.vain_share - 1) - spin_rules.vain_base, 2);
	for (i = 0; i < share + spin_rules.vain_base; i++)
		vain_turn(2, 0);
	check(spin.turns == share * spin_rules.vain_share && step == SPIN_STAY,
	      "vain_base vain polls and one in vain_share turns bring none");
	vain_turn(2, 0);
	check(step == SPIN_REVIEW, "one more does");
}

/* ---- a loaded host ---- */

static void check_loaded(void)
{
	unsigned long budget = spin_rules.review_turns * ASLEEP;

	start_phase();
	turns(10, 2);
	now += (budget + 100) * US;
	turns(1, 2);
	check(step == SPIN_REVIEW && spin.state == SPIN_PAUSE,
	      "a thread that waits too long for its CPU ends the phase at once");

	start_phase();
	turns(10, 2);
	now += (budget - 100) * US;
	turns(1, 2);
	check(step == SPIN_REVIEW && spin.state == SPIN_PHASE && spin.turns == 11,
	      "a wait that the turns to come may win back does not");
	finish_review(2);
	check(spin.state == SPIN_PAUSE, "and the review counts it");

	start_phase();
	turns(10, 2);
	spin_sleeps(&spin, now);
	now += 2 * budget * US;
	spin_woke(&spin, now);
	turns(1, 2);
	check(spin.state == SPIN_PHASE, "a thread that slept by itself did not wait for a CPU");

	start_phase();
	turns(10, 2);
	works(2 * budget);
	turns(1, 2);
	check(spin.state == SPIN_PHASE, "nor did one that worked");

	start_phase();
	works(20 * budget);
	for (int i = 0; i < 2; i++) {
		spin_sleeps(&spin, now);
		now += 5 * budget * US;
		spin_woke(&spin, now);
	}
	turns(1, 2);
	check(spin.state == SPIN_PHASE, "nor one that worked and slept, and slept again");
	now += (budget + 100) * US;
	turns(1, 2);
	check(spin.state == SPIN_PAUSE, "until it has to wait, too");
}

static void check_waits(void)
{
	unsigned long budget = spin_rules.review_turns * ASLEEP;

	start_phase();
	turn(spin_rules.long_us, 0);
	check(step == SPIN_STAY, "a turn of long_us is not reviewed");
	turn_ticks(spin_rules.long_us * US, 1);
	check(step == SPIN_REVIEW && spin.state == SPIN_PHASE && !ended, "a longer one is");

	start_phase();
	turns(10, 2);
	now += (budget - 20) * US;
	turns(1, 2);
	check(step == SPIN_REVIEW && spin.state == SPIN_PHASE,
	      "a wait as long as the turns to come may win back ends no phase");
	start_phase();
	turns(10, 2);
	now += (budget - 20) * US + 1;
	turns(1, 2);
	check(spin.state == SPIN_PAUSE, "one that is a tick longer does");

	start_phase();
	finish_review(2);
	turns(10, 2);
	now += (budget + 100) * US;
	turns(1, 2);
	check(spin.state == SPIN_PAUSE, "so does a long one after a review that found a gain");

	start_phase();
	long_trap(3000, 3000);
	now += (budget + 100) * US;
	turns(1, 2);
	check(spin.state == SPIN_PAUSE, "or after this thread slept while the stub computed");
}

static void check_lost(void)
{
	start_phase();
	long_trap(3000, 3000);
	check(spin.spent == spin_rules.fast_us * US,
	      "a sleep while the stub computes costs no more than a fast turn");

	start_phase();
	long_trap(3000, 1000);
	check(spin.spent == (2000 + spin_rules.fast_us) * US,
	      "the time that the stub had no CPU is in the price");

	start_phase();
	long_trap(50000, 0);
	check(spin.spent == (spin_rules.max_lost_us + spin_rules.fast_us) * US,
	      "up to what a host may lose to its own host");
	turns(1, 2);
	check(spin.spent == (spin_rules.max_lost_us + spin_rules.fast_us + 2) * US,
	      "and in the price of that turn only");

	start_phase();
	long_trap(3000, 3000);
	long_trap(3000, 1000);
	check(spin.spent == (2000 + 2 * spin_rules.fast_us) * US,
	      "time that the stub ran in the turn before is not taken for this one's");

	start_phase();
	trap_after(0, 3000, 10);
	check(!spin.slow && spin.spent == (2990 + 10 + 1) * US,
	      "a turn that is fast but for the stub's wait is fast");
}

static void check_waking(void)
{
	start_phase();
	works(1);
	give(1);
	turn(300, 1);
	check(spin.spent == (1 + spin_rules.fast_us) * US,
	      "after the stub was woken, a slow turn costs as much as a fast one");
	turn(300, 1);
	check(spin.spent == (1 + spin_rules.fast_us) * US, "and the next one nothing");
	long_trap(300, 300);
	turn(300, 1);
	check(spin.spent == (1 + 2 * spin_rules.fast_us) * US, "the same if this thread slept");
}

/* ---- waits for a disk ---- */

static void disk_turns(unsigned int count, unsigned long us)
{
	while (count--) {
		spin_waits_for_disk(&spin);
		turns(1, us);
	}
}

/* A phase after turns of about 20 us, one in three of them a slow one. */
static void start_paced(void)
{
	start_at(US);
	turn(1, 1);
	while (!spin.pace) {
		turns(2, ASLEEP);
		turns(1, 4 * ASLEEP);
	}
	need(spin.state == SPIN_WATCHING && spin.pace / US >= 19);
	turns(spin_rules.fast_turns, ASLEEP);
	need(spin.state == SPIN_PHASE);
}

/* A review of turns that are slow us in one of three, and waited for a disk then. */
static void review_beside_disk(unsigned long slow)
{
	while (step != SPIN_REVIEW) {
		turns(2, 5);
		if (step != SPIN_REVIEW)
			disk_turns(1, slow);
	}
}

/* A phase after turns of pace us each. */
static void start_phase_at_pace(unsigned long pace)
{
	start_at(US);
	turn(1, 1);
	turns(spin_rules.pace_turns, pace);
	need(spin.state == SPIN_WATCHING && spin.pace == pace * US);
	turns(spin_rules.fast_turns, ASLEEP);
	need(spin.state == SPIN_PHASE);
}

/*
 * Turns until the count-th of the phase or its review, slow us in one of three. The first of the
 * slow ones waited for a disk.
 */
static void some_wait(unsigned int count, unsigned int waiting, unsigned long slow)
{
	while (step != SPIN_REVIEW && spin.turns < count) {
		if (spin.turns % 3) {
			turns(1, 5);
		} else if (spin.waited < waiting) {
			disk_turns(1, slow);
		} else {
			turns(1, slow);
		}
	}
}

/* A review after count turns, early because of vain polls, waiting of which waited for a disk. */
static void review_after(unsigned int count, unsigned int waiting)
{
	unsigned int vain = spin_rules.vain_base + count / spin_rules.vain_share;

	start_paced();
	if (count < spin_rules.review_turns) {
		some_wait(count - vain, waiting, 200);
		while (spin.turns < count - 1)
			vain_turn(5, 0);
		need(step == SPIN_STAY && spin.turns == count - 1);
		vain_turn(5, 1);	/* counts twice */
	} else {
		some_wait(count, waiting, 200);
	}
	need(step == SPIN_REVIEW);
}

/* A review whose turns, of which enough waited for a disk, took ticks in all. */
static void review_taking(unsigned long ticks)
{
	some_wait(spin_rules.review_turns - 1, -1, 100);
	turn_ticks(0, spin.reviewed + ticks - now);
	need(step == SPIN_REVIEW);
}

static void check_disk(void)
{
	start_paced();
	review_beside_disk(200);
	check(spin.state == SPIN_PAUSE,
	      "where the kernel waits for a disk, a phase ends if all turns take longer");
	start_paced();
	review_beside_disk(48);
	check(spin.state == SPIN_PAUSE, "or not much less");
	start_paced();
	review_beside_disk(44);
	check(spin.state == SPIN_PHASE, "and continues if they do");

	start_paced();
	some_wait(spin_rules.review_turns, 0, 200);
	check(step == SPIN_REVIEW && spin.state == SPIN_PHASE,
	      "turns that take longer end none without a disk");
}

static void check_disk_borders(void)
{
	unsigned int turns = spin_rules.review_turns, share = turns / spin_rules.disk_share;
	unsigned long gain = turns * (48 * US - 48 * US / 16);

	review_after(turns, share - 1);
	check(spin.state == SPIN_PHASE, "fewer waits than one in disk_share turns change nothing");
	review_after(turns, share);
	check(spin.state == SPIN_PAUSE, "one more counts");
	review_after(turns - 1, share - 1);
	check(spin.state == SPIN_PAUSE, "a share that is no whole number is rounded down");

	review_after(spin_rules.pace_turns - 1, -1);
	check(spin.state == SPIN_PHASE, "in an early review of less than pace_turns none counts");
	review_after(spin_rules.pace_turns, -1);
	check(spin.state == SPIN_PAUSE, "of more turns they do");

	start_phase_at_pace(48);
	review_taking(gain);
	check(spin.state == SPIN_PHASE, "a pace that is better by a sixteenth is a gain");
	start_phase_at_pace(48);
	review_taking(gain + turns);
	check(spin.state == SPIN_PAUSE, "one that is a tick a turn worse is not");
}

static void check_disk_pace(void)
{
	start_phase();
	disk_turns(spin_rules.review_turns, 2);
	check(spin.state == SPIN_PAUSE, "with a disk, it ends if the pace before is not known");

	start_at(US);
	turn(1, 1);
	turns(spin_rules.pace_turns - 2, 50);
	disk_turns(1, spin_rules.rest_us + 1);
	check(spin.paced == spin_rules.pace_turns - 1, "a long wait for a disk is in the pace");
	turns(1, spin_rules.rest_us + 1);
	check(!spin.pace && !spin.paced, "a rest of the guest begins another average of the pace");
	turns(spin_rules.pace_turns, 50);
	check(spin.pace == 50 * US, "which is that of the turns since");
	turns(spin_rules.pace_turns, 45);
	check(spin.pace == 45 * US, "each average is of pace_turns turns of its own");
	turns(1, spin_rules.rest_us);
	check(spin.pace && spin.paced == 1, "a turn of rest_us is no rest");
	turn_ticks(spin_rules.rest_us * US, 1);
	check(!spin.pace && !spin.paced, "with a rest the pace is not known any more");

	start_phase_at_pace(50);
	finish_review(ASLEEP);
	check(spin.state == SPIN_PAUSE && !spin.pace && !spin.paced, "nor is it after a phase");
	turn(300, 300);
	turns(spin_rules.pace_turns - 1, 50);
	check(!spin.pace, "whose turns, and the first one after it, are in no average");
	turns(1, 50);
	check(spin.pace == 50 * US, "which all that follow are");
}

/* ---- the pause ---- */

static void check_pause(void)
{
	unsigned long first;

	start_phase();
	finish_review(ASLEEP);
	check_equal(spin.pause / US, spin_rules.pause_factor * spin_rules.review_turns * ASLEEP,
		    "the pause is a multiple of what the turns took");
	first = spin.pause;
	turns(first / US / ASLEEP, ASLEEP);
	check(spin.state == SPIN_PAUSE, "in it fast turns begin no phase");
	turns(1, ASLEEP);
	check(spin.state == SPIN_PHASE, "with its end they do");
	finish_review(ASLEEP);
	check(spin.pause == 2 * first, "a second phase without a gain doubles the pause");
	to_next_phase();
	finish_review(5 * ASLEEP);
	check(spin.pause == 5 * first, "a third one that took longer pauses in proportion to that");
	for (int i = 0; i < 10; i++) {
		to_next_phase();
		finish_review(ASLEEP);
	}
	check(spin.pause == spin_rules.max_pause_us * US, "up to a limit");
	to_next_phase();
	finish_review(2);
	finish_review(ASLEEP);
	check(spin.pause == first, "a review that finds a gain forgets the pauses before");
}

/* Where one turn more or less decides. */
static void check_end_of_pause(void)
{
	start_phase();
	finish_review(ASLEEP);
	turn_ticks(spin.not_before - now, 0);
	check(spin.state == SPIN_PAUSE, "a pause lasts until its end");
	turn_ticks(1, 0);
	check(spin.state == SPIN_WATCHING, "and a tick later it is over");

	start_phase();
	finish_review(ASLEEP);
	turns(spin_rules.fast_turns + 1, ASLEEP);
	outlast_pause();
	check(step == SPIN_STAY && spin.fast == spin_rules.fast_turns - 1,
	      "fast turns before the phase count no more after it");
	turns(1, ASLEEP);
	check(spin.state == SPIN_PHASE, "but those in the pause");
}

static void check_pause_of_sleeper(void)
{
	start_phase();
	spin_sleeps(&spin, now);
	now += 1000000 * US;
	spin_woke(&spin, now);
	finish_review(ASLEEP);
	check_equal(spin.pause / US, spin_rules.pause_factor * spin_rules.review_turns * ASLEEP,
		    "time in which the thread slept makes no pause longer");
}

static void check_wrap(void)
{
	start_at(-2 * ASLEEP * spin_rules.review_turns * US);
	turns(spin_rules.fast_turns, ASLEEP);
	finish_review(ASLEEP);
	need(spin.not_before < spin.given);
	turns(spin_rules.fast_turns, ASLEEP);
	check(spin.state == SPIN_PAUSE, "a pause lasts beyond the end of the clock's range");
	outlast_pause();
	check(spin.state == SPIN_WATCHING, "and ends after it");
}

int main(void)
{
	check_watching();
	check_fast();
	check_no_cpu();
	check_gain();
	check_slow();
	check_polling();
	check_vain();
	check_loaded();
	check_waits();
	check_lost();
	check_waking();
	check_disk();
	check_disk_borders();
	check_disk_pace();
	check_pause();
	check_end_of_pause();
	check_pause_of_sleeper();
	check_wrap();
	return check_done();
}
