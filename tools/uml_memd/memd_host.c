// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much memory the host has for instances, and whether its tasks wait for some: those of the
 * whole host and those of a control group, whichever is worse.
 */
#include <stdlib.h>
#include <string.h>

#include "memd.h"

#define RESERVE_PERCENT	5

static int whole_host(struct policy_host *host)
{
	char text[8192];
	long long total, available;

	if (read_file("/proc", "meminfo", text, sizeof(text)))
		return -1;
	total = number_after(text, "MemTotal:");
	available = number_after(text, "MemAvailable:");
	if (total < 0 || available < 0)
		return -1;
	host->available = available * 1024;
	host->reserve = total * 1024 / 100 * RESERVE_PERCENT;
	host->pressure = read_file("/proc/pressure", "memory", text, sizeof(text)) ? -1 :
		some_pressure(text);
	return 0;
}

/* A number in a file of a control group, by its name in version 2 or in version 1. */
static int group_number(const char *cgroup, const char *name, const char *name_1, uint64_t *number)
{
	char text[64];

	if (read_file(cgroup, name, text, sizeof(text)) &&
	    read_file(cgroup, name_1, text, sizeof(text)))
		return -1;
	*number = strncmp(text, "max", 3) ? strtoull(text, NULL, 10) : UINT64_MAX;
	return 0;
}

int group_limit(const char *cgroup, uint64_t *limit)
{
	return group_number(cgroup, "memory.max", "memory.limit_in_bytes", limit);
}

/* Files that are cached count as available, but not those of tmpfs, of which guest RAM is one. */
static uint64_t reclaimable(const char *cgroup)
{
	static const char *const names[] = {
		"active_file ", "inactive_file ", "total_active_file ", "total_inactive_file ",
	};
	long long numbers[4] = { 0 };
	char text[8192];

	if (read_file(cgroup, "memory.stat", text, sizeof(text)))
		return 0;
	for (int i = 0; i < 4; i++)
		if (number_after(text, names[i]) > 0)
			numbers[i] = number_after(text, names[i]);
	/* Version 1 has the totals, with those of groups below, as well. */
	return numbers[2] + numbers[3] ? numbers[2] + numbers[3] : numbers[0] + numbers[1];
}

static void limited_by(const char *cgroup, struct policy_host *host)
{
	uint64_t limit, used, available;
	char pressure[512];

	if (group_limit(cgroup, &limit) ||
	    group_number(cgroup, "memory.current", "memory.usage_in_bytes", &used))
		return;
	available = (limit > used ? limit - used : 0) + reclaimable(cgroup);
	if (available < host->available) {
		host->available = available;
		host->reserve = limit / 100 * RESERVE_PERCENT;
	}
	if (!read_file(cgroup, "memory.pressure", pressure, sizeof(pressure)) &&
	    some_pressure(pressure) > host->pressure)
		host->pressure = some_pressure(pressure);
}

int host_facts(const char *cgroup, struct policy_host *host)
{
	if (whole_host(host))
		return -1;
	if (cgroup)
		limited_by(cgroup, host);
	return 0;
}
