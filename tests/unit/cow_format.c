// SPDX-License-Identifier: GPL-2.0-only
/*
 * The format of COW files (arch/um/os-Linux/drivers/cow/cow*.c): headers of every version and byte
 * order, headers that lie, the bitmap against a model, and files on each other.
 */
#define _GNU_SOURCE
#include "../../arch/um/os-Linux/drivers/cow/cow_header.c"
#include "../../arch/um/os-Linux/drivers/cow/cow_bitmap.c"
#include "../../arch/um/os-Linux/drivers/cow/cow_data.c"
#include "../../arch/um/os-Linux/drivers/cow/cow.c"
#include "../../arch/um/os-Linux/drivers/cow/cow_create.c"
#include "../../arch/um/os-Linux/printable.c"
#include "../guest/check.h"

static char why[COW_WHY];
static unsigned char bytes[COW_HEADER];

static void put(unsigned int offset, int length, uint64_t value, int little)
{
	for (int i = 0; i < length; i++)
		bytes[offset + (little ? i : length - 1 - i)] = value >> 8 * i;
}

/*
 * A header as the table in the documentation has it; variant: 3 and a letter for the padded ones.
 */
static void build(int version, char variant, int magic_little, int little)
{
	memset(bytes, 0, sizeof(bytes));
	put(0, 4, 0x4f4f4f4d, magic_little);
	put(4, 4, version, magic_little);
	if (version < 3) {
		unsigned int path = version == 1 ? 256 : 4096;

		strcpy((char *)bytes + 8, "/some/where");
		put(8 + path, 4, 1234567890, little);
		put(12 + path, 8, 10485760, little);
		put(20 + path, 4, 512, little);
		return;
	}
	put(variant == 'b' ? 12 : 8, 4, 1234567890, little);
	put(variant ? 16 : 12, 8, 10485760, little);
	put(variant ? 24 : 20, 4, 512, little);
	put(variant ? 28 : 24, 4, 4096, little);
	strcpy((char *)bytes + (variant ? 36 : 32), "/some/where");
}

static int parses(int version, uint64_t bitmap, uint64_t data)
{
	struct cow_header header;
	int error = cow_parse(&header, bytes, sizeof(bytes), why);

	if (error)
		say("# %s\n", why);
	return !error && header.version == (unsigned int)version && header.mtime == 1234567890 &&
	       header.size == 10485760 && header.sector_size == 512 &&
	       !strcmp(header.backing, "/some/where") && !header.merging &&
	       header.bitmap_offset == bitmap && header.bitmap_length == 2560 &&
	       header.data_offset == data;
}

static void test_versions(void)
{
	build(1, 0, 1, 1);
	check(parses(1, 280, 3072), "version 1 of a little-endian machine");
	build(1, 0, 0, 0);
	check(parses(1, 280, 3072), "version 1 of a big-endian machine");
	build(2, 0, 0, 0);
	check(parses(2, 4120, 7168), "version 2");
	build(2, 0, 1, 0);
	check(parses(2, 4120, 7168), "version 2 with the magic number in the other order");
	build(3, 0, 0, 0);
	check(parses(3, 8192, 12288), "version 3");
	build(3, 0, 1, 0);
	check(parses(3, 8192, 12288), "version 3 with the magic number in the other order");
	build(3, 0, 1, 1);
	check(parses(3, 8192, 12288), "version 3 with all of it in the other order");
	build(3, 'a', 0, 0);
	check(parses(3, 8192, 12288), "the padded version 3 of little-endian machines");
	build(3, 'b', 0, 0);
	check(parses(3, 8192, 12288), "the padded version 3 of big-endian machines");
}

