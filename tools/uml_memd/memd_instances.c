// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instances as their management consoles describe them.
 *
 * One that does not answer, or is stopped, keeps what it had: it counts, but is left alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mconsole.h>

#include "memd.h"

#define ANSWER_MS	3000
#define RESIZE_MS	15000		/* the kernel takes at most some seconds */
#define KERNELS_DEFAULT	"256M"		/* without mem= */

/* ---- requests ---- */

/* The answer, to be freed; NULL: there is none, or it is an error. */
static char *ask(struct mconsole *console, const char *request, int limit)
{
	unsigned int error;
	char *answer;

	if (mconsole_ask(console, request, limit, &answer, NULL, &error))
		return NULL;
	if (!error)
		return answer;
	free(answer);
	return NULL;
}

static int ask_size(struct mconsole *console, uint64_t *size)
{
	char *answer = ask(console, "config mem", ANSWER_MS);
	int error = answer ? parse_size(answer, size) : -1;

	free(answer);
	return error;
}

/* The value of the last "@name=" in a command line. */
static int option_size(const char *line, const char *name, uint64_t *size)
{
	char *copy = strdup(line), *rest = copy, *word;
	int error = -1;

	while (copy && (word = strsep(&rest, " \n")))
		if (!strncmp(word, name, strlen(name)) && !parse_size(word + strlen(name), size))
			error = 0;
	free(copy);
	return error;
}

static uint64_t ask_most(struct mconsole *console, uint64_t size)
{
	char *line = ask(console, "proc cmdline", ANSWER_MS);
	uint64_t most = size;

	if (line && option_size(line, "maxmem=", &most) && option_size(line, "mem=", &most))
		parse_size(KERNELS_DEFAULT, &most);
	free(line);
	return most;
}

static int ask_available(struct mconsole *console, uint64_t *available)
{
	char *meminfo = ask(console, "proc meminfo", ANSWER_MS);
	long long kilobytes = meminfo ? number_after(meminfo, "MemAvailable:") : -1;

	free(meminfo);
	*available = kilobytes * 1024;
	return kilobytes < 0 ? -1 : 0;
}

/* Kernels count it only with psi=1, unless they are configured otherwise. */
static double ask_pressure(struct mconsole *console)
{
	char *text = ask(console, "proc pressure/memory", ANSWER_MS);
	double pressure = text ? some_pressure(text) : -1;

	free(text);
	return pressure;
}

static int ask_all(struct instance *instance, struct policy_guest *guest, const char *uml_dir)
{
	struct mconsole *console;
	int error;

	if (mconsole_open(instance->name, uml_dir, &console))
		return -1;
	error = ask_size(console, &guest->size) || ask_available(console, &guest->available);
	if (!error) {
		guest->pressure = ask_pressure(console);
		if (!instance->first) {
			instance->first = guest->size;
			instance->most = ask_most(console, guest->size);
		}
	}
	mconsole_close(console);
	return error ? -1 : 0;
}

/* ---- which there are ---- */

static struct instance *add(struct instances *all, const char *name)
{
	int i = 0;

	all->instances = realloc(all->instances, (all->count + 1) * sizeof(*all->instances));
	all->guests = realloc(all->guests, (all->count + 1) * sizeof(*all->guests));
	if (!all->instances || !all->guests)
		abort();
	while (i < all->count && strcmp(all->instances[i].name, name) < 0)
		i++;
	memmove(&all->instances[i + 1], &all->instances[i],
		(all->count - i) * sizeof(*all->instances));
	memmove(&all->guests[i + 1], &all->guests[i], (all->count - i) * sizeof(*all->guests));
	all->count++;
	all->instances[i] = (struct instance) { .name = strdup(name), .answers = 1 };
	all->guests[i] = (struct policy_guest) { .name = all->instances[i].name };
	return &all->instances[i];
}

