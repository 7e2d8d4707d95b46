/* SPDX-License-Identifier: GPL-2.0-only */
/* uml_top: what its files have in common. */
#ifndef UML_TOP_H
#define UML_TOP_H

#include <mconsole.h>

#include "instance_usage.h"

enum guest_state {
	RUNNING,
	STOPPED,	/* by the command stop */
	SILENT,		/* it did not answer in time */
	DEAD,		/* a killed instance's folder */
	UNKNOWN,	/* another user's */
};

/* Counters since the guest's start, as the guest has them. */
struct guest_counters {
	unsigned long long disk_read, disk_written;	/* bytes, of all disks */
	unsigned long long received, sent;		/* bytes, of all networks but lo */
	double load;					/* of the last minute */
};

struct guest {
	char *name, *folder;
	int pid;
	enum guest_state state;
	int has_usage, has_counters, has_rates;
	struct instance_usage usage;
	struct guest_counters counters;
	double time;			/* of this sample, in seconds */
	/* Since the sample before: percent of a host CPU, and bytes a second. */
	double cpu, read_rate, write_rate, receive_rate, send_rate;
	/* top_sample.c alone */
	struct mconsole *console;
	int is_listed, step;
	struct guest_counters asked;
	unsigned long long given;	/* bytes of memory, by its last answer; 0: none */
	char *answer;
	size_t answer_length;
};

struct guests {
	struct guest *list;		/* by name */
	size_t count;
	const char *uml_dir;		/* NULL: the usual folders */
};

/*
 * top_sample.c: lists the instances and asks those that live, all at once, for at most @limit
 * milliseconds. Rates are those since the sample before. Ends the program without memory.
 */
void take_sample(struct guests *guests, int limit);
void free_guests(struct guests *guests);
const char *name_of_state(enum guest_state state);

/* top_report.c: on standard output. */
void print_guests_json(const struct guests *guests);
void print_metrics(const struct guests *guests);

/* top_screen.c: until the user ends it. @interval is in seconds. */
void run_screen(struct guests *guests, double interval);

double seconds_now(void);

#endif
