/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 6: the life of ./linux as a host process, and what the kernel side offers to the host side.
 */
#ifndef HOST_PROCESS_H
#define HOST_PROCESS_H

#include <host/regs.h>

/* ---- host side ---- */

/* Restores terminals, ends stub processes and exits. Never returns; runs nothing of the kernel. */
void __attribute__((noreturn)) host_exit(int status);
/* Starts ./linux again with its own command line; on failure says why and exits 1. */
void __attribute__((noreturn)) host_restart(void);
/*
 * The same after a panic and a pause, which signals that end ./linux end. panics is what host_panics
 * will be then: how many panics have followed each other.
 */
void __attribute__((noreturn)) host_restart_later(unsigned int seconds, unsigned int panics);
extern unsigned int host_panics;
/* What -errno means, in words. */
const char *host_error_text(int error);
/* One line "linux: <message>" on stderr, then host_exit(1). For bad input and impossible hosts. */
void __attribute__((noreturn, format(printf, 1, 2))) host_fatal(const char *format, ...);
/* One line on stderr. */
void __attribute__((format(printf, 1, 2))) host_warn(const char *format, ...);
/* Writes to the host's standard output, with ? for what a terminal would obey, for messages before there is a console. */
void host_early_write(const char *text, unsigned int length);
/* Fills buffer with random bytes of the host; 0 or -errno. */
int host_random(void *buffer, unsigned long length);
/* One-line description of the host (uname). */
const char *host_description(void);

/* The file that initrd= named, in memory: 1 if there is one, 0 if not. host_initrd_free gives the memory back. */
int host_initrd(void **data, unsigned long *length);
void host_initrd_free(void);
/* Makes a part of the image read-only; 0 or -errno. */
int host_image_protect(const void *start, unsigned long length);
/* Makes a part of the image inaccessible and gives its memory back. */
void host_image_discard(void *start, unsigned long length);

extern const char host_release[];		/* version of this kernel, for --version */
extern const char host_config_text[];		/* the .config of this kernel, for --showconfig */

/* ---- kernel side, called by the host side ---- */

/* Boots Linux with this command line, on the initial stack. Runs on the thread of virtual CPU 0. */
void __attribute__((noreturn)) kernel_start(const char *command_line);

/* Lets other threads of the kernel run for some milliseconds. For functions of the contract whose callers may sleep. */
void kernel_pause(void);

/* A trap in kernel-side code: an interrupt (signo 0) or an exception that the host reported as a signal. */
struct kernel_trap {
	struct host_regs regs;
	unsigned long signo, code, address, trapno, error_code;
};
/*
 * Where the signal handler lets the thread continue; %rdi: a struct kernel_trap on the interrupted stack.
 * Interrupts are soft-disabled. Returns to the registers in the structure.
 */
void kernel_trap_entry(struct kernel_trap *trap);

/*
 * Whether a struct kernel_trap, and three words, may be put below sp: no guard page is in the way.
 * Called in the signal handler.
 */
int kernel_stack_has_room(unsigned long sp);
/* True for an address in kernel-side code (text, init text, modules). Called in the signal handler. */
int kernel_text_is_at(unsigned long ip);

#endif
