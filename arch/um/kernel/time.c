// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time: the host's monotonic clock is the clock source, read directly here or by way of the TSC
 * (x86_64/tsc.c); a one-shot host timer makes the events. An idle guest has no tick.
 */
#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/sched/clock.h>
#include <linux/sched_clock.h>
#include <linux/timekeeping.h>
#include <linux/timex.h>
#include <linux/workqueue.h>
#include <asm/guest_clock.h>
#include <host/irq.h>
#include <host/time.h>
#include <host/vcpu.h>
#include "kernel.h"

static int set_next_event(unsigned long delta, struct clock_event_device *device)
{
	host_timer_arm(delta);
	return 0;
}

static int stop_events(struct clock_event_device *device)
{
	host_timer_arm(0);
	return 0;
}

static DEFINE_PER_CPU(struct clock_event_device, events) = {
	.name = "host",
	.rating = 300,
	.features = CLOCK_EVT_FEAT_ONESHOT,
	.set_next_event = set_next_event,
	.set_state_shutdown = stop_events,
	.set_state_oneshot_stopped = stop_events,
	.irq = HOST_IRQ_TIMER,
};

static irqreturn_t timer_interrupt(int irq, void *data)
{
	struct clock_event_device *device = data;

	tsc_follow();
	device->event_handler(device);
	return IRQ_HANDLED;
}

static u64 time_read_clock(struct clocksource *source)
{
	return host_monotonic_ns();
}

/* The same nanoseconds as those of x86_64/tsc.c, so that changing between the two is no jump. */
static struct clocksource clock = {
	.name = "host",
	.rating = 300,
	.read = time_read_clock,
	.mask = CLOCKSOURCE_MASK(64),
	.mult = 1 << 24,
	.shift = 24,
	.flags = CLOCK_SOURCE_IS_CONTINUOUS,
};

/*
 * Linux starts with it, not with one that counts ticks: wall time is right from the first moment.
 */
struct clocksource * __init clocksource_default_clock(void)
{
	return &clock;
}

static unsigned long long clock_start;

unsigned long long notrace sched_clock(void)
{
	if (unlikely(!clock_start))
		clock_start = clock_ns();
	return clock_ns() - clock_start;
}

/*
 * ---- wall time ----
 * Taken from the host once. Then the host's clock is followed when it is set, unless the guest sets
 * its own.
 */

static s64 host_offset;		/* what the host's CLOCK_REALTIME was ahead of its CLOCK_MONOTONIC, as far as we followed */
static ktime_t guest_offset;	/* the same of the guest's clocks, as we left it */
static bool is_stopped;

void read_persistent_clock64(struct timespec64 *ts)
{
	if (!is_stopped)
		host_offset = host_wall_offset_ns();
	*ts = ns_to_timespec64(host_monotonic_ns() + host_offset);
}

static ktime_t wall_offset(void)
{
	return ktime_mono_to_real(0);
}

static void move_wall_clock(s64 by)
{
	struct timespec64 step = ns_to_timespec64(by);
	struct __kernel_timex change = {
		.modes = ADJ_SETOFFSET,
		.time = { .tv_sec = step.tv_sec, .tv_usec = step.tv_nsec / NSEC_PER_USEC },
	};

	if (do_adjtimex(&change) < 0)
		pr_warn("time: cannot follow the host's clock, which was set by %lld ms\n", div_s64(by, NSEC_PER_MSEC));
}

/* A guest that has set its clock keeps what it set. */
static void follow_wall_clock(struct work_struct *work)
{
	s64 offset;

	host_watch_wall_clock(HOST_IRQ_WALL_CLOCK);
	offset = host_wall_offset_ns();
	if (wall_offset() == guest_offset) {
		move_wall_clock(offset - host_offset);
		guest_offset = wall_offset();
	}
	host_offset = offset;
}
static DECLARE_WORK(following, follow_wall_clock);

static irqreturn_t wall_clock_interrupt(int irq, void *data)
{
	schedule_work(&following);
	return IRQ_HANDLED;
}

static int __init watch_wall_clock(void)
{
	guest_offset = wall_offset();
	if (request_irq(HOST_IRQ_WALL_CLOCK, wall_clock_interrupt, 0, "wall clock", NULL) ||
	    host_watch_wall_clock(HOST_IRQ_WALL_CLOCK))
		pr_info("time: the host does not tell when its clock is set\n");
	return 0;
}
late_initcall(watch_wall_clock);

/*
 * Linux's own functions for a machine that sleeps. A step of the host's wall clock meanwhile is not
 * in read_persistent_clock64(), and follow_wall_clock() sees it afterwards.
 */
int timekeeping_suspend(void);
void timekeeping_resume(void);

static unsigned long long stopped_at;

void guest_clock_stop(void)
{
	is_stopped = true;
	stopped_at = clock_ns();
	timekeeping_suspend();
}

void guest_clock_go(void)
{
	ktime_t before = wall_offset();

	timekeeping_resume();
	guest_offset += wall_offset() - before;
	clock_start += clock_ns() - stopped_at;
	is_stopped = false;
}

void __init time_init(void)
{
	struct clock_event_device *device = this_cpu_ptr(&events);

	__clocksource_register(&clock);
	tsc_setup();
	device->cpumask = cpumask_of(smp_processor_id());
	if (__request_percpu_irq(HOST_IRQ_TIMER, timer_interrupt, IRQF_TIMER, "timer", &events))
		panic("no timer interrupt");
	enable_percpu_irq(HOST_IRQ_TIMER, IRQ_TYPE_NONE);
	clockevents_config_and_register(device, NSEC_PER_SEC, 1000, 0x7fffffffffffUL);
}

/* Delays are measured, not counted. */
unsigned long calibrate_delay_is_known(void)
{
	return 1000000;
}

void __ndelay(unsigned long ns)
{
	host_delay_ns(ns);
}
EXPORT_SYMBOL(__ndelay);

void __udelay(unsigned long us)
{
	host_delay_ns(us * 1000);
}
EXPORT_SYMBOL(__udelay);

void __delay(unsigned long loops)
{
	while (loops--)
		cpu_relax();
}
EXPORT_SYMBOL(__delay);

/* xloops: 2^32 parts of a second, as asm-generic/delay.h makes them for constants. */
void __const_udelay(unsigned long xloops)
{
	host_delay_ns((unsigned long)(((u128)xloops * NSEC_PER_SEC) >> 32));
}
EXPORT_SYMBOL(__const_udelay);
