/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lib/vdso/gettimeofday.c, compiled into the vDSO, needs to know of this machine. The clock source counts nanoseconds, which the
 * vDSO gets from the TSC and the line that the kernel keeps in the data page. Where the line does not reach, it makes a system call.
 */
#ifndef __ASM_UM_VDSO_GETTIMEOFDAY_H
#define __ASM_UM_VDSO_GETTIMEOFDAY_H

#ifndef __ASSEMBLY__

#include <asm/unistd.h>

#define VDSO_HAS_TIME 1
#define VDSO_HAS_CLOCK_GETRES 1

#define NO_TIME ULLONG_MAX

static __always_inline u64 __arch_get_hw_counter(s32 mode, const struct vdso_data *data)
{
	const struct tsc_line *line = &data->arch_data.line;
	u64 tsc = read_tsc();

	return likely(tsc_line_reaches(line, tsc)) ? tsc_line_at(line, tsc) : NO_TIME;
}

#define vdso_cycles_ok(ns) ((ns) != NO_TIME)

/* A reader on another host CPU may be a little before the time of the last update: then it is that time. */
static __always_inline u64 vdso_calc_ns(const struct vdso_data *data, u64 now, u64 base)
{
	u64 delta = now - data->cycle_last;

	if (likely(delta <= data->max_cycles))
		return (base + delta * data->mult) >> data->shift;
	if ((s64)delta < 0)
		return base >> data->shift;
	return mul_u64_u32_add_u64_shr(delta, data->mult, base, data->shift);
}
#define vdso_calc_ns vdso_calc_ns

static __always_inline const struct vdso_data *__arch_get_vdso_data(void)
{
	return _vdso_data;
}

#ifdef CONFIG_TIME_NS
static __always_inline const struct vdso_data *__arch_get_timens_vdso_data(const struct vdso_data *data)
{
	return _timens_data;
}
#endif

static __always_inline long vdso_syscall(long nr, long first, void *second)
{
	long result;

	asm volatile("syscall" : "=a" (result) : "a" (nr), "D" (first), "S" (second) : "rcx", "r11", "memory");
	return result;
}

static __always_inline long clock_gettime_fallback(clockid_t clock, struct __kernel_timespec *time)
{
	return vdso_syscall(__NR_clock_gettime, clock, time);
}

static __always_inline long clock_getres_fallback(clockid_t clock, struct __kernel_timespec *resolution)
{
	return vdso_syscall(__NR_clock_getres, clock, resolution);
}

static __always_inline long gettimeofday_fallback(struct __kernel_old_timeval *time, struct timezone *zone)
{
	return vdso_syscall(__NR_gettimeofday, (long)time, zone);
}

#endif
#endif
