/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_TIMEX_H
#define __ASM_UM_TIMEX_H

typedef unsigned long cycles_t;

static inline cycles_t get_cycles(void)
{
	return __builtin_ia32_rdtsc();
}
#define get_cycles get_cycles

#define random_get_entropy() ((unsigned long)get_cycles())
#define CLOCK_TICK_RATE 1000000

#endif
