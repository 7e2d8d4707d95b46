// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which engine runs guest code: seccomp where its self-test passes, else ptrace (seccomp=auto, the
 * default); seccomp=on and off force one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include <host/engine.h>
#include <host/process.h>

#include "engines.h"

const struct engine *host_engine;
const char *host_engine_reason;
const char *host_seccomp_option;
const char *host_stub_base_option;
unsigned int host_xstate_size;
unsigned long host_xfeatures;
unsigned long host_hwcap2;
unsigned long host_stubs_made, host_stubs_reused;
unsigned long host_task_size;
unsigned int host_area_budget;

unsigned int host_count_areas(void)
{
	unsigned int limit = 65530;	/* Linux's default */
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");

	if (file) {
		if (fscanf(file, "%u", &limit) != 1)
			limit = 65530;
		fclose(file);
	}
	return limit > 2048 ? limit - 1024 : limit / 2;
}

void host_say_why_no_stub(char *text, unsigned long size, int error)
{
	const char *call = host_refused_call, *why = strerror(-error);

	switch (error) {
	case -EAGAIN:
		snprintf(text, size, "the host gives no more processes (%s: %s): see 'ulimit -u' and the pids limit of the container", call, why);
		break;
	case -EMFILE:
	case -ENFILE:
		snprintf(text, size, "the host gives no more descriptors (%s: %s): see 'ulimit -n'", call, why);
		break;
	case -ENOMEM:
		snprintf(text, size, "the host has no memory for a stub process (%s: %s): see 'ulimit -v' and the memory limit of the container",
			 call, why);
		break;
	case -EPERM:
	case -EACCES:
	case -ENOSYS:
		if (!strcmp(call, "ptrace"))
			snprintf(text, size, "the host does not let this process trace its stub processes (%s): allow ptrace, in a container with "
				 "a seccomp profile that has it or --cap-add=SYS_PTRACE", why);
		else
			snprintf(text, size, "the host refuses %s (%s): allow it, in a container by a seccomp profile that has it", call, why);
		break;
	default:
		snprintf(text, size, "cannot start a stub process (%s: %s)", call, why);
	}
}

static void choose(void)
{
	static char why[320] = "asked for by seccomp=off";
	const char *option = host_seccomp_option ? host_seccomp_option : "auto";
	int on = !strcmp(option, "on"), off = !strcmp(option, "off");

	if (!on && !off && strcmp(option, "auto"))
		host_fatal("seccomp=%s: not one of auto, on and off", option);
	if (!off) {
		if (!host_seccomp_init(why, sizeof(why))) {
			host_engine = &host_seccomp_engine;
			host_engine_reason = "its self-test passed";
			return;
		}
		if (on)
			host_fatal("seccomp=on: %s; use seccomp=auto or off for the ptrace engine", why);
	}
	host_engine_reason = why;
	if (host_stub_base_option)
		host_fatal("stub_base=%s: only the seccomp engine places its stubs; add seccomp=on", host_stub_base_option);
	host_engine = &host_ptrace_engine;
	if (host_ptrace_init())
		host_exit(1);
}

void host_engine_init(void)
{
	host_hwcap2 = getauxval(AT_HWCAP2);
	host_area_budget = host_count_areas();
	choose();
}