static void test_writing(void)
{
	unsigned char written[COW_V3_HEADER], mtime[8], path[COW_PATH];
	struct cow_header header, again;

	build(3, 0, 0, 0);
	check(!cow_make_header(&header, 10485760, 1234567890, "/some/where", why),
	      "a header is made");
	cow_format(&header, written);
	check(!memcmp(written, bytes, sizeof(written)), "it is version 3, byte for byte");
	header.merging = 1;
	header.mtime = 5;
	memcpy(bytes + header.path_offset, path, cow_format_path(&header, path));
	memcpy(bytes + header.mtime_offset, mtime, cow_format_mtime(&header, mtime));
	check(cow_can_mark(&header) && !cow_parse(&again, bytes, sizeof(bytes), why) &&
		      again.merging && again.mtime == 5 && !strcmp(again.backing, "/some/where"),
	      "the mark of a merge and a new time stamp are read back");
	memset(header.backing, 'x', 4085);
	check(!cow_can_mark(&header), "a long path leaves no room for the mark");
	build(3, 'a', 0, 0);
	check(!cow_parse(&header, bytes, sizeof(bytes), why), "a padded header is read");
	header.mtime = 7;
	memcpy(bytes + header.mtime_offset, mtime, cow_format_mtime(&header, mtime));
	check(!cow_parse(&again, bytes, sizeof(bytes), why) && again.padded_v3 && again.mtime == 7,
	      "and its time stamp changed");
	check(cow_make_header(&header, COW_MAX_SIZE + 1, 0, "x", why) == -EFBIG,
	      "a disk that is too large is refused");
}

static void test_layout(void)
{
	struct cow_header header;

	cow_make_header(&header, 5000, 0, "x", why);
	check(header.bitmap_length == 2 && header.data_offset == 12288,
	      "the layout of a disk that ends within a sector");
	cow_make_header(&header, (3ULL << 40) + 1, 0, "x", why);
	check(header.bitmap_length == (3ULL << 28) + 1 &&
		      header.data_offset == (3ULL << 28) + 12288,
	      "the layout of one over 2 TiB");
	cow_make_header(&header, 0, 0, "x", why);
	check(header.bitmap_length == 0 && header.data_offset == 8192,
	      "the layout of an empty disk");
}

/* One field set to one value must be refused, with words. */
static int refused(unsigned int offset, int length, uint64_t value)
{
	struct cow_header header;

	build(3, 0, 0, 0);
	put(offset, length, value, 0);
	*why = '\0';
	return cow_parse(&header, bytes, sizeof(bytes), why) == -EBADMSG && *why &&
	       !strchr(why, '\n');
}

static void test_lies(void)
{
	struct cow_header header;
	int right = 1;

	check(refused(4, 4, 0) && refused(4, 4, 4) && refused(4, 4, ~0U),
	      "unknown versions are refused");
	check(refused(12, 8, ~0ULL) && refused(12, 8, 1ULL << 63) &&
		      refused(12, 8, COW_MAX_SIZE + 1),
	      "impossible sizes are refused");
	check(refused(20, 4, 0) && refused(20, 4, 1) && refused(20, 4, 511) &&
		      refused(20, 4, 8192) && refused(20, 4, ~0U),
	      "impossible sector sizes are refused");
	check(refused(24, 4, 0) && refused(24, 4, 4095) && refused(24, 4, 1U << 31) &&
		      refused(24, 4, ~0U),
	      "impossible alignments are refused");
	check(refused(28, 4, 1), "an unknown format is refused");
	build(3, 0, 0, 0);
	memset(bytes + 32, 'x', 4096);
	check(cow_parse(&header, bytes, sizeof(bytes), why) == -EBADMSG,
	      "a path without an end is refused");
	build(3, 0, 0, 0);
	for (unsigned int length = 0; length < COW_V3_HEADER; length++) {
		unsigned char *part = malloc(length ? length : 1);

		memcpy(part, bytes, length);
		right &= cow_parse(&header, part, length, why) ==
			 (length < 4 ? -EMEDIUMTYPE : -EBADMSG);
		free(part);
	}
	check(right, "a header cut off anywhere is refused");
}

/* ---- the bitmap ---- */

#define BITS (5 * COW_CHUNK_BITS / 2 + 77)

static unsigned char model[BITS];

static uint64_t model_run(uint64_t first, uint64_t limit)
{
	uint64_t length = 1;

	while (length < limit && model[first + length] == model[first])
		length++;
	return length;
}

