// SPDX-License-Identifier: GPL-2.0-only
/*
 * Touches scattered pages one at a time: usage: scatter [read|write <pages> <pages apart>].
 *
 * The order is scattered too (a full-period walk), so that no two touches in a row are neighbours.
 * `read` touches pages never written: page tables grow, memory does not. `write` gives each page
 * its number, then reads all of them back in another order, when the host mappings of most have
 * been dropped in between.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "check.h"

#define PAGE 4096UL

int main(int argc, char **argv)
{
	static char *usual[] = { "scatter", "write", "65536", "2" };
	int writing;
	unsigned long pages, stride, at = 0, bad = 0;
	volatile unsigned long *area;

	if (argc == 1) {
		argv = usual;
		argc = 4;
	}
	if (argc != 4) {
		say("usage: scatter read|write <pages, a power of two> <pages apart>\n");
		return 2;
	}
	writing = !strcmp(argv[1], "write");
	pages = strtoul(argv[2], NULL, 0);
	stride = strtoul(argv[3], NULL, 0) * PAGE / sizeof(*area);
	area = mmap(NULL, pages * stride * sizeof(*area), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	need(area != MAP_FAILED);
	/* each page is to be its own */
	madvise((void *)area, pages * stride * sizeof(*area), MADV_NOHUGEPAGE);
	for (unsigned long i = 0; i < pages; i++) {
		/* odd step, power of two: each page once */
		at = (at + 0x9e3779b1UL) & (pages - 1);
		if (writing)
			area[at * stride] = ~at;
		else
			bad += area[at * stride];
	}
	for (unsigned long i = 0; writing && i < pages; i++) {
		at = (at + 0x85ebca6bUL) & (pages - 1);
		bad += area[at * stride] != ~at;
	}
	say("# %lu pages, %lu wrong\n", pages, bad);
	check(!bad, writing ? "scattered pages hold what was written" :
			      "scattered pages never written read as zeros");
	return check_done();
}
