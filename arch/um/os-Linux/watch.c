// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watcher: turns "this descriptor is ready" into an interrupt.
 *
 * One host thread, started by the first watch, sleeps in epoll_wait(). Every watch is one-shot: the
 * event disarms it, so a descriptor that nobody reads costs one interrupt and no more. The epoll
 * descriptor carries the interrupt number; there is no other state, hence no lock. host_watch() and
 * host_unwatch() run on virtual CPUs and do not sleep.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <host/process.h>
#include <host/vcpu.h>

#include "os.h"

static int watcher = -1;
static pthread_once_t started = PTHREAD_ONCE_INIT;

static void *watch_loop(void *unused)
{
	struct epoll_event events[16];

	for (;;) {
		int count = epoll_wait(watcher, events, 16, -1);
		unsigned long irqs = 0;

		if (count < 0 && errno != EINTR)
			host_fatal("the host refuses epoll_wait (%s): allow it, in a container by a seccomp profile that has it",
				   strerror(errno));
		for (int i = 0; i < count; i++)
			irqs |= 1UL << events[i].data.u32;
		for (int irq = 0; irqs; irq++, irqs >>= 1)
			if (irqs & 1)
				host_raise(&host_vcpus[0], irq);
	}
	return unused;
}

static void watch_start(void)
{
	int error;

	watcher = epoll_create1(EPOLL_CLOEXEC);
	if (watcher < 0)
		host_fatal("cannot watch the console for input: epoll_create1: %s", strerror(errno));
	error = host_thread(watch_loop, NULL);
	if (error)
		host_fatal("the host refuses a thread (%s): %s", strerror(-error), host_thread_advice(error));
}

int host_try_watch(int fd, int write, int irq)
{
	struct epoll_event event = {
		.events = (write ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT,
		.data.u32 = irq,
	};

	pthread_once(&started, watch_start);
	if (epoll_ctl(watcher, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	if (errno == ENOENT && epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	return -errno;
}

void host_watch(int fd, int write, int irq)
{
	/* EPERM: never makes anyone wait. Anything else: the reader finds out why. */
	if (host_try_watch(fd, write, irq))
		host_raise(&host_vcpus[0], irq);
}

void host_unwatch(int fd)
{
	if (watcher >= 0)
		epoll_ctl(watcher, EPOLL_CTL_DEL, fd, NULL);
}