static int same_runs(const struct cow_bitmap *bitmap, int rounds)
{
	int right = 1, value;

	while (rounds--) {
		uint64_t first = rand() % BITS, limit = 1 + rand() % (BITS - first);

		right &= cow_bitmap_run(bitmap, first, limit, &value) == model_run(first, limit) &&
			 value == model[first];
	}
	return right;
}

static void test_bitmap(void)
{
	static unsigned char packed[BITS / 8 + 1];
	struct cow_bitmap bitmap, loaded;
	uint64_t count = 0;
	int right = 1;

	need(!cow_bitmap_init(&bitmap, BITS) && !cow_bitmap_init(&loaded, BITS));
	for (int round = 0; round < 300; round++) {
		uint64_t first = rand() % BITS, length = 1 + rand() % (rand() % 8 ? 100 : 20000);

		if (length > BITS - first)
			length = BITS - first;
		need(!cow_bitmap_set(&bitmap, first, length));
		memset(model + first, 1, length);
		right &= same_runs(&bitmap, 20);
	}
	check(right, "runs of bits are as in the model");
	for (uint64_t bit = 0; bit < BITS; bit++) {
		count += model[bit];
		packed[bit / 8] |= model[bit] << bit % 8;
	}
	check(cow_bitmap_count(&bitmap) == count, "so is their number");
	packed[BITS / 8] |= 0xff << BITS % 8;
	need(!cow_bitmap_fill(&loaded, 0, packed, sizeof(packed)));
	memset(model + 100, model[100], 1);
	check(cow_bitmap_count(&loaded) == count && same_runs(&loaded, 2000),
	      "and of those read from a file, less what is behind the end");
	cow_bitmap_free(&bitmap);
	cow_bitmap_free(&loaded);
}

/* ---- files ---- */

static void new_file(const char *name, uint64_t size, char fill)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0666);
	char block[4096];

	memset(block, fill, sizeof(block));
	need(fd >= 0 && ftruncate(fd, size) == 0 &&
	     pwrite(fd, block, size < 4096 ? size : 4096, 0) > 0);
	close(fd);
}

static int new_cow(const char *name, const char *backing, int flags)
{
	struct cow_options options = { .path = name, .backing = backing, .flags = flags };

	return cow_create(&options, why);
}

static int opens(struct cow_image **image, const char *name, const char *backing, int flags)
{
	struct cow_options options = { .path = name, .backing = backing, .flags = flags };

	return cow_open(image, &options, why);
}

static void write_to(struct cow_image *image, uint64_t offset, uint64_t length, char fill)
{
	char *data = malloc(length);

	memset(data, fill, length);
	need(pwrite(image->fd, data, length, cow_data(image, offset)) == (ssize_t)length &&
	     !cow_set(image, offset, length));
	free(data);
}

static void test_chain(void)
{
	struct cow_image *image;
	struct cow_extent extent;

	new_file("back", 1 << 20, 'b');
	need(!new_cow("one", "back", 0) && !opens(&image, "one", NULL, 0));
	write_to(image, 4096, 4096, '1');
	check(!cow_flush(image), "a flush writes the bitmap");
	cow_close(image);
	check(!new_cow("two", "one", 0) && !opens(&image, "two", NULL, 0),
	      "a COW file on a COW file");
	write_to(image, 5120, 512, '2');
	cow_find(image, 0, 1 << 20, &extent);
	check(extent.depth == 2 && extent.length == 4096 && extent.offset == 0 &&
		      extent.fd == image->under->backing_fd,
	      "what is in neither");
	cow_find(image, 4100, 1 << 19, &extent);
	check(extent.depth == 1 && extent.length == 1020 &&
		      extent.offset == cow_data(image->under, 4100),
	      "what is in the lower one");
	cow_find(image, 5120, 1 << 19, &extent);
	check(extent.depth == 0 && extent.length == 512 && extent.fd == image->fd,
	      "what is in the upper one");
	cow_find(image, 8192, 100, &extent);
	check(extent.depth == 2 && extent.length == 100 && extent.offset == 8192,
	      "and behind them");
	cow_close(image);
}

