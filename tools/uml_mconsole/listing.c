// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_mconsole: --list, by the host's /proc. Only the memory that a guest has is asked from itself,
 * from all at once. One that does not answer soon is shown with the most that it may take.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "instance_usage.h"
#include "json.h"
#include "tool.h"
#include "uml_mconsole.h"

#define LIMIT 300	/* milliseconds for the answers of all instances */

static int left_of_limit(const struct timespec *start)
{
	struct timespec now;
	long passed;

	clock_gettime(CLOCK_MONOTONIC, &now);
	passed = (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
	return passed < LIMIT ? LIMIT - passed : 0;
}

/* In bytes; 0: it did not answer, or has no such device. */
static void ask_for_memory(const struct mconsole_instance *list, size_t count,
			   unsigned long long *given)
{
	struct mconsole **consoles = allocate((count + 1) * sizeof(*consoles));
	struct mconsole_packet packet;
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (size_t i = 0; i < count; i++) {
		given[i] = 0;
		consoles[i] = NULL;
		if (list[i].state == MCONSOLE_LIVES &&
		    !mconsole_open(list[i].folder, NULL, &consoles[i]) &&
		    mconsole_send(consoles[i], "config mem", 0)) {
			mconsole_close(consoles[i]);
			consoles[i] = NULL;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (consoles[i] &&
		    !mconsole_receive(consoles[i], left_of_limit(&start), &packet) && !packet.error)
			given[i] = strtoull(packet.text, NULL, 10);
		mconsole_close(consoles[i]);
	}
	free(consoles);
}

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
	unsigned long long *given;
	size_t count;
	int code = mconsole_list(uml_dir, &list, &count);

	if (code)
		die("the list of instances: %s", mconsole_strerror(code));
	given = allocate((count + 1) * sizeof(*given));
	ask_for_memory(list, count, given);
	if (json)
		putchar('[');
	else
		tell("%-16s %8s %-8s %11s %10s %10s %12s", "UMID", "PID", "STATE", "UPTIME",
		     "USED", "GIVEN", "CPU");
	for (size_t i = 0; i < count; i++) {
		int is_known = list[i].state == MCONSOLE_LIVES &&
			       !instance_usage(list[i].pid, &usage);

		if (given[i])
			usage.given = given[i];
		if (json && i)
			printf(",\n ");
		(json ? print_json : print_line)(&list[i], is_known ? &usage : NULL);
	}
	if (json)
		puts("]");
	free(given);
	mconsole_list_free(list, count);
	return DONE;
}
