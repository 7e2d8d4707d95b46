// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is swapped out and read back, without being short of it: MADV_PAGEOUT asks for it.
 * usage: swap [MiB]
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "check.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define PAGE		4096UL
#define MOST_ROUNDS 1000 /* pages that a round leaves are being written, or were just used */

/* In KiB. */
static unsigned long swapped_out(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long found = 0;
	char line[256];

	need(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmSwap: %lu", &found);
	fclose(status);
	return found;
}

static int there_is_swap(void)
{
	FILE *swaps = fopen("/proc/swaps", "r");
	char line[256];
	int lines = 0;

	while (swaps && fgets(line, sizeof(line), swaps))
		lines++;
	if (swaps)
		fclose(swaps);
	return lines > 1;
}

static unsigned long word_of(unsigned long number)
{
	number = (number + 1) * 0x9e3779b97f4a7c15UL;
	return number ^ number >> 29;
}

int main(int argc, char **argv)
{
	unsigned long size = (argc > 1 ? strtoul(argv[1], NULL, 0) : 16) << 20;
	unsigned long words = size / sizeof(long), wrong = 0, out = 0, *area;

	if (!there_is_swap()) {
		check_skip("what was swapped out is read back", "there is no swap");
		return check_done();
	}
	area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(area != MAP_FAILED);
	for (unsigned long i = 0; i < words; i++)
		area[i] = word_of(i);
	for (int round = 0; round < MOST_ROUNDS && out < size / 1024 * 9 / 10; round++) {
		need(!madvise(area, size, MADV_PAGEOUT));
		usleep(1000);
		out = swapped_out();
	}
	say("# %lu of %lu KiB are swapped out\n", out, size / 1024);
	check(out >= size / 1024 * 9 / 10, "nine pages of ten are swapped out");
	for (unsigned long i = 0; i < words; i++)
		wrong += area[i] != word_of(i);
	check_equal(wrong, 0, "what was swapped out is read back");
	return check_done();
}
