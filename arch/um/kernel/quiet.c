// SPDX-License-Identifier: GPL-2.0-only
/*
 * What wakes an idle guest for nothing and can be asked to do it less often.
 *
 * Each table of network neighbours looks every five seconds for entries that are to be kept alive
 * for ever ("managed" ones, of which there are none until someone adds them with `ip neigh ...
 * managed`). Once a minute will do as default: it is a sysctl,
 * net.*.neigh.default.interval_probe_time_ms.
 */
#include <linux/init.h>
#include <net/arp.h>
#include <net/ndisc.h>
#include <net/neighbour.h>

static int __init look_after_neighbours_less_often(void)
{
	NEIGH_VAR_INIT(&arp_tbl.parms, INTERVAL_PROBE_TIME_MS, 60 * HZ);
	if (IS_BUILTIN(CONFIG_IPV6))
		NEIGH_VAR_INIT(&nd_tbl.parms, INTERVAL_PROBE_TIME_MS, 60 * HZ);
	return 0;
}
late_initcall(look_after_neighbours_less_often);
