// SPDX-License-Identifier: GPL-2.0-only
/*
 * Options that scripts for other User-Mode Linuxes pass, and that are not ours: no option is
 * silently ignored.
 *
 *  1. Those that have lost their meaning are accepted, with one line on standard error about what they mean today.
 *  2. Those that ask for a device or a behaviour that is not there end ./linux with one line and status 1: the guest would come up
 *     without what it needs.
 * A driver that comes to serve one of them removes it here.
 *
 * Runs on virtual CPU 0 while the command line is parsed, before anything is printed.
 */
#include <linux/ctype.h>
#include <linux/init.h>
#include <linux/string.h>
#include <host/process.h>

/* ---- 1. accepted ---- */

#define ACCEPTED(id, option, meaning)				\
static int __init accept_##id(char *value)			\
{								\
	host_warn("%s: %s", option, meaning);			\
	return 0;						\
}								\
early_param(option, accept_##id)

ACCEPTED(skas0, "skas0", "of no effect: guest code always runs in address spaces of its own");
ACCEPTED(jail, "jail", "of no effect: guest code is always confined, and cannot reach the kernel's memory");
ACCEPTED(honeypot, "honeypot", "of no effect: it made memory look like that of a real machine, in a mode that no longer exists");
ACCEPTED(fake_ide, "fake_ide", "of no effect: disks are called ubd only");
ACCEPTED(udb, "udb", "of no effect: disks are configured by ubd<n>=<file>");
ACCEPTED(debug, "debug", "the kernel's log is shown in full, as on any Linux; to debug ./linux itself start it under gdb");

static int __init accept_mode(char *value)
{
	if (value && (!strcmp(value, "tt") || !strcmp(value, "skas")))
		host_warn("mode=%s: of no effect: there is one mode, in which each guest process has an address space of its own", value);
	else
		host_fatal("mode=%s: there is no such mode; leave it out", value ?: "");
	return 0;
}
early_param("mode", accept_mode);

/* ---- 2. refused ---- */

#define REFUSED(id, option, what)				\
static int __init refuse_##id(char *value)			\
{								\
	host_fatal("%s: %s", option, what);			\
}								\
early_param(option, refuse_##id)

REFUSED(time_travel, "time-travel", "simulated time is not built yet; leave it out to run in real time");
REFUSED(time_travel_start, "time-travel-start", "simulated time is not built yet; leave it out to run in real time");

static int __init one_cpu_only(char *value)
{
	if (!value || strcmp(value, "1"))
		host_fatal("ncpus=%s: there is one virtual CPU so far; give ncpus=1 or leave it out", value ?: "");
	return 0;
}
early_param("ncpus", one_cpu_only);

/* Devices by number; what only begins like them ("ether=") is Linux's. */
static int __init refuse_device(const char *kind, const char *rest, const char *what)
{
	if (!isdigit(*rest) && *rest != '=')
		return 0;
	host_fatal("%s%s: %s", kind, rest, what);
}

#define NO_NETWORK "there are no network devices yet; leave it out"

static int __init refuse_eth(char *rest)
{
	return refuse_device("eth", rest, NO_NETWORK);
}
__setup("eth", refuse_eth);

static int __init refuse_vec(char *rest)
{
	return refuse_device("vec", rest, NO_NETWORK);
}
__setup("vec", refuse_vec);

#ifndef CONFIG_UML_SERIAL_LINES
static int __init refuse_ssl(char *rest)
{
	return refuse_device("ssl", rest, "this kernel has no serial lines; give con1 to con15");
}
__setup("ssl", refuse_ssl);
#endif
