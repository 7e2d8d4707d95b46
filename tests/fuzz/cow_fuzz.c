// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes headers and bitmaps of COW files: the input is the beginning of a file. Whatever it is,
 * opening it succeeds with a layout that makes sense or fails with one line; of what opens, pieces
 * cover the disk without gaps, and bits that are set and flushed are there when it is opened
 * again, with those that were there before.
 *
 * With clang and libFuzzer: -fsanitize=fuzzer -DLIBFUZZER. Otherwise a loop of its own that
 * changes good files at random: cow_fuzz <seconds> [seed].
 */
#define _GNU_SOURCE
#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../../arch/um/os-Linux/drivers/cow/cow_header.c"
#include "../../arch/um/os-Linux/drivers/cow/cow_bitmap.c"
#include "../../arch/um/os-Linux/drivers/cow/cow_data.c"
#include "../../arch/um/os-Linux/drivers/cow/cow.c"
#include "../../arch/um/os-Linux/drivers/cow/cow_create.c"
#include "../../arch/um/os-Linux/printable.c"

#define MOST (1 << 17)		/* bytes of input that are used */
#define PIECES 300		/* that are looked at */

static unsigned long opened;

static void must_be_sane(const struct cow_header *header)
{
	assert(header->version >= 1 && header->version <= 3 && header->size <= COW_MAX_SIZE);
	assert(header->sector_size >= 512 && header->sector_size <= 4096);
	assert(header->bitmap_offset >= 280 &&
	       header->bitmap_length * 8 * header->sector_size >= header->size);
	assert(header->data_offset >= header->bitmap_offset + header->bitmap_length &&
	       header->data_offset < 1ULL << 62);
	assert(header->path_offset + header->path_size <= COW_HEADER &&
	       header->mtime_offset + 4 <= COW_HEADER);
	assert(strnlen(header->backing, COW_PATH) < COW_PATH && *header->backing);
}

static void must_be_one_line(int error, const char *why)
{
	assert(error < 0 && *why && strnlen(why, COW_WHY) < COW_WHY);
}

/* Header alone, from memory that ends where the input ends. */
static void fuzz_header(const unsigned char *data, size_t size)
{
	char why[COW_WHY] = "";
	struct cow_header header, again;
	unsigned char *copy = malloc(size ? size : 1), written[COW_V3_HEADER];
	int error;

	memcpy(copy, data, size);
	error = cow_parse(&header, copy, size, why);
	free(copy);
	if (error) {
		must_be_one_line(error, why);
		return;
	}
	must_be_sane(&header);
	cow_can_mark(&header);
	if (header.sector_size != 512 ||
	    cow_make_header(&again, header.size, header.mtime, header.backing, why))
		return;
	cow_format(&again, written);
	assert(!cow_parse(&header, written, sizeof(written), why) && header.size == again.size &&
	       header.mtime == again.mtime && header.data_offset == again.data_offset &&
	       !strcmp(header.backing, again.backing));
}

/* Goes over the disk; returns a sum of what is where, with the bits that set holds left out. */
static uint64_t walk(const struct cow_image *image)
{
	uint64_t offset = 0, sum = 0;

	for (int i = 0; i < PIECES && offset < image->header.size; i++) {
		struct cow_extent extent;

		cow_find(image, offset, image->header.size - offset, &extent);
		assert(extent.length && extent.length <= image->header.size - offset);
		assert(extent.depth == 1 ? extent.offset == offset :
					  extent.offset == image->header.data_offset + offset);
		sum = sum * 31 + extent.depth * 7 + extent.length;
		offset += extent.length;
	}
	return sum;
}

static struct cow_image *open_again(const char *path, char *why, int *error)
{
	struct cow_options options = { .path = path, .flags = COW_NO_BACKING };
	struct cow_image *image = NULL;

	*error = cow_open(&image, &options, why);
	return image;
}

/* A few writes in places that the input's end chooses. */
static int change(struct cow_image *image, const unsigned char *data, size_t size)
{
	int changes = 0;

	for (size_t at = size > 64 ? size - 64 : 0; at + 8 <= size; at += 8) {
		uint32_t sector_size = image->header.sector_size;
		uint64_t sectors = image->header.size / sector_size, first, count;

		memcpy(&first, data + at, 8);
		count = 1 + (first >> 56);
		if (!sectors)
			break;
		first %= sectors;
		if (count > sectors - first)
			count = sectors - first;
		if (cow_set(image, first * sector_size, count * sector_size))
			break;
		changes++;
	}
	return changes;
}

static void fuzz_file(const unsigned char *data, size_t size)
{
	static int file = -1;
	static char path[64];
	char why[COW_WHY] = "";
	struct cow_image *image;
	uint64_t count, sum;
	int error;

	if (file < 0) {
		file = memfd_create("cow", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	assert(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
	image = open_again(path, why, &error);
	if (error) {
		must_be_one_line(error, why);
		return;
	}
	opened++;
	must_be_sane(&image->header);
	walk(image);
	change(image, data, size);
	sum = walk(image);
	count = cow_bitmap_count(&image->present);
	error = cow_flush(image);	/* -EFBIG where the bitmap is beyond what a file may be */
	cow_close(image);
	if (error)
		return;
	image = open_again(path, why, &error);
	assert(!error && walk(image) == sum && cow_bitmap_count(&image->present) == count);
	cow_close(image);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	if (size > MOST)
		size = MOST;
	fuzz_header(data, size);
	fuzz_file(data, size);
	return 0;
}

#ifndef LIBFUZZER

static unsigned char input[MOST];

static size_t good_file(void)
{
	static const unsigned int sizes[] = { 0, 1, 512, 5000, 1 << 20, 10485760, 1 << 30 };
	struct cow_header header;
	char why[COW_WHY];
	size_t length;

	memset(input, 0, sizeof(input));
	cow_make_header(&header,
			(uint64_t)sizes[random() % 7] << (random() % 4 ? 0 : random() % 18),
			random(), "/back", why);
	cow_format(&header, input);
	input[7] = random() % 4 ? 3 : 1 + random() % 2;
	length = header.bitmap_offset + header.bitmap_length;
	return length < MOST ? length : MOST;
}

static void damage(size_t length)
{
	for (int changes = random() % 12; changes; changes--) {
		size_t at = random() % (random() % 2 ? 40 : random() % 2 ? COW_HEADER : length);

		if (random() % 3)
			input[at] = random() % 2 ? random() :
						   (unsigned char)(random() % 2 ? -1 : 0);
		else
			input[at] ^= 1 << random() % 8;
	}
	for (int runs = random() % 6; runs && length > 8200; runs--) {
		size_t at = 8192 + random() % (length - 8192), count = 1 + random() % (length - at);

		memset(input + at, random() % 2 ? random() : 0xff, count < 500 ? count : 500);
	}
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 1);
	unsigned long runs = 0;

	srandom(argc > 2 ? atoi(argv[2]) : time(NULL));
	for (; runs % 256 || time(NULL) < end; runs++) {
		size_t length = good_file();

		damage(length);
		if (random() % 8 == 0)
			length = random() % length;
		LLVMFuzzerTestOneInput(input, length);
	}
	printf("%lu inputs, %lu of which opened\n", runs, opened);
	return 0;
}

#endif
