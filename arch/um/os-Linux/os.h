/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of this folder offer to all of the host side. The kernel side does not see this;
 * it has <host/...>.
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

#endif
