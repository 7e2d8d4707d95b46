/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether the handoff of the seccomp engine spins: done by spinning.c, asked by handoff.c. For the
 * thread of a virtual CPU.
 */
#ifndef OS_SPINNING_H
#define OS_SPINNING_H

/*
 * Before a turn is given. stub_sleeps: the stub would have to be woken. Returns how many loops the
 * stub is to poll for its next turn; 0: it sleeps at once.
 */
unsigned int spinning_give(int stub_sleeps);
/*
 * After the turn was given to the stub process pid. In a spin phase, polls *turn until it is
 * wanted. Returns 0 if it did not become that: then sleep, and say so to spinning_trapped() when
 * the turn has come back.
 */
int spinning_poll(const unsigned int *turn, unsigned int wanted, int pid);
/* Before such a sleep: as spinning_give() returns it, for a stub that has to wake this thread. */
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
