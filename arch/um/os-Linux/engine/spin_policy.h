/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a handoff of the seccomp engine spins or sleeps: a state machine for each virtual CPU.
 *
 * Its functions receive events with their times. They read no clock and call nothing, so that
 * tests/unit/spinning.c can walk through the states with any times. spinning.c, which
 * reads the clocks and moves threads, is the only user. A struct spin that is zero but for
 * ticks_per_us is in its first state.
 *
 *  state          the two sides              it ends when                      and becomes
 *  SPIN_WATCHING  sleep; fast turns count    fast_turns of them were counted,  SPIN_PHASE
 *                                            and the caller has another CPU
 *  SPIN_PHASE     poll before they sleep     a review finds no gain            SPIN_PAUSE
 *  SPIN_PAUSE     sleep, as while watching   its time is over                  SPIN_WATCHING
 *
 * A turn lasts from one spin_give() to the next: first the stub has it, then the kernel. It is
 * fast if it takes less than fast_us. All times are in ticks of the TSC, CPU times included.
 */
#ifndef OS_SPIN_POLICY_H
#define OS_SPIN_POLICY_H

struct spin_rules {
	unsigned int fast_us, fast_turns, poll_us, wake_us, patient_turns;
	unsigned int review_turns, vain_base, vain_share, long_us, max_lost_us;
	unsigned int pace_turns, rest_us, disk_share;
	unsigned int pause_factor, max_pause_us;
};

static const struct spin_rules spin_rules = {
	/* Covers a trap and a short system call. A guest that computes has few such turns. */
	.fast_us = 40,
	/* A phase costs a move to another CPU, so a handful of fast turns is no reason for one. */
	.fast_turns = 32,
	/* A side that answers within a fast turn is seen. Longer would only heat the CPU. */
	.poll_us = 60,
	/*
	 * The side that had to wake the other one polls for longer than waking takes, or it would
	 * be asleep when the answer comes. Then the other would wake it, and so on by turns.
	 */
	.wake_us = 600,
	/* After a wait for a disk, more of them follow. The stub then polls for that long, too. */
	.patient_turns = 64,
	/* Enough to average, and short enough that a phase without a gain costs milliseconds. */
	.review_turns = 1024,
	/* A review comes early after more vain polls than vain_base and one turn in vain_share. */
	.vain_base = 4,
	.vain_share = 16,
	/* In a turn as long as this one, the thread may have waited for its CPU. */
	.long_us = 1000,
	/* A host that is a guest itself may lose its CPU for longer, which says nothing of us. */
	.max_lost_us = 4000,
	/* Turns over which the pace without spinning is averaged. */
	.pace_turns = 256,
	/* A longer turn is a rest of the guest, unless it waited for a disk, and no pace. */
	.rest_us = 5000,
	/* The pace counts in a review if the kernel waited for a disk in one turn of so many. */
	.disk_share = 64,
	/* A pause is this multiple of a phase without a gain, so tries cost some percent. */
	.pause_factor = 8,
	/* Pauses double on a loaded host, up to here, so a host that got idle is noticed. */
	.max_pause_us = 2000000,
};

enum spin_state { SPIN_WATCHING, SPIN_PHASE, SPIN_PAUSE };

/* The caller's part of a turn. */
enum spin_step {
	SPIN_STAY,	/* nothing */
	SPIN_MOVE,	/* move to another CPU than the stub's; if that succeeds, spin_begin() */
	SPIN_REVIEW,	/* read the thread's CPU time and call spin_review() */
};

struct spin {
	enum spin_state state;
	unsigned long ticks_per_us;

	/* The turn under way. */
	unsigned long given;		/* when the stub got it */
	unsigned long trapped;		/* when the kernel got it back */
	int woke_stub;			/* the stub slept and had to be woken */
	int overslept;			/* this thread slept before the stub trapped */
	int disk;			/* the kernel waited for a disk */
	unsigned long asleep;		/* when this thread fell asleep */
	unsigned long stub_ran;		/* the stub's CPU time then */
	unsigned long lost;		/* ticks in which a stub that had the turn did not run */
	unsigned int patient;		/* turns for which the stub still polls for wake_us */

	/* Without spinning. */
	unsigned int fast;		/* fast turns, less two for each slow one */
	unsigned long sleeping;		/* average ticks of a fast turn */
	unsigned long pace;		/* ticks from turn to turn; 0: not known */
	unsigned long pace_from;	/* when the turns that are averaged next began */
	unsigned int paced;		/* the number of these turns so far */

	/* In the phase, since its last review. */
	unsigned long reviewed;		/* when that was */
	unsigned long ran;		/* this thread's CPU time then */
	unsigned long slept;		/* ticks that this thread has slept since */
	unsigned long spent;		/* price of the turns, in ticks */
	unsigned int turns;
	unsigned int slow;		/* turns that were not fast */
	unsigned int vain;		/* polls that ended in sleep, of either side */
	unsigned int waited;		/* turns in which the kernel waited for a disk */

	/* The pause. */
	unsigned long not_before;	/* when it ends */
	unsigned long pause;		/* its length; 0 after a review that found a gain */
};

/* The kernel gives the turn to the stub. stub_sleeps: it has to be woken for that. */
enum spin_step spin_give(struct spin *s, unsigned long now, int stub_sleeps);
/* After SPIN_MOVE: this thread has another CPU. ran: its CPU time. */
void spin_begin(struct spin *s, unsigned long now, unsigned long ran);
/* After SPIN_REVIEW. Returns whether that ended the phase. */
int spin_review(struct spin *s, unsigned long now, unsigned long ran);

/* How long this thread and the stub poll for their next turn, in microseconds; 0: not at all. */
unsigned int spin_poll_us(const struct spin *s);
unsigned int spin_stub_poll_us(const struct spin *s);
/* This thread polled in vain and sleeps now. stub_ran: the stub's CPU time. */
void spin_missed(struct spin *s, unsigned long now, unsigned long stub_ran);
/* The stub gave the turn back. */
void spin_trapped(struct spin *s, unsigned long now);
/* After spin_trapped(), in a phase, if this thread slept. stub_ran: the stub's CPU time. */
void spin_overslept(struct spin *s, unsigned long stub_ran);

/* This thread sleeps for another reason, and woke. */
void spin_sleeps(struct spin *s, unsigned long now);
void spin_woke(struct spin *s, unsigned long now);
/* In this turn the kernel waited for a disk. */
void spin_waits_for_disk(struct spin *s);

#endif
