// SPDX-License-Identifier: GPL-2.0-only
/* Which engine runs guest code. There is one so far; the seccomp engine joins the choice here. */
#include <string.h>
#include <sys/auxv.h>

#include <host/engine.h>
#include <host/process.h>

#include "os.h"

const struct engine *host_engine;
unsigned int host_xstate_size;
unsigned long host_xfeatures;
unsigned long host_hwcap2;
unsigned long host_stubs_made, host_stubs_reused;

void host_engine_init(void)
{
	host_hwcap2 = getauxval(AT_HWCAP2);
	host_engine = &host_ptrace_engine;
	if (host_ptrace_init())
		host_exit(1);
}
