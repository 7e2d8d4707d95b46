/* SPDX-License-Identifier: GPL-2.0-only */
/* What the port keeps for each guest address space. */
#ifndef __ASM_UM_MMU_H
#define __ASM_UM_MMU_H

struct syscall_patches;
struct host_space;
struct task_struct;

/*
 * A range of guest addresses where the host's mappings may differ from the guest's page tables.
 * zapped: the host may map something also where the tables have nothing; otherwise only entries that
 * are there matter.
 */
struct host_stale {
	unsigned long start, end;
	bool zapped;
};

#define HOST_STALE_RANGES 8

typedef struct mm_context {
	struct host_space *space;		/* stub process; NULL until guest code first runs, and when the last user is gone */
	struct host_space *reserved;		/* made by fork or exec for when guest code first runs */
	int lost;				/* -errno: the stub process had to be given up, and with it the guest's */
	void *space_page;			/* the page that the engine was given */
	struct task_struct *xstate_owner;	/* whose extended state is in the stub */
	unsigned long debug_id;			/* which debug registers are in the stub; 0: none. See asm/debug_regs.h */
	unsigned int areas;			/* at most this many host areas since the last drop of all */
	bool rights_stale;			/* pages may be hosted with more rights than they have */
	/* Pages for trampolines (x86_64/syscall_patch.c) in the vDSO and below the program; 0: none. */
	unsigned long trampolines, far_trampolines;
	struct syscall_patches *patches;	/* NULL: too few system calls were made so far */
	unsigned int calls_seen;
	unsigned int stale_count;
	struct host_stale stale[HOST_STALE_RANGES];
} mm_context_t;

#endif
