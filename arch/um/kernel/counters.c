// SPDX-License-Identifier: GPL-2.0-only
/* /proc/um/counters: what the port did, one "name value" a line. */
#include <linux/init.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include "counters.h"

struct counters counters;

#ifdef CONFIG_PROC_FS
static int counters_show(struct seq_file *file, void *v)
{
#define SHOW(name) seq_printf(file, #name " %lu\n", counters.name)
	SHOW(syscalls);
	SHOW(faults);
	SHOW(misses);
	SHOW(exceptions);
	SHOW(interrupts);
	SHOW(host_maps);
	SHOW(pages);
	SHOW(host_unmaps);
	SHOW(host_protects);
	SHOW(batches);
	SHOW(evictions);
	SHOW(spaces);
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
