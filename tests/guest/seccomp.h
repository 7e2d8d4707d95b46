/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the kernel has seccomp, which that of the configuration `tiny` has not. */
#ifndef TESTS_SECCOMP_H
#define TESTS_SECCOMP_H

#include <sys/prctl.h>

#define NO_SECCOMP "this kernel is built without SECCOMP"

static int has_seccomp(void)
{
	return prctl(PR_GET_SECCOMP) >= 0;
}

#endif
