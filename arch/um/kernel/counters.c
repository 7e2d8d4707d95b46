// SPDX-License-Identifier: GPL-2.0-only
/* /proc/um/counters: what the port did, one "name value" a line. */
#include <linux/init.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <asm/machine.h>
#include "counters.h"

struct counters counters;

void count_patched_site(void)
{
	counters.patched_sites++;
}

#ifdef CONFIG_PROC_FS
static int counters_show(struct seq_file *file, void *v)
{
#define SHOW(name) seq_printf(file, #name " %lu\n", counters.name)
	SHOW(syscalls);
	SHOW(fast_syscalls);
	SHOW(patched_sites);
	SHOW(faults);
	SHOW(misses);
	SHOW(exceptions);
	SHOW(interrupts);
	SHOW(host_maps);
	SHOW(pages);
	SHOW(host_unmaps);
	SHOW(host_protects);
	SHOW(batches);
	SHOW(full_flushes);
	SHOW(spaces);
	SHOW(pages_discarded);
	SHOW(huge_blocks);
	SHOW(huge_refused);
	SHOW(pages_unbacked);
	seq_printf(file, "pages_per_map %lu.%lu\n", counters.pages / max(counters.host_maps, 1UL),
		   counters.pages * 10 / max(counters.host_maps, 1UL) % 10);
	seq_printf(file, "stubs_made %lu\nstubs_reused %lu\n", host_stubs_made, host_stubs_reused);
	seq_printf(file, "turns_slept %lu\nturns_spun %lu\nspin_phases %lu\n", host_turns_slept, host_turns_spun, host_spin_phases);
	return 0;
}

static int __init counters_init(void)
{
	proc_mkdir("um", NULL);
	proc_create_single("um/counters", 0444, NULL, counters_show);
	return 0;
}
late_initcall(counters_init);
#endif
