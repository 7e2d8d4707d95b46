// SPDX-License-Identifier: GPL-2.0-only
/* uml_top: a sample for programs, as JSON or as text for Prometheus. */
#define _GNU_SOURCE
#include <stdio.h>

#include "json.h"
#include "uml_top.h"

/* ---- JSON ---- */

/* `, "name": 12`, or null. */
static void print_number(const char *name, int is_known, double value)
{
	if (is_known)
		printf(", \"%s\": %.2f", name, value);
	else
		printf(", \"%s\": null", name);
}

static void print_count(const char *name, int is_known, unsigned long long value)
{
	if (is_known)
		printf(", \"%s\": %llu", name, value);
	else
		printf(", \"%s\": null", name);
}

static void print_guest_json(const struct guest *guest)
{
	const struct guest_counters *counters = &guest->counters;
	int has_counters = guest->has_counters, has_rates = guest->has_rates;

	printf("{\"umid\": ");
	print_json_string(guest->name);
	printf(", \"folder\": ");
	print_json_string(guest->folder);
	printf(", \"state\": \"%s\"", name_of_state(guest->state));
	print_count("pid", guest->pid != 0, guest->pid);
	print_number("uptime", guest->has_usage, guest->usage.uptime);
	print_number("cpu_percent", has_rates, guest->cpu);
	print_number("cpu_seconds", guest->has_usage, guest->usage.cpu);
	print_count("memory_used", guest->has_usage, guest->usage.used);
	print_count("memory_given", guest->has_usage && guest->usage.given, guest->usage.given);
	print_number("load", has_counters, counters->load);
	print_count("disk_read", has_counters, counters->disk_read);
	print_count("disk_written", has_counters, counters->disk_written);
	print_number("disk_read_rate", has_counters && has_rates, guest->read_rate);
	print_number("disk_write_rate", has_counters && has_rates, guest->write_rate);
	print_count("network_received", has_counters, counters->received);
	print_count("network_sent", has_counters, counters->sent);
	print_number("network_receive_rate", has_counters && has_rates, guest->receive_rate);
	print_number("network_send_rate", has_counters && has_rates, guest->send_rate);
	putchar('}');
}

void print_guests_json(const struct guests *guests)
{
	putchar('[');
	for (size_t i = 0; i < guests->count; i++) {
		if (i)
			printf(",\n ");
		print_guest_json(&guests->list[i]);
	}
	puts("]");
}

/* ---- Prometheus ---- */

/* Each returns whether the guest has that number. */
static int is_up(const struct guest *guest, double *value)
{
	*value = guest->state == RUNNING || guest->state == STOPPED;
	return guest->state != UNKNOWN;
}

static int is_stopped(const struct guest *guest, double *value)
{
	*value = guest->state == STOPPED;
	return guest->has_usage;
}

static int uptime(const struct guest *guest, double *value)
{
	*value = guest->usage.uptime;
	return guest->has_usage;
}

static int cpu(const struct guest *guest, double *value)
{
	*value = guest->usage.cpu;
	return guest->has_usage;
}

static int used(const struct guest *guest, double *value)
{
	*value = guest->usage.used;
	return guest->has_usage;
}

static int given(const struct guest *guest, double *value)
{
	*value = guest->usage.given;
	return guest->has_usage && guest->usage.given;
}

static int load(const struct guest *guest, double *value)
{
	*value = guest->counters.load;
	return guest->has_counters;
}

static int disk_read(const struct guest *guest, double *value)
{
	*value = guest->counters.disk_read;
	return guest->has_counters;
}

static int disk_written(const struct guest *guest, double *value)
{
	*value = guest->counters.disk_written;
	return guest->has_counters;
}

static int received(const struct guest *guest, double *value)
{
	*value = guest->counters.received;
	return guest->has_counters;
}

static int sent(const struct guest *guest, double *value)
{
	*value = guest->counters.sent;
	return guest->has_counters;
}

static const struct {
	const char *name, *type, *help;
	int (*value)(const struct guest *guest, double *value);
} metrics[] = {
	{ "uml_up", "gauge", "Whether the instance answers.", is_up },
	{ "uml_stopped", "gauge", "Whether it was stopped by its management console.", is_stopped },
	{ "uml_uptime_seconds", "gauge", "Time since its process started.", uptime },
	{ "uml_cpu_seconds_total", "counter", "CPU time of the host.", cpu },
	{ "uml_memory_used_bytes", "gauge", "Memory of the host in use.", used },
	{ "uml_memory_given_bytes", "gauge", "Size of guest RAM.", given },
	{ "uml_load1", "gauge", "Load of the guest over the last minute.", load },
	{ "uml_disk_read_bytes_total", "counter", "Bytes read from disks.", disk_read },
	{ "uml_disk_written_bytes_total", "counter", "Bytes written to disks.", disk_written },
	{ "uml_network_received_bytes_total", "counter", "Bytes received.", received },
	{ "uml_network_sent_bytes_total", "counter", "Bytes sent.", sent },
};

static void print_label(const char *text)
{
	for (; *text; text++)
		if (*text == '\n')
			printf("\\n");
		else if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else
			putchar(*text);
}

void print_metrics(const struct guests *guests)
{
	for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
		printf("# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help,
		       metrics[i].name, metrics[i].type);
		for (size_t j = 0; j < guests->count; j++) {
			double value;

			if (!metrics[i].value(&guests->list[j], &value))
				continue;
			printf("%s{umid=\"", metrics[i].name);
			print_label(guests->list[j].name);
			printf("\",folder=\"");
			print_label(guests->list[j].folder);
			printf("\"} %.16g\n", value);
		}
	}
}
