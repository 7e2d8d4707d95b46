// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host clocks, the one-shot timer of each virtual CPU, and sleeping until it or another interrupt
 * comes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <host/process.h>
#include <host/time.h>
#include <host/vcpu.h>

#include "os.h"
#include "drivers/disk/disk_backend.h"
#include "engine/spinning.h"

#define NS_PER_SEC 1000000000ULL

static unsigned long long read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

unsigned long long host_monotonic_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

unsigned long long host_thread_ns(void)
{
	return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

/*
 * One clock is read between two readings of the other; a try that something came between is not
 * counted.
 */
long long host_wall_offset_ns(void)
{
	unsigned long long shortest = -1ULL;
	long long offset = 0;

	for (int i = 0; i < 4; i++) {
		unsigned long long before = read_ns(CLOCK_MONOTONIC), wall = read_ns(CLOCK_REALTIME);
		unsigned long long took = read_ns(CLOCK_MONOTONIC) - before;

		if (took < shortest) {
			shortest = took;
			offset = wall - (before + took / 2);
		}
	}
	return offset;
}

/* A timer that never expires, but whose descriptor is ready when the clock is set. */
int host_watch_wall_clock(int irq)
{
	static int fd = -1;
	const struct itimerspec never = { .it_value.tv_sec = LONG_MAX / NS_PER_SEC };
	unsigned long long unused;

	if (fd < 0)
		fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0 || (read(fd, &unused, sizeof(unused)) < 0 && errno != EAGAIN && errno != ECANCELED) ||
	    timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL))
		return -errno;
	host_watch(fd, 0, irq);
	return 0;
}

static timer_t make_timer(int signo)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = signo,
		._sigev_un._tid = syscall(SYS_gettid),
	};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		host_fatal("the host gives no timer: %s", strerror(errno));
	return timer;
}

static void arm(timer_t timer, unsigned long long ns)
{
	struct itimerspec when = { .it_value = { ns / NS_PER_SEC, ns % NS_PER_SEC } };

	if (timer_settime(timer, 0, &when, NULL))
		host_fatal("the host refuses timer_settime (%s): allow it, in a container by a seccomp profile that has it",
			   strerror(errno));
}

static timer_t event_timer, retry_timer, runaway_timer;
static int timers_made;

void host_timers_init(void)
{
	event_timer = make_timer(SIGALRM);
	retry_timer = make_timer(SIGIO);	/* as if a device asked again */
	runaway_timer = make_timer(SIGVTALRM);
	timers_made = 1;
}

void host_timer_arm(unsigned long long delta_ns)
{
	arm(event_timer, delta_ns);
}

/*
 * Called in the signal handler. Long host calls are asked less and less often whether they are
 * over.
 */
#define FIRST_RETRY_NS 20000
#define LAST_RETRY_NS 2000000

static unsigned long retry_ns = FIRST_RETRY_NS;

void host_retry_soon(void)
{
	if (!timers_made)
		return;
	arm(retry_timer, retry_ns);
	if (retry_ns < LAST_RETRY_NS)
		retry_ns *= 2;
}

void host_retry_after(unsigned long ns)
{
	if (timers_made)
		arm(retry_timer, ns);
}

void host_runaway_check_after(unsigned long ns)
{
	arm(runaway_timer, ns);
}

void host_retry_reset(void)
{
	retry_ns = FIRST_RETRY_NS;
}

void host_delay_ns(unsigned long ns)
{
	unsigned long long end = host_monotonic_ns() + ns;

	while (host_monotonic_ns() < end)
		__builtin_ia32_pause();
}

void host_idle(void)
{
	struct vcpu *vcpu = this_vcpu();
	sigset_t all, before;

	if (host_disk_look(&vcpu->irq_pending))
		spinning_waits_for_disk();
	sigfillset(&all);
	host_signal_mask(SIG_BLOCK, &all, &before);
	if (!__atomic_load_n(&vcpu->irq_pending, __ATOMIC_ACQUIRE)) {
		host_rest_begin();
		spinning_sleeps();
		if (!host_disk_idle(&before))
			sigsuspend(&before);
		spinning_woke();
		host_rest_end();
	}
	host_signal_mask(SIG_SETMASK, &before, NULL);
}
