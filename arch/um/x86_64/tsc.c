// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TSC as clock source, kept in step with the host's clock.
 *
 * What the guest counts as time is the host's CLOCK_MONOTONIC, in nanoseconds. Reading it costs a
 * host call, so it is extrapolated from the TSC by a straight line (asm/vdso/data.h), which the
 * kernel and the vDSO read alike:
 *
 *  1. While the guest runs, tsc_follow() looks at both clocks every REACH_NS / 4, from timer interrupts and when the idle task wakes. The
 *     line goes on from where it was, at the rate measured since the last look, bent so that it meets the host's clock
 *     after REACH_NS. So time never goes back, and a host that slews its clock (at most 500 ppm) leads us by microseconds.
 *  2. A line reaches REACH_NS and no further. Beyond it readers ask the host: the kernel by a host call, the vDSO by a system
 *     call. So it does no harm that an idle guest does not look, that ./linux was stopped, or that the host slept
 *     and the TSC began anew; the next look makes a new line from the host's clock.
 *  3. The host's clock also watches the TSC. A rate that is off by more than hosts slew is not believed; several in a row
 *     end the use of the TSC for good.
 *
 * The line is written on the vCPU with interrupts off, under the timekeeper's lock for the vDSO.
 */
#include <linux/clocksource.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/printk.h>
#include <linux/seqlock.h>
#include <linux/workqueue.h>
#include <vdso/vsyscall.h>
#include <asm/vdso/vsyscall.h>
#include <host/time.h>
#include <asm/machine.h>

#define REACH_NS	(400 * NSEC_PER_MSEC)
#define FRESH_NS	(NSEC_PER_MSEC)		/* calibrating takes at least so long */
#define BELIEVABLE	500			/* rates may differ by one part in so many, */
#define BELIEVABLE_FIRST 20			/* and from the first, measured over so short a time, by one in so many */
#define MAX_STRIKES	5

static struct tsc_line line;		/* reach 0: the TSC is not used, or not yet */
static seqcount_t line_seq = SEQCNT_ZERO(line_seq);
static struct host_moment last;		/* the last look at both clocks */
static u64 nominal;			/* the last slope that was believed */
static bool settled;			/* nominal is not the first one any more */
static int strikes;

/* Where the line does not reach: the host's clock, but not before what the line said last. */
static u64 notrace beyond(const struct tsc_line *at, u64 host_ns)
{
	return max(host_ns, tsc_line_at(at, at->tsc + at->reach));
}

/* The guest's time: nanoseconds of the host's CLOCK_MONOTONIC. Any context. */
u64 notrace clock_ns(void)
{
	unsigned int seq;
	u64 tsc, ns;

	do {
		seq = raw_read_seqcount_begin(&line_seq);
		tsc = read_tsc();
		ns = likely(tsc_line_reaches(&line, tsc)) ? tsc_line_at(&line, tsc) : beyond(&line, host_monotonic_ns());
	} while (read_seqcount_retry(&line_seq, seq));
	return ns;
}

static void publish(const struct tsc_line *new)
{
	unsigned long flags = vdso_update_begin();
	int i;

	raw_write_seqcount_begin(&line_seq);
	line = *new;
	raw_write_seqcount_end(&line_seq);
	for (i = 0; i < CS_BASES; i++)
		vdso_data[i].arch_data.line = *new;
	vdso_update_end(flags);
}

static u64 tsc_read_clock(struct clocksource *source)
{
	return clock_ns();
}

static struct clocksource clock = {
	.name = "tsc",
	.rating = 400,
	.read = tsc_read_clock,
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_IS_CONTINUOUS,
	.vdso_clock_mode = VDSO_CLOCKMODE_TSC,
};

static void unregister(struct work_struct *work)
{
	clocksource_change_rating(&clock, 0);
}
static DECLARE_WORK(unregistering, unregister);

/* At once, all readers ask the host; Linux changes its clock source when it can. */
static void give_up(void)
{
	struct tsc_line none = { .tsc = last.tsc, .ns = clock_ns() };

	publish(&none);
	pr_warn("tsc: does not keep step with the host's clock; that is read instead\n");
	schedule_work(&unregistering);
}

static u64 slope_between(const struct host_moment *from, const struct host_moment *to)
{
	return mul_u64_u64_div_u64(to->ns - from->ns, 1ULL << 32, to->tsc - from->tsc);
}

static bool believable(u64 slope)
{
	return abs_diff(slope, nominal) <= nominal / (settled ? BELIEVABLE : BELIEVABLE_FIRST);
}

/* A line through the guest's time now that meets the host's, which runs at slope, where it ends. */
static struct tsc_line line_from(const struct host_moment *now, u64 slope)
{
	bool reached = tsc_line_reaches(&line, now->tsc);
	struct tsc_line new = { .tsc = now->tsc, .ns = reached ? tsc_line_at(&line, now->tsc) : beyond(&line, now->ns) };
	s64 behind = now->ns - new.ns;

	new.reach = div64_u64((u64)REACH_NS << 32, slope);
	if (behind > (s64)NSEC_PER_MSEC) {
		new.ns = now->ns;
		behind = 0;
	}
	behind = max(behind, -(s64)REACH_NS / 16);
	new.slope = slope + div64_s64(behind * (1LL << 32), new.reach);
	return new;
}

static void tsc_look(void)
{
	struct host_moment now;
	struct tsc_line new;
	u64 slope;

	if (host_read_moment(&now))
		return;		/* the next one will do */
	slope = now.tsc > last.tsc ? slope_between(&last, &now) : 0;
	if (believable(slope)) {
		nominal = slope;
		settled = true;
		strikes = 0;
	} else if (++strikes == MAX_STRIKES) {
		give_up();
		return;
	}
	new = line_from(&now, nominal);
	last = now;
	publish(&new);
}

/* Called often: at timer interrupts and when the idle task wakes; interrupts off. */
void tsc_follow(void)
{
	if (line.reach && read_tsc() - line.tsc >= line.reach / 4)
		tsc_look();
}

/* The rate since ./linux started; wanted to 100 ppm or so, since the first look will do better. */
static const char * __init calibrate(struct host_moment *now)
{
	if (!host_start.ns)
		return "calibrating it was interrupted again and again";
	do {
		if (host_read_moment(now))
			return "calibrating it was interrupted again and again";
	} while (now->ns - host_start.ns < FRESH_NS);
	if (now->tsc <= host_start.tsc)
		return "it goes backwards";
	nominal = slope_between(&host_start, now);
	return nominal >> 22 && !(nominal >> 36) ? NULL : "it is absurdly fast or slow";
}

void __init tsc_setup(void)
{
	const char *fault = host_tsc_fault() ?: calibrate(&last);
	struct tsc_line first;

	if (fault) {
		pr_info("tsc: not used, since %s; the host's clock is read instead\n", fault);
		return;
	}
	pr_info("tsc: %llu kHz, kept in step with the host's clock\n", div64_u64(1000000ULL << 32, nominal));
	first = line_from(&last, nominal);
	publish(&first);
	clocksource_register_hz(&clock, NSEC_PER_SEC);
}
