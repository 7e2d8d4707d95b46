// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_top: which instances there are, and what they do.
 *
 * CPU time and memory are the host's numbers. Load, disks and networks are the guest's, by its
 * files below /proc. All guests are asked at once, each for one file after the other, so that one
 * that does not answer costs no more than the time limit.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool.h"
#include "uml_top.h"

#define SECTOR 512	/* in /proc/diskstats, whatever the disk's own are */

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

const char *name_of_state(enum guest_state state)
{
	static const char *const names[] = { "running", "stopped", "silent", "dead", "unknown" };

	return names[state];
}

/* ---- the files ---- */

/* The device is missing in some kernels. A stopped guest keeps the memory that it had. */
static void read_memory(struct guest *guest)
{
	guest->given = strtoull(guest->answer, NULL, 10);
}

static void read_load(struct guest *guest)
{
	guest->has_counters = 1;
	guest->asked.load = strtod(guest->answer, NULL);
}

/* Partitions and disks of disks would count twice: whole ubd and virtio disks only. */
static int is_disk(const char *name)
{
	size_t length = strlen(name);

	return (!strncmp(name, "ubd", 3) || !strncmp(name, "vd", 2)) &&
	       name[length - 1] >= 'a' && name[length - 1] <= 'z';
}

static void read_disks(struct guest *guest)
{
	char name[64];

	for (char *line = guest->answer; line && *line; line = strchr(line, '\n')) {
		unsigned long long read, written;

		line += *line == '\n';
		if (sscanf(line, " %*u %*u %63s %*u %*u %llu %*u %*u %*u %llu", name, &read,
			   &written) != 3 || !is_disk(name))
			continue;
		guest->asked.disk_read += read * SECTOR;
		guest->asked.disk_written += written * SECTOR;
	}
}

static void read_networks(struct guest *guest)
{
	char name[64];

	for (char *line = guest->answer; line && *line; line = strchr(line, '\n')) {
		unsigned long long received, sent;

		line += *line == '\n';
		if (sscanf(line, " %63[^: \n]: %llu %*u %*u %*u %*u %*u %*u %*u %llu", name,
			   &received, &sent) != 3 || !strcmp(name, "lo"))
			continue;
		guest->asked.received += received;
		guest->asked.sent += sent;
	}
}

static const struct {
	const char *request;
	void (*read)(struct guest *guest);
} steps[] = {
	{ "config mem", read_memory },
	{ "proc loadavg", read_load },
	{ "proc diskstats", read_disks },
	{ "proc net/dev", read_networks },
};

#define STEPS ((int)(sizeof(steps) / sizeof(*steps)))

/* ---- asking ---- */

static void begin_step(struct guest *guest)
{
	free(guest->answer);
	guest->answer = NULL;
	guest->answer_length = 0;
	if (guest->step < STEPS && mconsole_send(guest->console, steps[guest->step].request, 0)) {
		guest->state = SILENT;
		guest->step = STEPS;
	}
}

static void append(struct guest *guest, const struct mconsole_packet *packet)
{
	char *more = realloc(guest->answer, guest->answer_length + packet->length + 1);

	if (!more)
		die("there is no memory");
	guest->answer = more;
	memcpy(more + guest->answer_length, packet->text, packet->length + 1);
	guest->answer_length += packet->length;
}

/* Whether it is the answer of an instance that is stopped. */
static int says_stopped(const struct guest *guest, const struct mconsole_packet *packet)
{
	static const char start[] = "the instance is stopped";

	return packet->error && !strncmp(guest->answer, start, sizeof(start) - 1);
}

/* A packet may have come. A kernel without one of the files still has the others. */
static void go_on(struct guest *guest)
{
	struct mconsole_packet packet;
	int code = mconsole_receive(guest->console, 0, &packet);

	if (code == MCONSOLE_TIMEOUT)
		return;
	if (code) {
		guest->state = code == MCONSOLE_GONE ? DEAD : SILENT;
		guest->step = STEPS;
		return;
	}
	append(guest, &packet);
	if (packet.more)
		return;
	if (says_stopped(guest, &packet)) {
		guest->state = STOPPED;
		guest->step = STEPS;
		return;
	}
	if (!packet.error)
		steps[guest->step].read(guest);
	guest->step++;
	begin_step(guest);
}

static void begin(struct guest *guest)
{
	guest->step = STEPS;
	guest->has_counters = 0;
	guest->asked = (struct guest_counters){ 0 };
	if (guest->state != RUNNING)
		return;
	if (!guest->console && mconsole_open(guest->folder, NULL, &guest->console)) {
		guest->state = SILENT;
		return;
	}
	guest->step = 0;
	begin_step(guest);
}

/* Whether an answer is still missing; it is waited for. */
static int wait_for_some(struct guests *guests, double end)
{
	struct pollfd *polls = allocate((guests->count + 1) * sizeof(*polls));
	double left = (end - seconds_now()) * 1000;
	size_t waiting = 0;

	for (size_t i = 0; i < guests->count; i++)
		if (guests->list[i].step < STEPS)
			polls[waiting++] = (struct pollfd){
				.fd = mconsole_fd(guests->list[i].console), .events = POLLIN };
	if (waiting && left > 0)
		poll(polls, waiting, (int)left + 1);
	free(polls);
	return waiting && left > 0;
}