static void drop(struct instances *all, int i)
{
	free(all->instances[i].name);
	all->count--;
	memmove(&all->instances[i], &all->instances[i + 1],
		(all->count - i) * sizeof(*all->instances));
	memmove(&all->guests[i], &all->guests[i + 1], (all->count - i) * sizeof(*all->guests));
}

static struct instance *known(struct instances *all, const char *name)
{
	for (int i = 0; i < all->count; i++)
		if (!strcmp(all->instances[i].name, name))
			return &all->instances[i];
	return NULL;
}

/* Its own settings, or those of all; NULL: only others are named. */
static const struct settings *settings_of(const struct settings *settings, const char *name)
{
	int named = !!settings->name;

	for (; settings->name; settings++)
		if (!strcmp(settings->name, name))
			return settings;
	return named ? NULL : settings;
}

static void list(struct instances *all, const char *uml_dir, const struct settings *settings)
{
	struct mconsole_instance *found;
	size_t count;

	for (int i = 0; i < all->count; i++)
		all->instances[i].seen = 0;
	if (mconsole_list(uml_dir, &found, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		struct instance *instance = known(all, found[i].name);

		if (found[i].state != MCONSOLE_LIVES || !settings_of(settings, found[i].name))
			continue;
		if (!instance)
			instance = add(all, found[i].name);
		instance->seen = 1;
	}
	mconsole_list_free(found, count);
	for (int i = all->count - 1; i >= 0; i--)
		if (!all->instances[i].seen) {
			log_line("%s: has ended", all->instances[i].name);
			drop(all, i);
		}
}

static void apply(const struct instance *instance, struct policy_guest *guest,
		  const struct settings *own)
{
	guest->name = instance->name;
	guest->minimum = own->minimum;
	guest->maximum = own->maximum && own->maximum < instance->most ? own->maximum :
		instance->most;
	if (guest->maximum < guest->minimum)
		guest->minimum = guest->maximum;
	guest->weight = own->weight;
}

static void leave_alone(struct policy_guest *guest)
{
	guest->minimum = guest->maximum = guest->size;
	guest->available = 0;
	guest->pressure = -1;
	guest->weight = 1;
}

void instances_look(struct instances *all, const char *uml_dir, const struct settings *settings)
{
	list(all, uml_dir, settings);
	for (int i = 0; i < all->count; i++) {
		struct instance *instance = &all->instances[i];
		struct policy_guest *guest = &all->guests[i];
		int is_new = !instance->first, answers = !ask_all(instance, guest, uml_dir);

		if (answers != instance->answers)
			log_line("%s: %s", instance->name, answers ? "answers again" :
				 "does not answer, so it keeps what it has");
		instance->answers = answers;
		if (!answers) {
			leave_alone(guest);
			continue;
		}
		apply(instance, guest, settings_of(settings, instance->name));
		if (is_new)
			log_line("%s: has %" PRIu64 "M, and may have %" PRIu64 "M to %" PRIu64 "M",
				 instance->name, guest->size / POLICY_MIB,
				 guest->minimum / POLICY_MIB, guest->maximum / POLICY_MIB);
	}
}

int instance_resize(struct instances *all, int i, const char *uml_dir, const char **why)
{
	static char said[MCONSOLE_LONGEST + 1];
	struct policy_guest *guest = &all->guests[i];
	char request[64], *answer = NULL;
	struct mconsole *console;
	unsigned int error = 0;
	int code = mconsole_open(all->instances[i].name, uml_dir, &console);

	*why = mconsole_strerror(code);
	if (code)
		return -1;
	snprintf(request, sizeof(request), "config mem=%" PRIu64, guest->target);
	code = mconsole_ask(console, request, RESIZE_MS, &answer, NULL, &error);
	*why = code ? mconsole_strerror(code) : said;
	snprintf(said, sizeof(said), "%s", answer ? answer : "");
	free(answer);
	if (ask_size(console, &guest->size) && !code && !error)
		guest->size = guest->target;
	mconsole_close(console);
	return code || error ? -1 : 0;
}
