// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock functions of the vDSO, by the names that libc looks for and, as natively, by those of
 * libc itself.
 *
 * The work is done by lib/vdso/gettimeofday.c, which the Makefile includes. Runs in guest programs.
 */
#include <linux/types.h>
#include <vdso/gettime.h>

#define ALSO_CALLED(name) __attribute__((weak, alias(#name)))

int __vdso_clock_gettime(clockid_t clock, struct __kernel_timespec *time)
{
	return __cvdso_clock_gettime(clock, time);
}

int __vdso_clock_getres(clockid_t clock, struct __kernel_timespec *resolution)
{
	return __cvdso_clock_getres(clock, resolution);
}

int __vdso_gettimeofday(struct __kernel_old_timeval *time, struct timezone *zone)
{
	return __cvdso_gettimeofday(time, zone);
}

__kernel_old_time_t __vdso_time(__kernel_old_time_t *time)
{
	return __cvdso_time(time);
}

int clock_gettime(clockid_t clock, struct __kernel_timespec *time)
	ALSO_CALLED(__vdso_clock_gettime);
int clock_getres(clockid_t clock, struct __kernel_timespec *resolution)
	ALSO_CALLED(__vdso_clock_getres);
int gettimeofday(struct __kernel_old_timeval *time, struct timezone *zone)
	ALSO_CALLED(__vdso_gettimeofday);
__kernel_old_time_t time(__kernel_old_time_t *time) ALSO_CALLED(__vdso_time);
