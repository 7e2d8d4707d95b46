/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which instance is to have how much memory: a function of what is known about all of them,
 * without any side effect, so that tests can try it.
 */
#ifndef UML_MEMD_POLICY_H
#define UML_MEMD_POLICY_H

#include <stdint.h>

#define POLICY_MIB	(UINT64_C(1) << 20)

struct policy_guest {
	/* Facts. */
	const char *name;
	uint64_t size;			/* bytes that it has */
	uint64_t minimum, maximum;	/* bytes that it may have */
	unsigned int weight;		/* compared with those of the others, at least 1 */
	uint64_t available;		/* bytes that its programs could still use */
	double pressure; /* percent of the time that tasks wait for it; -1: unknown */
	/* Kept from one decision to the next, 0 at first. */
	unsigned int calm;		/* decisions in a row in which it had memory to spare */
	/* The decision. */
	uint64_t target;		/* bytes that it should have; size: no change */
	const char *why;		/* in words, if there is a change */
};

struct policy_rules {
	uint64_t budget;		/* bytes that all may have together */
	unsigned int low; /* percent: with less available a guest is short of memory */
	unsigned int high;		/* percent: with more available it has memory to spare */
	double pressure;		/* percent: with more it is short of memory, too */
	unsigned int patience; /* decisions that memory is to spare before it is taken */
	uint64_t step;			/* bytes: the least that is moved */
};

/*
 * Sets target and why of each guest, and counts calm. No guest is made smaller than its minimum,
 * and no target is above a maximum. All targets together are within the budget, or as far down as
 * the minimums allow.
 */
void policy_decide(struct policy_guest *guests, int count, const struct policy_rules *rules);

/* Facts about the host, or about the control group that limits the instances. */
struct policy_host {
	uint64_t available;	/* bytes */
	double pressure;	/* percent of the time that tasks wait for memory; -1: unknown */
	uint64_t reserve;	/* bytes that should be available at least */
};

/*
 * The budget for instances of @size together, which should be @nominal if the host can: less than
 * @size while the host is short, and no more than that until it has some to spare.
 */
uint64_t policy_budget(uint64_t nominal, uint64_t size, const struct policy_host *host,
		       const struct policy_rules *rules);

#endif