static void ask_all(struct guests *guests, int limit)
{
	double end = seconds_now() + limit / 1000.0;

	for (size_t i = 0; i < guests->count; i++)
		begin(&guests->list[i]);
	while (wait_for_some(guests, end))
		for (size_t i = 0; i < guests->count; i++)
			if (guests->list[i].step < STEPS)
				go_on(&guests->list[i]);
	for (size_t i = 0; i < guests->count; i++)
		if (guests->list[i].step < STEPS)
			guests->list[i].state = SILENT;
}

/* ---- the list ---- */

static void forget(struct guest *guest)
{
	mconsole_close(guest->console);
	free(guest->answer);
	free(guest->name);
	free(guest->folder);
}

static struct guest *find(struct guests *guests, const struct mconsole_instance *instance)
{
	for (size_t i = 0; i < guests->count; i++)
		if (guests->list[i].pid == instance->pid &&
		    !strcmp(guests->list[i].folder, instance->folder))
			return &guests->list[i];
	return NULL;
}

static struct guest *add(struct guests *guests, const struct mconsole_instance *instance)
{
	struct guest *list = realloc(guests->list, (guests->count + 1) * sizeof(*list)), *guest;

	if (!list)
		die("there is no memory");
	guests->list = list;
	guest = &list[guests->count++];
	*guest = (struct guest){
		.name = strdup(instance->name),
		.folder = strdup(instance->folder),
		.pid = instance->pid,
	};
	if (!guest->name || !guest->folder)
		die("there is no memory");
	return guest;
}

static int by_name(const void *one, const void *other)
{
	const struct guest *a = one, *b = other;
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->folder, b->folder);
}

static void drop_unlisted(struct guests *guests)
{
	size_t kept = 0;

	for (size_t i = 0; i < guests->count; i++)
		if (guests->list[i].is_listed)
			guests->list[kept++] = guests->list[i];
		else
			forget(&guests->list[i]);
	guests->count = kept;
	if (kept)
		qsort(guests->list, kept, sizeof(*guests->list), by_name);
}

static void list_all(struct guests *guests)
{
	struct mconsole_instance *list;
	size_t count;
	int code = mconsole_list(guests->uml_dir, &list, &count);

	if (code)
		die("the list of instances: %s", mconsole_strerror(code));
	for (size_t i = 0; i < guests->count; i++)
		guests->list[i].is_listed = 0;
	for (size_t i = 0; i < count; i++) {
		struct guest *guest = find(guests, &list[i]);

		if (!guest)
			guest = add(guests, &list[i]);
		guest->is_listed = 1;
		guest->state = list[i].state == MCONSOLE_LIVES ? RUNNING :
			       list[i].state == MCONSOLE_IS_DEAD ? DEAD : UNKNOWN;
	}
	mconsole_list_free(list, count);
	drop_unlisted(guests);
}

/* ---- a sample ---- */

/* A restart begins the counters at 0 again. */
static double rate(unsigned long long now, unsigned long long before, double seconds)
{
	return now > before ? (now - before) / seconds : 0;
}

static void measure(struct guest *guest, const struct guest *before)
{
	const struct guest_counters *was = &before->counters;
	double seconds;

	guest->time = seconds_now();
	guest->has_usage = guest->state != DEAD && guest->state != UNKNOWN &&
			   !instance_usage(guest->pid, &guest->usage);
	if (guest->given)
		guest->usage.given = guest->given;
	guest->counters = guest->asked;
	seconds = guest->time - before->time;
	guest->has_rates = before->time && before->has_usage && guest->has_usage && seconds > 0;
	if (!guest->has_rates)
		return;
	guest->cpu = 100 * (guest->usage.cpu - before->usage.cpu) / seconds;
	guest->read_rate = guest->write_rate = guest->receive_rate = guest->send_rate = 0;
	if (!guest->has_counters || !before->has_counters)
		return;
	guest->read_rate = rate(guest->counters.disk_read, was->disk_read, seconds);
	guest->write_rate = rate(guest->counters.disk_written, was->disk_written, seconds);
	guest->receive_rate = rate(guest->counters.received, was->received, seconds);
	guest->send_rate = rate(guest->counters.sent, was->sent, seconds);
}

void take_sample(struct guests *guests, int limit)
{
	struct guest *before;

	list_all(guests);
	before = allocate((guests->count + 1) * sizeof(*before));
	if (guests->count)
		memcpy(before, guests->list, guests->count * sizeof(*before));
	ask_all(guests, limit);
	for (size_t i = 0; i < guests->count; i++)
		measure(&guests->list[i], &before[i]);
	free(before);
}

void free_guests(struct guests *guests)
{
	for (size_t i = 0; i < guests->count; i++)
		forget(&guests->list[i]);
	free(guests->list);
}
