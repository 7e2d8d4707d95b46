/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the host side offer each other. The kernel side does not see this; it has
 * <host/...>.
 */
#ifndef OS_H
#define OS_H

#include <signal.h>

/*
 * exit.c: calls function, last one first, when ./linux ends or restarts in an orderly way; perhaps
 * in a signal handler, in the middle of anything: it takes no memory and no locks.
 */
void host_at_exit(void (*function)(void));
/* Only when it restarts, never in a handler. One function. */
void host_at_restart(void (*function)(void));

/*
 * signals.c: sigprocmask(2). A host that refuses it, after which a signal might be kept out for
 * ever, is one that ./linux ends on.
 */
void host_signal_mask(int how, const sigset_t *set, sigset_t *before);

/* rawmode.c: whether the terminal is another process group's now. */
int host_in_background(int fd);
/*
 * rawmode.c: makes terminals raw that came to the foreground; whether there are some in the
 * background.
 */
int host_terminals_follow(void);
void host_terminals_continued(void);	/* after a stop, in a signal handler */
/* terminal.c: lets its thread do that. */
void host_terminals_look(void);

/* exit.c: takes host_panics from the environment. */
void host_panics_init(void);

/* signals.c: the signal handlers and the stack they run on. */
void host_signals_init(void);
/* signals.c: undoes them, for the program that is started next. */
void host_signals_default(void);

/*
 * clock.c: the timers of this thread's virtual CPU, and the one that brings a signal back that came
 * at a bad moment.
 */
void host_timers_init(void);
unsigned long long host_thread_ns(void);	/* CPU time of this thread */
void host_retry_soon(void);
void host_retry_reset(void);
void host_retry_after(unsigned long ns);	/* 0: not at all */
void host_runaway_check_after(unsigned long ns);	/* calls host_runaway_check then */
/* runaway.c: checks whether stub processes that should stand still do, in a signal handler. */
void host_runaway_check(void);

/* cpus.c: keeps a virtual CPU and its stub processes on one host CPU. */
void host_cpus_init(void);
void host_pin(void);		/* this thread stays where it is now */
void host_unpin(void);		/* this thread may run anywhere again */
/* around sleeping: lets the host choose another CPU, once in a while */
void host_rest_begin(void);
void host_rest_end(void);
/* at each timer interrupt: lets the host move a busy thread once in a while */
void host_pin_now_and_then(void);
void host_pin_to(int thread, int cpu);
int host_several_cpus(void);	/* there is more than one that we may use */
int host_cpu_now(void);		/* the CPU that this thread runs on */
/* this thread leaves its stubs' CPU for any other; not 0: there is none */
int host_pin_elsewhere(void);
void host_pin_back(void);	/* and comes back */
void host_pin_process(int pid);	/* puts a stub process where this virtual CPU is */
const void *host_all_cpus(unsigned long *size);	/* the CPUs that we may use, a cpu_set_t */

/*
 * file.c: a file without a name whose pages may be executed; its descriptor, or -errno. why: what
 * was tried before, or all that was tried, and how each of them failed.
 */
struct host_nameless {
	const char *name;
	unsigned long long size;
	unsigned long long needed;	/* bytes that a folder must have room for now */
	int program;			/* it is to be started by exec */
	const char *folder;		/* where it is; NULL: it is a memfd */
	char why[512];
};
int host_nameless_make(struct host_nameless *file);
int host_nameless_file(const char *name, unsigned long long size);

/*
 * oom.c: makes ./linux, with so much guest RAM, the one to end before its stub processes. As
 * before: in a stub process; before exec.
 */
void host_oom_init(unsigned long ram);
void host_oom_as_before(void);

/*
 * instance.c: makes the instance's folder, after umid= and uml_dir=, or ends with host_fatal();
 * removes it, in any context; leaves it to the program that is started next.
 */
