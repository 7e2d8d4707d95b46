/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef UM_PATCH_PLAN_H
#define UM_PATCH_PLAN_H

#define CALL_LENGTH	2	/* of the system call instruction */
#define JUMP_LENGTH	5	/* to a distance of 32 bits */
#define SHORT_LENGTH	2	/* of 8 bits */

/* Bytes that patch_plan() looks at before and behind the end of the system call instruction. */
#define PATCH_PLAN_BEFORE	(CALL_LENGTH + 3 + JUMP_LENGTH + 6)
#define PATCH_PLAN_BEHIND	16

/* How a site is to be changed; offsets are from the end of its system call instruction. */
struct patch_plan {
	int start, length;	/* of what a trampoline does in its stead; a jump is written over its start */
	int detour;		/* of the jump of 32 bits, if that is too short for it; 0: it is not */
};

/*
 * patch_plan - whether the site of a system call has a form that is known, and how to change it
 * @code: behind the system call instruction
 * @number: of the call that came from here
 */
bool patch_plan(const unsigned char *code, unsigned long number, struct patch_plan *plan);

#endif
