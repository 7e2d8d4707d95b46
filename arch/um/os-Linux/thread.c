// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host threads that serve devices. They block all signals, so that signals meant for virtual CPUs
 * land on those, and they live until the process ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>

#include "os.h"

/*
 * Room for a signal frame with the largest extended state and for libc; not the 8 MiB of a
 * program's stack.
 */
#define STACK_SIZE (128 * 1024)

static int thread_create(void *(*body)(void *), void *argument, const cpu_set_t *cpus,
			 unsigned long cpus_size)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (cpus)
		pthread_attr_setaffinity_np(&attributes, cpus_size, cpus);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	error = pthread_create(&thread, &attributes, body, argument);
	pthread_attr_destroy(&attributes);
	return error;
}

const char *host_thread_advice(int error)
{
	switch (error) {
	case -EAGAIN:
	case -ENOMEM:
		return "see 'ulimit -u', 'ulimit -v' and the pids limit of the container";
	case -EPERM:
	case -EACCES:
		return "allow clone3, or let it answer ENOSYS, in the seccomp profile of the container";
	default:
		return "allow clone in the seccomp profile of the container";
	}
}

int host_thread(void *(*body)(void *), void *argument)
{
	unsigned long cpus_size;
	const cpu_set_t *cpus = host_all_cpus(&cpus_size);
	sigset_t all, before;
	int error;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);	/* ends ./linux with a line, on whatever thread it is */
	/* The thread inherits the mask: it must never run, however briefly, without it. */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = thread_create(body, argument, CPU_COUNT(cpus) ? cpus : NULL, cpus_size);
	/*
	 * A host that refuses sched_setaffinity(2) has not let us pin anything either: any CPU will
	 * do.
	 */
	if (error == EPERM || error == ENOSYS)
		error = thread_create(body, argument, NULL, 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}