extern const char *host_umid_option, *host_uml_dir_option;
void host_instance_init(void);
void host_instance_remove(void);
void host_instance_hand_over(void);
/* mconsole_socket.c: opens the socket in it; the value of mconsole=, or NULL. */
extern const char *host_mconsole_option;
void host_mconsole_init(void);
const char *host_notify_socket(void);	/* NULL: there is no notify:<socket> */
/* exec_socket.c: opens the socket exec in the folder. */
void host_exec_init(void);

/* ram.c: makes guest RAM, of mem= and at most maxmem= bytes. Fails with host_fatal(). */
void host_ram_init(unsigned long start, unsigned long most);
extern int host_ram_fd;
/*
 * ram.c: the host has no page for an address that it gave us: says why in one line and ends
 * ./linux. Any thread, in a signal handler too. by_hardware: the page was there and is broken.
 */
void __attribute__((noreturn)) host_ram_lost(unsigned long address, int by_hardware);
/*
 * ram.c: for a host call that said EFAULT: returns if all pages can be had, else ends as
 * host_ram_lost() does.
 */
void host_ram_prove(const void *start, unsigned long length);

/*
 * spawn.c: starts an embedded program as a child process. Descriptors of the child: fds[0] to
 * fds[count - 1] as 0 and up, the image after them. A traced one has asked for it and stops at its
 * exec; another one has no_new_privs set and ignores all signals. host_spawn returns the process
 * id, or -errno. host_program_image returns a descriptor with the program in it, or -errno.
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
 * did. A guest thread that has blocked the signal, or waits for something of its own, is killed
 * with its process.
 */
struct vcpu;
void host_kick(struct vcpu *vcpu);
void host_kick_over(struct vcpu *vcpu);
unsigned long long host_cpu_time(int pid);	/* of a process, in ns */
extern int host_kick_insists;	/* guest code can keep the signal out: see to it that it works */

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
 * speculation.c: spec= on the command line; to be called before there are other threads and stub
 * processes, which inherit it.
 */
void host_speculation_init(const char *option);
extern int host_speculation_allowed;

/* main.c: the program's own arguments. */
extern char **host_argv;
/* ./linux itself, to start it again; -1 where the host does not tell */
extern int host_self_fd;

/* thread.c: a detached host thread that receives no signals. 0 or -errno. */
int host_thread(void *(*body)(void *), void *argument);
/* What to do about that error. */
const char *host_thread_advice(int error);

/*
 * watch.c: raises interrupt irq on virtual CPU 0 once, when descriptor fd can be read (or, with
 * write set, written) without waiting, or is at its end. What cannot be waited for (regular files,
 * /dev/null) is always ready. One direction per descriptor: duplicate it to watch both. Descriptors
 * must be taken out with unwatch before they are closed.
 */
void host_watch(int fd, int write, int irq);
int host_try_watch(int fd, int write, int irq);	/* or -errno, and no interrupt */
void host_unwatch(int fd);

/*
 * rawmode.c: switches the terminal fd to raw mode. It is as it was before when ./linux ends,
 * whatever ends it, and raw again when ./linux continues after a stop. Does nothing and returns 0
 * if fd is no terminal or is raw already. Restore is for one that it returned 1 for.
 */
int host_terminal_raw(int fd);
void host_terminal_restore(int fd);
/* relay.c: ./linux inside a terminal emulator, for xterm.c; its exit status. */
int host_terminal_relay(const char *name);

/*
 * disk_backend.c: chooses who carries out transfers of disks. Ends with a line and status 1 where
 * there is nobody.
 */
void host_disk_backend_start(void);
/*
 * disk_backend.c: for host_idle(): sleeps until a disk has something for this virtual CPU, and
 * makes HOST_IRQ_BLOCK pending then, or until a signal that is not in mask comes. Returns 0 if that
 * would be no better than just to wait for a signal. All signals are blocked.
 */
int host_disk_idle(const sigset_t *mask);
/*
 * Before that, with signals let in: looks whether a disk will have something very soon, while *stop
 * is 0. Not 0: a disk has something to do.
 */
int host_disk_look(const unsigned long *stop);

/*
 * handoff.c, in a signal handler of the virtual CPU: guest code was given the turn and has not
 * given it back
 */
int handoff_guest_owns(void);

#endif
