/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stub processes of the seccomp engine: made and ended by seccomp_stub.c, given turns and requests
 * by handoff.c.
 */
#ifndef SECCOMP_STUB_H
#define SECCOMP_STUB_H

#include "../../stub/seccomp.h"
#include "seccomp_frame.h"

/*
 * runaway.c: a guest thread that has claimed a trap. CPU times in ns, at the last check. The
 * virtual CPU that runs it writes turns, the check all below it, and both write suspect.
 */
struct runaway {
	int suspect;			/* it has run and was not seen to stand still since */
	unsigned int turns;
	unsigned int seen_turns;
	unsigned long long ran, thread_ran;
};

struct host_space {
	int pid;			/* also the thread id of the guest thread */
	int mapper;			/* thread id */
	int cpu, mapper_cpu;		/* host CPUs that they are pinned to */
	/* the process was killed and waited for; its ids are no longer ours */
	int gone;
	/* of child processes, when it was last looked whether this is one */
	unsigned int deaths_seen;
	unsigned int slot;		/* in the control file */
	unsigned long base;		/* address of its pages */
	/* what the guest thread has, where guest code cannot change them; ~0: not known */
	unsigned long fs_base, gs_base;
	int no_tsc;			/* its rdtsc faults: 1 or 0; -1: not known */
	struct stub_control *control;
	struct stub_state *state;
	/* what the guest thread goes back with: the host's, or that of a call */
	struct signal_frame *frame;
	void *xstate;			/* extended state in it */
	/* the guest thread waits in a call, extended state still in its registers */
	int called;
	int xstate_set;			/* since then: what is in the frame counts */
	struct runaway runaway;
	struct host_space *next;	/* in the pool */
	struct host_space *all_next, **all_link;
};

/* What the first stub process showed of the host's signal frames; the same for all. */
extern unsigned int host_frame_offset;		/* of struct signal_frame from the state page */
extern unsigned int host_frame_xstate;		/* of extended state from there */
extern struct signal_frame host_first_frame;
extern struct frame_sw_bytes host_frame_sw;

/* Once: the program, the control file. 0 or -errno. */
int seccomp_stub_init(void);
/* Starts a stub process with an empty address space whose guest thread has trapped. 0 or -errno. */
int seccomp_stub_start(struct host_space *space);
/* Kills it and waits for it; its status. seccomp_stub_end also gives back what it had. */
int seccomp_stub_kill(struct host_space *space);
void seccomp_stub_end(struct host_space *space);
/*
 * Makes a stub process that has no guest memory any more, but whose guest thread may have been led
 * anywhere, as good as new. 0, or -errno: end it.
 */
int seccomp_stub_clean(struct host_space *space);
/*
 * From now on it goes back with the frame that the host makes for a signal, or with the one for
 * calls.
 */
void seccomp_use_signal_frame(struct host_space *space);
void seccomp_use_call_frame(struct host_space *space);
/* Puts the extended state of a new program into its frame. */
void seccomp_xstate_init(struct host_space *space);
/* What the stub program offers; no address, but offsets from a base. */
extern const struct stub_entries *seccomp_entries;
/* Is it alive? Never waits. */
int seccomp_stub_lives(const struct host_space *space);

/* seccomp_engine.c: all there are, by all_next. */
extern struct host_space *seccomp_spaces;

/* ---- runaway.c ---- */

/* The guest thread has claimed a trap: it is checked until it is seen to stand still. */
void runaway_watch(struct host_space *space);

/* ---- handoff.c ---- */

/* Once, before there is a stub process. 0 or -errno. */
int handoff_init(void);
/* Gives the turn to the guest thread. */
void handoff_give(struct host_space *space);
/*
 * Waits until it comes back, for limit_ns at most if that is not 0. 0, -ETIMEDOUT, or -ESRCH: the
 * stub process is gone.
 */
int handoff_wait(struct host_space *space, long limit_ns);
/*
 * Lets the mapper perform count requests of the control page. 0, -errno of the one that failed,
 * -ESRCH: it is gone.
 */
int handoff_request(struct host_space *space, unsigned int count);
/* Waits for the mapper's next report: 0, -errno, -ESRCH. */
int handoff_report(struct host_space *space);
/* Drops a report that nobody waited for; the stub process that may have made it was killed. */
void handoff_forget_reports(void);
extern int host_done_fd;	/* the eventfd that mappers report to */

#endif
