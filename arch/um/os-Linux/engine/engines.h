/* SPDX-License-Identifier: GPL-2.0-only */
/* Stub processes and the engines that run them, for the rest of the host side. */
#ifndef ENGINES_H
#define ENGINES_H

/* runaway.c: checks whether stub processes that should stand still do, in a signal handler. */
void host_runaway_check(void);

/*
 * spawn.c: starts an embedded program as a child process. Its descriptors are fds[0] to
 * fds[count - 1] as 0 and up, the image after them. A traced child is stopped at its exec; any
 * other has no_new_privs set and ignores all signals. host_spawn returns the process id, or -errno.
 * host_program_image returns a descriptor with the program in it, or -errno.
 */
struct host_program {
	int image;
	const int *fds;
	int count;
	char *const *arguments;
	int traced;
};
int host_spawn(const struct host_program *program);
/* Sends SIGKILL: to wait for its end is safe then. Where the host refuses that, ./linux ends. */
void host_kill_stub(int pid);
/* The last host call that was refused when a stub process was made, by name. */
extern const char *host_refused_call;
int host_program_image(const void *image, unsigned long size);

/*
 * kick.c: makes the stub process of the virtual CPU stop, from its signal handler. kick_over: it
 * did. A guest thread that has blocked the signal, or waits on the host by itself, is killed with
 * its process.
 */
struct vcpu;
void host_kick(struct vcpu *vcpu);
void host_kick_over(struct vcpu *vcpu);
unsigned long long host_cpu_time(int pid);	/* of a process, in ns */
extern int host_kick_insists;	/* it can keep the signal out: kick again, then kill */

/*
 * engine.c: why no stub process could be made, from an error and host_refused_call, and what to do.
 */
void host_say_why_no_stub(char *text, unsigned long size, int error);
/* engine.c: chooses the engine. Ends with a line and status 1 where there is none. */
void host_engine_init(void);
unsigned int host_count_areas(void);	/* how many mappings a stub process may have */
extern const char *host_seccomp_option;	/* seccomp= on the command line, or NULL */
extern const char *host_stub_base_option;	/* stub_base= */
extern const struct engine host_ptrace_engine, host_seccomp_engine;
/* 0; or -errno, and in why, of the size given, a few words on what the host lacks */
int host_seccomp_init(char *why, unsigned long size);
extern int host_no_sysemu;	/* nosysemu on the command line, or found missing */
int host_ptrace_init(void);	/* 0, or -errno with a line already on stderr */

/*
 * handoff.c, in a signal handler of the virtual CPU: guest code was given the turn and has not
 * given it back
 */
int handoff_guest_owns(void);

#endif
