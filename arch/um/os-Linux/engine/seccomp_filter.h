/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filters for the threads of a stub process at base: seccomp_filter.c. Both return the number of
 * instructions written.
 */
#ifndef SECCOMP_FILTER_H
#define SECCOMP_FILTER_H

#include <linux/filter.h>

#include "../../stub/seccomp.h"

/*
 * bases_by_call: the processor has no instructions for segment bases, so the stub calls
 * arch_prctl(2).
 */
int host_filter_guest(struct sock_filter *code, const struct stub_entries *entries, unsigned long base, int bases_by_call);
int host_filter_mapper(struct sock_filter *code, unsigned long base);

#endif
