/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What extended state the processor has, in the standard form of XSAVE: for the tests of frames
 * and of debuggers.
 */
#ifndef TESTS_XSTATE_H
#define TESTS_XSTATE_H

#include <cpuid.h>
#include <stdint.h>

#define XSTATE_TILEDATA	((uint64_t)1 << 18)	/* of AMX: a program has to ask for it */

/* XCR0: what the system has turned on. */
static inline uint64_t xstate_on(void)
{
	uint32_t a, d;

	asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return a | (uint64_t)d << 32;
}

/* Bytes to the end of the last of these components (Intel SDM volume 1, 13.4.3). */
static inline uint32_t xstate_size(uint64_t components)
{
	uint32_t a, b, c, d, size = 576;

	for (int i = 2; i < 63; i++) {
		if (!(components >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		size = a + b > size ? a + b : size;
	}
	return size;
}

#endif
