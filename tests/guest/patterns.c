// SPDX-License-Identifier: GPL-2.0-only
/*
 * patterns <MiB>: keeps patterns in memory, private and shared, and checks and changes them again
 * and again, twice at least, until SIGTERM. Prints "PATTERNS" once all of the memory holds one.
 */
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#include "check.h"

#define PAGE	4096
#define WORDS	(PAGE / sizeof(uint64_t))

static volatile sig_atomic_t ended;

static void end(int signal)
{
	ended = 1;
}

static uint64_t word(unsigned long page, unsigned long i, uint32_t generation)
{
	return (page * WORDS + i) * 0x9e3779b97f4a7c15 ^ generation;
}

static void fill(uint64_t *memory, unsigned long page, uint32_t generation)
{
	for (unsigned long i = 0; i < WORDS; i++)
		memory[page * WORDS + i] = word(page, i, generation);
}

static int is_whole(const uint64_t *memory, unsigned long page, uint32_t generation)
{
	for (unsigned long i = 0; i < WORDS; i++)
		if (memory[page * WORDS + i] != word(page, i, generation)) {
			say("# page %lu, word %lu: %#lx, not %#lx\n", page, i,
			    memory[page * WORDS + i], word(page, i, generation));
			return 0;
		}
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long pages = (argc > 1 ? strtoul(argv[1], NULL, 10) : 16) << 8, page, rounds = 0;
	uint32_t *generations = calloc(pages, sizeof(*generations)), now = 0;
	int whole = 1, shared = MAP_SHARED;
	uint64_t *memory[2];

	signal(SIGTERM, end);
	for (int i = 0; i < 2; i++) {
		memory[i] = mmap(NULL, pages / 2 * PAGE, PROT_READ | PROT_WRITE,
				 MAP_ANONYMOUS | (i ? shared : MAP_PRIVATE), -1, 0);
		need(memory[i] != MAP_FAILED);
		for (page = 0; page < pages / 2; page++)
			fill(memory[i], page, 0);
	}
	say("PATTERNS\n");
	while (whole && (rounds < 2 || (in_guest() && !ended))) {
		now++;
		for (page = 0; whole && page < pages; page++) {
			uint64_t *half = memory[page & 1];

			whole = is_whole(half, page / 2, generations[page]);
			if ((page ^ now) % 3 == 0)
				fill(half, page / 2, generations[page] = now);
		}
		rounds++;
	}
	say("# %lu rounds\n", rounds);
	check(whole, "memory holds what was written to it");
	return check_done();
}
