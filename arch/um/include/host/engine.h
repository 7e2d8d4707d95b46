/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 3: engines. An engine runs guest code in a stub process and says why it stopped.
 * The kernel side knows the table below and nothing of how it is done.
 *
 * All functions run on the thread of the virtual CPU, with interrupts soft-disabled, and may sleep in the host
 * (for as long as guest code runs, in run()). Errors are negative errno values.
 */
#ifndef HOST_ENGINE_H
#define HOST_ENGINE_H

#include <host/regs.h>

/* One guest address space: a stub process. */
struct host_space;

enum host_trap_kind {
	TRAP_SYSCALL,		/* number in regs->orig_ax; 6 arguments in their registers */
	TRAP_FAST_SYSCALL,	/* the same, from a patched site that jumped to fast_entry */
	TRAP_COMPAT_SYSCALL,	/* a system call of the 32-bit kind, by int $0x80 (two bytes before the instruction pointer) */
	TRAP_FAULT,		/* page fault: address, and the error code where the engine knows it */
	TRAP_RAM,		/* the host says that it cannot give the page of guest RAM that is mapped at address */
	TRAP_EXCEPTION,		/* other exception: signo, code, address as in siginfo_t */
	TRAP_INTERRUPT,		/* the virtual CPU has interrupts pending */
	TRAP_LOST,		/* the stub process is gone or unusable: the guest process must die */
};

struct host_trap {
	enum host_trap_kind kind;
	int signo, code;		/* TRAP_EXCEPTION, and TRAP_FAULT (SIGSEGV or SIGBUS) */
	unsigned long address;
	/*
	 * TRAP_FAULT: x86 page fault error code; HOST_FAULT_GUESS set when only the present bit is sure.
	 * TRAP_EXCEPTION: that of exception number vector; -1 where the engine does not know it.
	 */
	unsigned long error_code;
	int vector;
};

#define HOST_FAULT_GUESS	(1UL << 63)	/* write and fetch bits are not known */
#define HOST_FAULT_PRESENT	1UL		/* the host had a mapping there, of too few rights */

/* One change to the host's mappings of a guest address space. */
struct host_map {
	unsigned long start, length;	/* bytes, page aligned */
	unsigned long offset;		/* into guest RAM, for HOST_MAP */
	unsigned char op;		/* HOST_MAP, HOST_UNMAP, HOST_PROTECT */
	unsigned char prot;		/* PROT_READ 1 | PROT_WRITE 2 | PROT_EXEC 4 */
};
enum { HOST_MAP, HOST_UNMAP, HOST_PROTECT };
#define HOST_MAP_BATCH 64		/* at most this many in one call of apply */

#define HOST_STEP	1		/* run(): stop after one instruction */
#define HOST_NO_TSC	2		/* run(): rdtsc and rdtscp fault */

struct engine {
	const char *name;
	/*
	 * Guest code of a space surely stands still whenever run() is not running it. Where it may not, because a hostile thread can
	 * look stopped and go on, what a flush takes away must be gone on the host before the flush returns (kernel/hostmap.c).
	 */
	int proves_stop;
	/* Makes an empty address space. page: a zeroed page of guest RAM that the engine owns until destroy. */
	int (*create)(struct host_space **space, void *page, unsigned long page_offset);
	/*
	 * Ends it; its page is free afterwards. Guest RAM is out of reach of its guest code when this returns: in particular, an
	 * engine without proves_stop has unmapped it all in one call, or killed the stub. Called for a space whose last user is gone, and
	 * for one whose mappings could not be dropped.
	 */
	void (*destroy)(struct host_space *space);
	/* Applies count changes in order. On an error some may have been applied: drop what they covered. */
	int (*apply)(struct host_space *space, const struct host_map *changes, int count);
	/* Runs guest code from *regs until a trap; *regs is then the state at the trap. */
	void (*run)(struct host_space *space, struct host_regs *regs, int how, struct host_trap *trap);
	/*
	 * Where in the stub guest code may jump to in place of a system call instruction, with %rcx the address behind it and all other
	 * registers as for it. 0 if that does not work here; NULL: under this engine it never does.
	 */
	unsigned long (*fast_entry)(struct host_space *space);
	/*
	 * Extended state (x87 and up), in the layout of the XSAVE instruction's standard form, of
	 * host_xstate_size bytes: out of and into the stub.
	 */
	int (*get_xstate)(struct host_space *space, void *xstate);
	int (*set_xstate)(struct host_space *space, const void *xstate);
	/* Debug registers 0 to 7 of the stub; -EINVAL or -EIO as the host says. */
	int (*set_debug)(struct host_space *space, int number, unsigned long value);
	int (*get_debug)(struct host_space *space, int number, unsigned long *value);
};

/* Whether HOST_NO_TSC can be had from this host: 0 or -errno. */
int host_tsc_can_fault(void);

extern const struct engine *host_engine;	/* chosen at start */
extern const char *host_engine_reason;	/* why this one, in a few words */
extern unsigned int host_xstate_size;		/* bytes of extended state; 512 where there is only FXSAVE */
extern unsigned long host_xfeatures;		/* XCR0; 0: FXSAVE only */
extern unsigned long host_hwcap2;		/* AT_HWCAP2 of the host (FSGSBASE) */
extern unsigned long host_task_size;		/* guest addresses end here; stub pages lie above */
extern unsigned int host_area_budget;		/* mappings that one stub process may have */
extern unsigned long host_stubs_made, host_stubs_reused;	/* by create() */
extern unsigned long host_turns_slept, host_turns_spun;	/* traps of the seccomp engine, by how they were awaited */
extern unsigned long host_spin_phases;	/* times that spinning began */

#endif