static void test_stage(void)
{
	struct cow_image *image;
	struct cow_stage stage, other;

	new_file("large", 1 << 30, 'b');
	need(!new_cow("sparse", "large", 0) && !opens(&image, "sparse", NULL, 0));
	for (int i = 0; i < 64; i++)
		if (i != 7)
			write_to(image, (uint64_t)i << 24, 512, 'x');
	need(!cow_stage(image, &stage));
	check(stage.count == 2 && stage.writes[0].length == 7 * COW_CHUNK &&
		      stage.writes[1].length == 56 * COW_CHUNK &&
		      stage.writes[1].offset == image->header.bitmap_offset + 8 * COW_CHUNK,
	      "parts of the bitmap beside each other are one write");
	check(cow_stage(image, &other) == -EBUSY, "there is one stage at a time");
	cow_stage_done(image, &stage, -ENOSPC);
	need(!cow_stage(image, &stage));
	check(stage.count == 2, "what failed is staged again");
	cow_stage_done(image, &stage, 0);
	need(!cow_stage(image, &stage));
	check(stage.count == 0, "what was written is not");
	cow_stage_done(image, &stage, 0);
	cow_sync_failed(image, -EIO);
	check(cow_stage(image, &stage) == -EIO && cow_flush(image) == -EIO,
	      "after a sync that failed no bit is written");
	cow_close(image);
}

static void set_time(const char *name, time_t seconds)
{
	need(utimensat(AT_FDCWD, name, (struct timespec[2]){ { seconds, 0 }, { seconds, 0 } }, 0) ==
	     0);
}

static void test_checks(void)
{
	struct cow_image *image;
	int depth = 0;
	char names[2][16];

	new_file("back", 1 << 20, 'b');
	set_time("back", 1000000);
	need(!new_cow("c", "back", 0));
	check(new_cow("c", "back", 0) == -EEXIST, "a file that is there is not overwritten");
	set_time("back", 1000001);
	check(opens(&image, "c", NULL, 0) == -ESTALE && strstr(why, "modified"),
	      "a backing file that was modified is refused");
	set_time("back", 1000000);
	new_file("other", 1 << 19, 'o');
	set_time("other", 1000000);
	check(opens(&image, "c", "other", 0) == -EREMCHG, "another backing file needs a word");
	check(opens(&image, "c", "other", COW_SWITCH) == -ESTALE && strstr(why, "size"),
	      "and the right size");
	new_file("other", 1 << 20, 'b');
	set_time("other", 1000000);
	check(!opens(&image, "c", "other", COW_OVERRIDE), "it may be used once");
	cow_close(image);
	check(!opens(&image, "c", NULL, 0) && strstr(image->backing, "/back"),
	      "without being noted");
	cow_close(image);
	check(!opens(&image, "c", "other", COW_SWITCH), "or for good");
	cow_close(image);
	check(!opens(&image, "c", NULL, 0) && strstr(image->backing, "/other"), "and noted");
	cow_close(image);
	unlink("other");
	check(opens(&image, "c", NULL, 0) == -ENOLINK,
	      "a backing file that is not there is refused");
	check(opens(&image, "nothing", NULL, 0) == -ENOENT,
	      "a COW file that is not there is told from it");
	check(opens(&image, "back", NULL, 0) == -EMEDIUMTYPE,
	      "a file that is no COW file is refused");
	strcpy(names[0], "back");
	for (int error = 0; !error; depth++) {
		sprintf(names[1], "deep%d", depth);
		error = new_cow(names[1], names[0], 0);
		strcpy(names[0], names[1]);
	}
	check(depth == COW_MAX_DEPTH + 1, "COW files stand on each other up to a limit");
}

int main(void)
{
	char folder[] = "/tmp/cow-format-XXXXXX", command[64];

	srand(1);
	test_versions();
	test_writing();
	test_layout();
	test_lies();
	test_bitmap();
	need(mkdtemp(folder) && chdir(folder) == 0);
	test_chain();
	test_stage();
	test_checks();
	snprintf(command, sizeof(command), "rm -r %s", folder);
	need(system(command) == 0);
	return check_done();
}
