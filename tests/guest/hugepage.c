// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory in large pages: that they behave as small ones do, and that they save stops and host
 * calls, by /proc/um/counters.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "check.h"

#define PAGE 4096UL
#define HUGE (2UL << 20)
#define PAGES (HUGE / PAGE)

static sigjmp_buf back;
static volatile int raised;

static void faulted(int sig)
{
	raised = sig;
	siglongjmp(back, 1);
}

#define FAULT_OF(action) ({ raised = 0; if (!sigsetjmp(back, 1)) { action; } raised; })

/* A counter of the port; -1 where there is none. */
static long counter(const char *name)
{
	char line[128];
	long value = -1, found;
	FILE *file = fopen("/proc/um/counters", "r");

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) &&
		    sscanf(line + strlen(name), " %ld", &found) == 1)
			value = found;
	if (file)
		fclose(file);
	return value;
}

/* Aligned huge pages of anonymous memory. */
static volatile char *aligned(size_t huge)
{
	char *at = mmap(NULL, (huge + 1) * HUGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	need(at != MAP_FAILED);
	at = (char *)(((unsigned long)at + HUGE - 1) & ~(HUGE - 1));
	madvise(at, huge * HUGE, MADV_HUGEPAGE);
	return at;
}

static void fill(volatile char *at, size_t pages, char seed)
{
	for (size_t i = 0; i < pages; i++)
		at[i * PAGE] = (char)(i * 7 + seed);
}

static size_t wrong(volatile char *at, size_t first, size_t pages, char seed)
{
	size_t bad = 0;

	for (size_t i = first; i < first + pages; i++)
		bad += at[i * PAGE] != (char)(i * 7 + seed);
	return bad;
}

static void cheap(void)
{
	const size_t huge = 16;
	volatile char *at = aligned(huge);
	long faults, maps;

	/* the host has this memory now, and the free lists are warm */
	fill(at, huge * PAGES, 1);
	munmap((void *)at, huge * HUGE);
	at = aligned(huge);
	faults = counter("faults");
	maps = counter("host_maps");
	fill(at, huge * PAGES, 2);
	faults = counter("faults") - faults;
	maps = counter("host_maps") - maps;
	if (!in_guest()) {
		check_skip("one fault and one host call serve at least 16 pages",
			   "not in the guest");
	} else {
		say("# %zu pages: %ld faults, %ld mapping calls\n", huge * PAGES, faults, maps);
		check(faults * 16 <= (long)(huge * PAGES) + 256 &&
			      maps * 16 <= (long)(huge * PAGES) + 256,
		      "one fault and one host call serve at least 16 pages");
	}
	check(!wrong(at, 0, huge * PAGES, 2), "large pages hold what was written");
	munmap((void *)at, huge * HUGE);
}

static void forked(void)
{
	volatile char *at = aligned(2);
	long protects, maps;
	int status;
	pid_t child;

	fill(at, 2 * PAGES, 3);
	protects = counter("host_protects");
	maps = counter("host_maps");
	child = fork();
	if (!child) {
		size_t bad = wrong(at, 0, 2 * PAGES, 3);

		fill(at, PAGES, 4);
		_exit(bad || wrong(at, 0, PAGES, 4) || wrong(at, PAGES, PAGES, 3));
	}
	need(child > 0 && waitpid(child, &status, 0) == child);
	protects = counter("host_protects") - protects;
	maps = counter("host_maps") - maps;
	check(status == 0, "a child sees its parent's large pages and writes to copies of its own");
	check(!wrong(at, 0, 2 * PAGES, 3), "and the parent does not see what it wrote");
	if (in_guest()) {
		say("# fork: %ld changes of rights, %ld mapping calls, parent and child together\n",
		    protects, maps);
		check(protects < 64, "fork takes write permission away by area, not by page");
	}
	fill(at, PAGES, 5);
	check(!wrong(at, 0, PAGES, 5) && !wrong(at, PAGES, PAGES, 3),
	      "the parent writes again afterwards");
	munmap((void *)at, 2 * HUGE);
}

static void split(void)
{
	volatile char *volatile at = aligned(1), *volatile moved;

	fill(at, PAGES, 6);
	need(!mprotect((void *)(at + 100 * PAGE), PAGE, PROT_READ));
	check(FAULT_OF(at[100 * PAGE] = 1) == SIGSEGV &&
		      FAULT_OF(at[101 * PAGE] = at[101 * PAGE]) == 0,
	      "one page of a large one can become read-only");
	need(!mprotect((void *)(at + 100 * PAGE), PAGE, PROT_NONE));
	check(FAULT_OF((void)at[100 * PAGE]) == SIGSEGV && FAULT_OF((void)at[99 * PAGE]) == 0,
	      "or inaccessible");
	need(!mprotect((void *)(at + 100 * PAGE), PAGE, PROT_READ | PROT_WRITE));
	check(!wrong(at, 0, PAGES, 6), "and comes back with its content");
	need(!munmap((void *)(at + 200 * PAGE), PAGE));
	check(FAULT_OF(at[200 * PAGE] = 1) == SIGSEGV && !wrong(at, 0, 200, 6) &&
		      !wrong(at, 201, PAGES - 201, 6),
	      "one page in the middle can be unmapped");
	need(!madvise((void *)(at + 300 * PAGE), 10 * PAGE, MADV_DONTNEED));
	check(at[300 * PAGE] == 0 && at[309 * PAGE] == 0 && !wrong(at, 310, PAGES - 310, 6),
	      "or thrown away");
	munmap((void *)at, HUGE);

	at = aligned(1);
	fill(at, PAGES, 7);
	moved = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	need(moved != MAP_FAILED);
	moved = (char *)(((unsigned long)moved + HUGE - 1) & ~(HUGE - 1));
	need(mremap((void *)at, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved) == moved);
	check(!wrong(moved, 0, PAGES, 7) && FAULT_OF((void)at[0]) == SIGSEGV,
	      "a large page moves, and is gone where it was");
	fill(moved, PAGES, 8);
	check(!wrong(moved, 0, PAGES, 8), "it is written to where it is now");
	munmap((void *)moved, HUGE);
}

static void zeros(void)
{
	volatile char *at = aligned(2);
	size_t bad = 0;

	for (size_t i = 0; i < 2 * PAGES; i++)
		bad += at[i * PAGE] != 0;
	at[5 * PAGE] = 1;
	for (size_t i = 0; i < 2 * PAGES; i++)
		bad += at[i * PAGE] != (i == 5);
	check(!bad, "large pages never written read as zeros, also after one was written");
	munmap((void *)at, 2 * HUGE);
}

static void by_the_kernel(void)
{
	volatile char *at = aligned(1);
	int ends[2];
	char byte = 42;

	fill(at, PAGES, 9);
	need(!pipe(ends));
	for (int i = 0; i < 200; i++)
		need(write(ends[1], &byte, 1) == 1 &&
		     read(ends[0], (void *)(at + i * PAGE + 1), 1) == 1);
	byte = 0;
	for (int i = 0; i < 200; i++)
		byte |= at[i * PAGE + 1] ^ 42;
	check(!byte && !wrong(at, 0, PAGES, 9),
	      "the kernel writes into large pages where it should");
	need(write(ends[1], (void *)(at + 17 * PAGE), 1) == 1 && read(ends[0], &byte, 1) == 1);
	check_equal(byte, at[17 * PAGE], "and reads from them");
	munmap((void *)at, HUGE);
}

int main(void)
{
	signal(SIGSEGV, faulted);
	cheap();
	forked();
	split();
	zeros();
	by_the_kernel();
	return check_done();
}
