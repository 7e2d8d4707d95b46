/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's random generator is ours: the guest's is ready from the first moment. */
#ifndef __ASM_UM_ARCHRANDOM_H
#define __ASM_UM_ARCHRANDOM_H

#include <host/process.h>

static inline size_t __must_check arch_get_random_longs(unsigned long *v, size_t max_longs)
{
	return 0;	/* reseeding goes through the call below */
}

static inline size_t __must_check arch_get_random_seed_longs(unsigned long *v, size_t max_longs)
{
	return host_random(v, max_longs * sizeof(*v)) ? 0 : max_longs;
}

#endif
