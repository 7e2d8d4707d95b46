// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TSC beside the host's clock: whether the host thinks that it can be relied on, and what both
 * say at one moment. Runs on the vCPU thread.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include <host/engine.h>
#include <host/time.h>


struct host_moment host_start;

#define TRIES		8
#define GOOD_GAP	400	/* counts from one TSC reading to the next with a clock reading between, on a quiet machine at most */
#define WORST_GAP	20000

static unsigned long long ordered_tsc(void)
{
	unsigned long long count;

	_mm_lfence();
	count = __rdtsc();
	_mm_lfence();
	return count;
}

/* The clock is read between two readings of the TSC; the closer these are, the better. */
int host_read_moment(struct host_moment *moment)
{
	unsigned long long best = -1ULL;

	for (int i = 0; i < TRIES && best > GOOD_GAP; i++) {
		unsigned long long before = ordered_tsc(), ns = host_monotonic_ns(), gap = ordered_tsc() - before;

		if (gap < best) {
			best = gap;
			*moment = (struct host_moment) { .tsc = before + gap / 2, .ns = ns };
		}
	}
	return best <= WORST_GAP ? 0 : -EAGAIN;
}

static int may_be_read(void)
{
	int mode;

	return prctl(PR_GET_TSC, &mode) || mode == PR_TSC_ENABLE;
}

static int is_invariant(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1 << 8);
}

/* The host's clock source, or "" where the host does not show it. */
static void host_clock_source(char *name, int size)
{
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
	int length = fd < 0 ? -1 : read(fd, name, size - 1);

	if (fd >= 0)
		close(fd);
	name[length > 0 ? length : 0] = 0;
	name[strcspn(name, "\n")] = 0;
}

/* These count by the TSC, or are what a hypervisor makes of it. */
static int rests_on_tsc(const char *source)
{
	static const char *const names[] = { "", "kvm-clock", "hyperv_clocksource_tsc_page", "xen" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(source, names[i]))
			return 1;
	return 0;
}

const char *host_tsc_fault(void)
{
	static char reason[96];
	char source[48];

	if (!may_be_read())
		return "the host forbids reading it";
	host_clock_source(source, sizeof(source));
	if (!strcmp(source, "tsc"))
		return NULL;
	if (!rests_on_tsc(source)) {
		snprintf(reason, sizeof(reason), "the host itself relies on %s", source);
		return reason;
	}
	return is_invariant() ? NULL : "the processor does not say that it is constant";
}

/* Asks for what is so already. */
int host_tsc_can_fault(void)
{
	int mode;

	return prctl(PR_GET_TSC, &mode) || prctl(PR_SET_TSC, mode) ? -errno : 0;
}
