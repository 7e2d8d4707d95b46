/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the seccomp engine's handoff spins: decided by spinning.c, asked by handoff.c. For the thread of a virtual CPU. */
#ifndef OS_SPINNING_H
#define OS_SPINNING_H

/* Before a turn is given. stub_sleeps: the stub would have to be woken. How often the stub is to look for its next turn; 0: not at all. */
unsigned int spinning_give(int stub_sleeps);
/*
 * After it was given to the stub process pid: looks for *turn to become wanted, if a stint is under way. 0: it did not, so sleep, and
 * say so to spinning_trapped when the turn has come back.
 */
int spinning_look(const unsigned int *turn, unsigned int wanted, int pid);
/* Before such a sleep: what spinning_give() says, for a stub that has to wake this thread. */
unsigned int spinning_answer(void);
void spinning_trapped(int pid, int slept);
/* Around sleeping for another reason. */
void spinning_sleeps(void);
void spinning_woke(void);
/* In this turn the kernel waited for a disk. */
void spinning_waits_for_disk(void);
/* Once, at start. */
void spinning_init(void);

#endif
