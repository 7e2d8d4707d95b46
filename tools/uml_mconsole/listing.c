// SPDX-License-Identifier: GPL-2.0-only
/* uml_mconsole: --list, by the host's /proc. The instances are not asked. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "instance_usage.h"
#include "json.h"
#include "tool.h"
#include "uml_mconsole.h"

static const char *word_of(enum mconsole_state state)
{
	return state == MCONSOLE_LIVES ? "running" :
	       state == MCONSOLE_IS_DEAD ? "dead" : "unknown";
}

static void print_json(const struct mconsole_instance *instance, const struct instance_usage *usage)
{
	printf("{\"umid\": ");
	print_json_string(instance->name);
	printf(", \"folder\": ");
	print_json_string(instance->folder);
	printf(", \"state\": \"%s\", \"pid\": ", word_of(instance->state));
	if (instance->pid)
		printf("%d", instance->pid);
	else
		printf("null");
	if (!usage) {
		printf(", \"uptime\": null, \"memory_used\": null, \"memory_given\": null, "
		       "\"cpu_seconds\": null}");
		return;
	}
	printf(", \"uptime\": %.2f, \"memory_used\": %llu, ", usage->uptime, usage->used);
	if (usage->given)
		printf("\"memory_given\": %llu, ", usage->given);
	else
		printf("\"memory_given\": null, ");
	printf("\"cpu_seconds\": %.2f}", usage->cpu);
}

static void print_line(const struct mconsole_instance *instance, const struct instance_usage *usage)
{
	char uptime[32] = "-", used[32] = "-", given[32] = "-", cpu[32] = "-", pid[16] = "-";

	if (instance->pid)
		snprintf(pid, sizeof(pid), "%d", instance->pid);
	if (usage) {
		unsigned long long seconds = usage->uptime;

		snprintf(uptime, sizeof(uptime), "%llu:%02llu:%02llu", seconds / 3600,
			 seconds / 60 % 60, seconds % 60);
		snprintf(used, sizeof(used), "%llu MiB", usage->used >> 20);
		snprintf(cpu, sizeof(cpu), "%.2f s", usage->cpu);
	}
	if (usage && usage->given)
		snprintf(given, sizeof(given), "%llu MiB", usage->given >> 20);
	tell("%-16s %8s %-8s %11s %10s %10s %12s", instance->name, pid, word_of(instance->state),
	     uptime, used, given, cpu);
}

int list_instances(const char *uml_dir, int json)
{
	struct mconsole_instance *list;
	struct instance_usage usage;
	size_t count;
	int code = mconsole_list(uml_dir, &list, &count);

	if (code)
		die("the list of instances: %s", mconsole_strerror(code));
	if (json)
		putchar('[');
	else
		tell("%-16s %8s %-8s %11s %10s %10s %12s", "UMID", "PID", "STATE", "UPTIME",
		     "USED", "GIVEN", "CPU");
	for (size_t i = 0; i < count; i++) {
		int is_known = list[i].state == MCONSOLE_LIVES &&
			       !instance_usage(list[i].pid, &usage);

		if (json && i)
			printf(",\n ");
		(json ? print_json : print_line)(&list[i], is_known ? &usage : NULL);
	}
	if (json)
		puts("]");
	mconsole_list_free(list, count);
	return DONE;
}
