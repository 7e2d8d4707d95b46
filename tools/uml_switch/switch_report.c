// SPDX-License-Identifier: GPL-2.0-only
/* Counters as text or JSON, and all frames in a capture file. */
#define _GNU_SOURCE
#include <pcap/pcap.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "switch.h"
#include "tool.h"

static const struct {
	const char *name, *words;
	unsigned long offset;
} fields[] = {
#define FIELD(name, words) { #name, words, offsetof(struct counters, name) }
	FIELD(in_frames, "frames received"),
	FIELD(in_bytes, "bytes received"),
	FIELD(out_frames, "frames sent"),
	FIELD(out_bytes, "bytes sent"),
	FIELD(in_short, "dropped: shorter than an Ethernet header"),
	FIELD(in_long, "dropped: longer than the MTU allows"),
	FIELD(in_source, "dropped: from a group address"),
	FIELD(own, "dropped: to an address behind the same port"),
	FIELD(out_full, "dropped: the client does not read"),
	FIELD(out_error, "dropped: the client's socket is gone"),
};
#define FIELDS	(sizeof(fields) / sizeof(fields[0]))

static uint64_t field(const struct counters *counters, unsigned int i)
{
	uint64_t value;

	memcpy(&value, (const char *)counters + fields[i].offset, sizeof(value));
	return value;
}

static void print_json(const struct counters *counters)
{
	for (unsigned int i = 0; i < FIELDS; i++)
		printf("%s\"%s\":%llu", i ? "," : "", fields[i].name,
		       (unsigned long long)field(counters, i));
}

static void print_text(const struct counters *counters)
{
	for (unsigned int i = 0; i < FIELDS; i++)
		if (i < 4 || field(counters, i))
			printf("  %llu %s\n", (unsigned long long)field(counters, i),
			       fields[i].words);
}

static void report_json(void)
{
	printf("{\"ports\":[");
	for (struct port *port = ports; port; port = port->next) {
		printf("%s{\"port\":%d,\"tap\":%s,\"waiting\":%u,", port == ports ? "" : ",",
		       port->number, port->is_tap ? "true" : "false", port->waiting);
		print_json(&port->counters);
		putchar('}');
	}
	printf("],\"gone\":{");
	print_json(&all_counters);
	printf("}}\n");
}

static void report_text(void)
{
	for (struct port *port = ports; port; port = port->next) {
		printf("Port %d%s%s\n", port->number, port->is_tap ? ", " : "",
		       port->is_tap ? options.tap : "");
		print_text(&port->counters);
	}
	puts("Ports that are gone");
	print_text(&all_counters);
}

void report(void)
{
	if (options.json)
		report_json();
	else
		report_text();
	fflush(stdout);
}

/* ---- capture ---- */

static pcap_dumper_t *dump;

void capture_open(const char *path)
{
	pcap_t *ethernet = pcap_open_dead(DLT_EN10MB, MOST_MTU + HEADER + TAG);

	dump = ethernet ? pcap_dump_open(ethernet, path) : NULL;
	if (!dump)
		die("-pcap %s: %s", path, ethernet ? pcap_geterr(ethernet) : "there is no memory");
}

void capture_frame(const void *bytes, unsigned int length)
{
	struct pcap_pkthdr header = { .caplen = length, .len = length };

	gettimeofday(&header.ts, NULL);
	pcap_dump((u_char *)dump, &header, bytes);
}

/* A disk that is full ends the capture, not the switch. */
void capture_flush(void)
{
	if (!dump || pcap_dump_flush(dump) == 0)
		return;
	fprintf(stderr, "%s: -pcap %s: cannot be written; the capture ends\n", tool_name,
		options.capture);
	pcap_dump_close(dump);
	dump = NULL;
	options.capture = NULL;
}
