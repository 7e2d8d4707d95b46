// SPDX-License-Identifier: GPL-2.0-only
/*
 * How values of options are read: what has no meaning ends ./linux with one line and status 1.
 *
 * Runs on virtual CPU 0 while the command line is parsed, before anything is printed.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <host/process.h>
#include "kernel.h"

/* An option that is there or not: name alone. */
void __init option_flag(const char *name, const char *value)
{
	if (value)
		host_fatal("%s=%s: takes no value; give %s alone, or leave it out", name, value, name);
}

/* An option that turns something on or off. */
bool __init option_switch(const char *name, const char *value)
{
	if (value && (!strcmp(value, "1") || !strcmp(value, "on")))
		return true;
	if (value && (!strcmp(value, "0") || !strcmp(value, "off")))
		return false;
	host_fatal("%s%s%s: not one of 0 and 1", name, value ? "=" : "", value ?: "");
}

/* Which of some words an option has for its value; choices ends with NULL, all says them. */
int __init option_choice(const char *name, const char *value, const char *const *choices, const char *all)
{
	for (int i = 0; value && choices[i]; i++)
		if (!strcmp(value, choices[i]))
			return i;
	host_fatal("%s%s%s: not one of %s", name, value ? "=" : "", value ?: "", all);
}

/* ---- options of Linux's own, which it would ignore with a line in the log ---- */

static int __init check_clock_source(char *value)
{
	static const char *const known[] = { "tsc", "host", "jiffies", NULL };

	option_choice("clocksource", value, known, "tsc and host");
	return 0;
}
early_param("clocksource", check_clock_source);

static int __init check_panic(char *value)
{
	int seconds;

	if (!value || kstrtoint(value, 0, &seconds))
		host_fatal("panic%s%s: not a number of seconds; 0 does not restart, -1 does so at once",
			   value ? "=" : "", value ?: "");
	return 0;
}
early_param("panic", check_panic);

/* ---- options whose values the host side read before Linux began (os-Linux/main.c) ---- */

#define TAKEN_BY_HOST(option)						\
static int __init take_##option(char *value)				\
{									\
	return 0;							\
}									\
early_param(#option, take_##option)

TAKEN_BY_HOST(mem);
TAKEN_BY_HOST(maxmem);
TAKEN_BY_HOST(seccomp);
TAKEN_BY_HOST(spec);
TAKEN_BY_HOST(stub_base);
TAKEN_BY_HOST(umid);
TAKEN_BY_HOST(uml_dir);

static int __init check_nosysemu(char *value)
{
	option_flag("nosysemu", value);
	return 0;
}
early_param("nosysemu", check_nosysemu);
