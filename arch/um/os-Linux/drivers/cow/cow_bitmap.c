// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bitmap of a COW file in memory: chunks of 4096 bytes in the file's own layout, made when a
 * bit in them is set. See cow.h.
 *
 * The arrays that have an entry a chunk are mapped and not touched where nothing is set, so that an
 * empty disk of many terabytes costs nothing.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cow.h"

static void *map_zeroes(uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int cow_bitmap_init(struct cow_bitmap *bitmap, uint64_t bits)
{
	memset(bitmap, 0, sizeof(*bitmap));
	bitmap->bits = bits;
	bitmap->chunks = bits / COW_CHUNK_BITS + 1;
	bitmap->dirty_from = bitmap->chunks;
	bitmap->chunk = map_zeroes(bitmap->chunks * sizeof(*bitmap->chunk));
	bitmap->dirty = map_zeroes(bitmap->chunks);
	if (bitmap->chunk && bitmap->dirty)
		return 0;
	cow_bitmap_free(bitmap);
	return -ENOMEM;
}

void cow_bitmap_free(struct cow_bitmap *bitmap)
{
	if (bitmap->chunk) {
		for (uint64_t n = 0; n < bitmap->made_to; n++)
			free(bitmap->chunk[n]);
		munmap(bitmap->chunk, bitmap->chunks * sizeof(*bitmap->chunk));
	}
	if (bitmap->dirty)
		munmap(bitmap->dirty, bitmap->chunks);
	memset(bitmap, 0, sizeof(*bitmap));
}

/* 64 bits of a chunk, from a multiple of 64 on. */
static uint64_t word_of(const unsigned char *chunk, unsigned int bit)
{
	uint64_t word;

	memcpy(&word, chunk + bit / 8, sizeof(word));
	return le64toh(word);
}

/* How many of the limit bits from first on, all in the chunk, have the value. */
static unsigned int run_in_chunk(const unsigned char *chunk, unsigned int first, unsigned int limit,
				 int value)
{
	unsigned int bit = first, end = first + limit;

	while (bit < end) {
		unsigned int start = bit & ~63U;
		uint64_t other = word_of(chunk, start) ^ (value ? ~0ULL : 0);

		other &= ~0ULL << (bit - start);
		if (other) {
			bit = start + __builtin_ctzll(other);
			break;
		}
		bit = start + 64;
	}
	return (bit < end ? bit : end) - first;
}

uint64_t cow_bitmap_run(const struct cow_bitmap *bitmap, uint64_t first, uint64_t limit, int *value)
{
	const unsigned char *chunk = bitmap->chunk[first / COW_CHUNK_BITS];
	unsigned int bit = first % COW_CHUNK_BITS;
	uint64_t length = 0;

	*value = chunk ? chunk[bit / 8] >> bit % 8 & 1 : 0;
	while (length < limit) {
		uint64_t there, here;

		if ((first + length) / COW_CHUNK_BITS >= bitmap->made_to)
			return *value ? length : limit;
		chunk = bitmap->chunk[(first + length) / COW_CHUNK_BITS];
		bit = (first + length) % COW_CHUNK_BITS;
		there = COW_CHUNK_BITS - bit;
		if (there > limit - length)
			there = limit - length;
		here = chunk ? run_in_chunk(chunk, bit, there, *value) : *value ? 0 : there;
		length += here;
		if (here < there)
			break;
	}
	return length;
}

void cow_bitmap_mark_dirty(struct cow_bitmap *bitmap, uint64_t chunk)
{
	bitmap->dirty[chunk] = 1;
	if (chunk < bitmap->dirty_from)
		bitmap->dirty_from = chunk;
	if (chunk >= bitmap->dirty_to)
		bitmap->dirty_to = chunk + 1;
}

static unsigned char *make_chunk(struct cow_bitmap *bitmap, uint64_t number)
{
	if (!bitmap->chunk[number]) {
		bitmap->chunk[number] = aligned_alloc(COW_CHUNK, COW_CHUNK);
		if (!bitmap->chunk[number])
			return NULL;
		memset(bitmap->chunk[number], 0, COW_CHUNK);
		if (number >= bitmap->made_to)
			bitmap->made_to = number + 1;
	}
	return bitmap->chunk[number];
}

/* Sets bits of a chunk, whole bytes at once where it can; returns whether any was 0. */
static int set_in_chunk(unsigned char *chunk, unsigned int bit, unsigned int count)
{
	int changed = 0;

	while (count) {
		unsigned int here = 8 - bit % 8 < count ? 8 - bit % 8 : count;
		unsigned char mask = (0xff >> (8 - here)) << bit % 8;

		changed |= ~chunk[bit / 8] & mask;
		chunk[bit / 8] |= mask;
		bit += here;
		count -= here;
	}
	return changed;
}

int cow_bitmap_set(struct cow_bitmap *bitmap, uint64_t first, uint64_t count)
{
	while (count) {
		uint64_t number = first / COW_CHUNK_BITS;
		unsigned int bit = first % COW_CHUNK_BITS;
		uint64_t here = COW_CHUNK_BITS - bit < count ? COW_CHUNK_BITS - bit : count;
		unsigned char *chunk = make_chunk(bitmap, number);

		if (!chunk)
			return -ENOMEM;
		if (set_in_chunk(chunk, bit, here))
			cow_bitmap_mark_dirty(bitmap, number);
		first += here;
		count -= here;
	}
	return 0;
}

static int all_zero(const unsigned char *bytes, unsigned long length)
{
	return !length || (!*bytes && !memcmp(bytes, bytes + 1, length - 1));
}

/* Bits behind the last sector mean nothing, whatever they are. */
static void clear_rest(struct cow_bitmap *bitmap)
{
	unsigned char *chunk = bitmap->chunk[bitmap->chunks - 1];
	unsigned int bit = bitmap->bits % COW_CHUNK_BITS;

	if (!chunk)
		return;
	chunk[bit / 8] &= (1U << bit % 8) - 1;
	memset(chunk + bit / 8 + 1, 0, COW_CHUNK - bit / 8 - 1);
}

int cow_bitmap_fill(struct cow_bitmap *bitmap, uint64_t at, const unsigned char *bytes,
		    unsigned long length)
{
	uint64_t number = at / COW_CHUNK;

	for (; length && number < bitmap->chunks; number++) {
		unsigned long here = length < COW_CHUNK ? length : COW_CHUNK;

		if (!all_zero(bytes, here)) {
			if (!make_chunk(bitmap, number))
				return -ENOMEM;
			memcpy(bitmap->chunk[number], bytes, here);
		}
		bytes += here;
		length -= here;
	}
	clear_rest(bitmap);
	return 0;
}

uint64_t cow_bitmap_count(const struct cow_bitmap *bitmap)
{
	uint64_t count = 0;

	for (uint64_t n = 0; n < bitmap->made_to; n++)
		for (unsigned int bit = 0; bitmap->chunk[n] && bit < COW_CHUNK_BITS; bit += 64)
			count += __builtin_popcountll(word_of(bitmap->chunk[n], bit));
	return count;
}
