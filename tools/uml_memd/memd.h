/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of uml_memd. */
#ifndef UML_MEMD_H
#define UML_MEMD_H

#include <stdint.h>

#include "memd_policy.h"

/* ---- memd_words.c ---- */

/* A size with K, M, G or T, in bytes; -1: it is none. */
int parse_size(const char *text, uint64_t *size);
/* The number in a line of @text that begins with @name; -1: there is none. */
long long number_after(const char *text, const char *name);
/* The value of "some avg10=" in a file of pressure; -1: there is none. */
double some_pressure(const char *text);
/* Copies a file; -1: it cannot be read. */
int read_file(const char *folder, const char *name, char *text, int room);

/* ---- memd_host.c ---- */

/* @cgroup: a folder of the control group that limits all instances, or NULL. -1: no facts. */
int host_facts(const char *cgroup, struct policy_host *host);
/* Bytes that a control group may use. -1: it has no such limit. */
int group_limit(const char *cgroup, uint64_t *limit);

/* ---- memd_instances.c ---- */

struct settings {
	const char *name;		/* NULL: those of all that are not named */
	uint64_t minimum, maximum;	/* bytes; 0: not given */
	unsigned int weight;
};

/* Instances in the order of their names; guests[i] is that of instances[i]. */
struct instances {
	int count;
	struct instance {
		char *name;
		uint64_t first;			/* bytes it had when it was first seen */
		uint64_t most;			/* bytes it may have by its own options */
		int answers, seen;
	} *instances;
	struct policy_guest *guests;
};

/*
 * Looks which instances run, and asks them. @settings: one for each name, the last without one.
 */
void instances_look(struct instances *all, const char *uml_dir, const struct settings *settings);
/* Has an instance change its size to guests[i].target, and asks how far it got. -1: not all. */
int instance_resize(struct instances *all, int i, const char *uml_dir, const char **why);

/* ---- uml_memd.c ---- */

/* A line of the log. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
