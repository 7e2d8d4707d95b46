// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time: the host's monotonic clock is the clock source; a one-shot host timer makes the events. An idle guest has no tick.
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
#include <host/time.h>
#include <host/vcpu.h>

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

static struct clock_event_device events = {
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
	events.event_handler(&events);
	return IRQ_HANDLED;
}

static u64 read_clock(struct clocksource *source)
{
	return host_monotonic_ns();
}

static struct clocksource clock = {
	.name = "host",
	.rating = 300,
	.read = read_clock,
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_IS_CONTINUOUS,
};

unsigned long long notrace sched_clock(void)
{
	static unsigned long long start;

	if (unlikely(!start))
		start = host_monotonic_ns();
	return host_monotonic_ns() - start;
}

void read_persistent_clock64(struct timespec64 *ts)
{
	*ts = ns_to_timespec64(host_realtime_ns());
}

void __init time_init(void)
{
	clocksource_register_hz(&clock, NSEC_PER_SEC);
	events.cpumask = cpumask_of(0);
	if (request_irq(HOST_IRQ_TIMER, timer_interrupt, IRQF_TIMER | IRQF_NOBALANCING, "timer", NULL))
		panic("no timer interrupt");
	clockevents_config_and_register(&events, NSEC_PER_SEC, 1000, 0x7fffffffffffUL);
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
