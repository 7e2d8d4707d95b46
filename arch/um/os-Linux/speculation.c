// SPDX-License-Identifier: GPL-2.0-only
/*
 * spec=mitigate: the processor's speculation past stores and by what others trained its branch
 * predictor with is kept down, as far as the host lets a process ask for it, in this process, its
 * threads and all stub processes, which inherit it. What cannot be had is said in one line.
 *
 * The default, spec=allow, is what the host gives every process; the filters of the seccomp engine
 * ask for no more than that, which Linux before 5.16 took them to do. All in a stub process may be
 * seen by its guest code anyway; what spec=mitigate is about is others: this process, and those of
 * the same user, on the processor's other thread or on the same one.
 */
#include <errno.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/prctl.h>

#include <host/process.h>

#include "os.h"

int host_speculation_allowed = 1;

/*
 * Whether the host can be left to itself: the processor has no such fault, or all processes are
 * protected already.
 */
static int is_safe(long state)
{
	return state >= 0 && (!(state & ~PR_SPEC_PRCTL) || state & (PR_SPEC_DISABLE | PR_SPEC_FORCE_DISABLE));
}

static void mitigate(int kind, const char *name)
{
	int error;

	if (!prctl(PR_SET_SPECULATION_CTRL, kind, PR_SPEC_FORCE_DISABLE, 0, 0))
		return;
	error = errno;
	if (!is_safe(prctl(PR_GET_SPECULATION_CTRL, kind, 0, 0, 0)))
		host_warn("spec=mitigate: the host does not let a process turn off %s (%s); see /sys/devices/system/cpu/vulnerabilities",
			  name, strerror(error));
}

void host_speculation_init(const char *option)
{
	if (!option || !strcmp(option, "allow"))
		return;
	if (strcmp(option, "mitigate"))
		host_fatal("spec=%s: not one of allow and mitigate", option);
	host_speculation_allowed = 0;
	mitigate(PR_SPEC_STORE_BYPASS, "speculation past stores");
	mitigate(PR_SPEC_INDIRECT_BRANCH, "speculation by other programs' branches");
}
