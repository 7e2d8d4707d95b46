// SPDX-License-Identifier: GPL-2.0-only
/*
 * Headers of COW files: versions 1 to 3 are read, 3 is written. Pure functions; see cow.h.
 * docs/reference/cow-format.md has a table of the fields, which docs.t compares with this file.
 *
 * The magic number's byte order is that of version 1 as a whole, and of the version number; the
 * other numbers of versions 2 and 3 are big-endian whatever the magic number is, as uml-utilities
 * read them. Where that gives no sector size but little-endian does, they are taken as
 * little-endian.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cow.h"
#include "printable.h"
#include "cow_files.h"

#define V3_SECTOR	512
#define V3_ALIGNMENT	4096
#define MAX_ALIGNMENT	(1U << 24)

static const unsigned char magic_be[4] = { 'O', 'O', 'O', 'M' },
			   magic_le[4] = { 'M', 'O', 'O', 'O' };
/* At the very end of the path's field, after the path's NUL. */
static const char merge_mark[16] = "\0merging to back";

/* Where a version has what; bytes. 0: it does not have it. */
struct format {
	unsigned int length, path, path_size, mtime, size, sector_size, alignment, kind;
};

static const struct format version_1 = { .length = 280,
					 .path = 8,
					 .path_size = 256,
					 .mtime = 264,
					 .size = 268,
					 .sector_size = 276 },
			   version_2 = { .length = 4120,
					 .path = 8,
					 .path_size = 4096,
					 .mtime = 4104,
					 .size = 4108,
					 .sector_size = 4116 },
			   version_3 = { .length = 4128,
					 .mtime = 8,
					 .size = 12,
					 .sector_size = 20,
					 .alignment = 24,
					 .kind = 28,
					 .path = 32,
					 .path_size = 4096 },
			   /* A compiler's padding of version 3 with eight bytes of time. */
	padded_3 = { .length = 4136,
		     .mtime = 8,
		     .size = 16,
		     .sector_size = 24,
		     .alignment = 28,
		     .kind = 32,
		     .path = 36,
		     .path_size = 4096 };

int cow_error(int error, char *why, const char *format, ...)
{
	va_list arguments;
	char *whole;

	va_start(arguments, format);
	if (vasprintf(&whole, format, arguments) >= 0) {
		leave_out_middle(why, COW_WHY, whole);
		free(whole);
	} else {
		strcpy(why, "out of memory");
	}
	va_end(arguments);
	make_printable(why);	/* paths of headers are a stranger's */
	return error;
}

static uint32_t get32(const struct cow_header *header, const unsigned char *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return header->little_endian ? le32toh(value) : be32toh(value);
}

static uint64_t get64(const struct cow_header *header, const unsigned char *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return header->little_endian ? le64toh(value) : be64toh(value);
}

static void put32(const struct cow_header *header, unsigned char *bytes, uint32_t value)
{
	value = header->little_endian ? htole32(value) : htobe32(value);
	memcpy(bytes, &value, sizeof(value));
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static int power_of_2(uint32_t value, uint32_t from, uint32_t to)
{
	return value >= from && value <= to && !(value & (value - 1));
}

static const struct format *format_of(const struct cow_header *header)
{
	switch (header->version) {
	case 1:
		return &version_1;
	case 2:
		return &version_2;
	case 3:
		return header->padded_v3 ? &padded_3 : &version_3;
	}
	return NULL;
}

/* From size, sector_size and alignment, all within bounds: nothing here overflows. */
static void lay_out(struct cow_header *header)
{
	const struct format *format = format_of(header);
	uint64_t bits = 8ULL * header->sector_size;

	header->mtime_offset = format->mtime;
	header->path_offset = format->path;
	header->path_size = format->path_size;
	header->bitmap_offset = header->version == 3 ? round_up(format->length, header->alignment) :
						       format->length;
	header->bitmap_length = round_up(header->size, bits) / bits;
	header->data_offset =
		round_up(header->bitmap_offset + header->bitmap_length, header->alignment);
}

int cow_is_cow(const void *start, unsigned long length)
{
	return length >= 4 && (!memcmp(start, magic_be, 4) || !memcmp(start, magic_le, 4));
}

/*
 * The time: a padded version 3 has its four bytes in the first or the second half, the other being
 * 0.
 */
static uint32_t mtime_of(const struct cow_header *header, const unsigned char *field)
{
	uint32_t first = get32(header, field);

	return header->padded_v3 && !first ? get32(header, field + 4) : first;
}

static int take_path(struct cow_header *header, const unsigned char *field, char *why)
{
	unsigned int size = header->path_size;

	memcpy(header->backing, field, size);
	if (!memchr(field, '\0', size))
		return cow_error(-EBADMSG, why,
				 "its header has a path of a backing file without an end");
	if (!*field)
		return cow_error(-EBADMSG, why, "its header names no backing file");
	header->merging =
		!memcmp(field + size - sizeof(merge_mark), merge_mark, sizeof(merge_mark));
	return 0;
}

static int take_numbers(struct cow_header *header, const struct format *format,
			const unsigned char *bytes, char *why)
{
	uint32_t kind = format->kind ? get32(header, bytes + format->kind) : 0;

	header->sector_size = get32(header, bytes + format->sector_size);
	header->alignment = format->alignment ? get32(header, bytes + format->alignment) :
						header->sector_size;
	header->size = get64(header, bytes + format->size);
	header->mtime = mtime_of(header, bytes + format->mtime);
	if (!power_of_2(header->sector_size, 512, 4096))
		return cow_error(-EBADMSG, why, "its header has an impossible sector size (%u)",
				 header->sector_size);
	if (!power_of_2(header->alignment, 512, MAX_ALIGNMENT))
		return cow_error(-EBADMSG, why, "its header has an impossible alignment (%u)",
				 header->alignment);
	if (kind)
		return cow_error(-EBADMSG, why,
				 "its header has an unknown format (%u; 0 is a bitmap)", kind);
	if (header->size > COW_MAX_SIZE)
		return cow_error(-EBADMSG, why, "its header has an impossible size (%llu bytes)",
				 (unsigned long long)header->size);
	return 0;
}

int cow_parse(struct cow_header *header, const void *start, unsigned long length, char why[COW_WHY])
{
	static const unsigned char nothing[4];
	const unsigned char *bytes = start;
	const struct format *format;
	int error;

	memset(header, 0, sizeof(*header));
	if (!cow_is_cow(bytes, length))
		return cow_error(-EMEDIUMTYPE, why, "is not a COW file");
	if (length < 8)
		return cow_error(-EBADMSG, why, "it is cut off within its header");
	header->little_endian = !memcmp(bytes, magic_le, 4);
	header->version = get32(header, bytes + 4);
	header->padded_v3 = header->version == 3 && length >= 36 &&
			    !memcmp(bytes + version_3.path, nothing, 4);
	format = format_of(header);
	if (!format)
		return cow_error(-EBADMSG, why,
				 "its header has an unknown version (%u; 1 to 3 are known)",
				 header->version);
	if (length < format->length)
		return cow_error(-EBADMSG, why, "it is cut off within its header");
	if (header->version > 1 && header->little_endian) {
		/* Big-endian, unless only the other order makes sense. */
		header->little_endian =
			power_of_2(get32(header, bytes + format->sector_size), 512, 4096);
	}
	error = take_numbers(header, format, bytes, why);
	if (error)
		return error;
	lay_out(header);
	return take_path(header, bytes + format->path, why);
}

int cow_make_header(struct cow_header *header, uint64_t size, uint32_t mtime, const char *backing,
		    char why[COW_WHY])
{
	memset(header, 0, sizeof(*header));
	if (size > COW_MAX_SIZE)
		return cow_error(-EFBIG, why, "a COW file's disk has at most %llu bytes",
				 COW_MAX_SIZE);
	if (strlen(backing) >= COW_PATH)
		return cow_error(-ENAMETOOLONG, why,
				 "the backing file's path is longer than %u bytes", COW_PATH - 1);
	strcpy(header->backing, backing);
	header->version = 3;
	header->size = size;
	header->mtime = mtime;
	header->sector_size = V3_SECTOR;
	header->alignment = V3_ALIGNMENT;
	lay_out(header);
	return 0;
}

void cow_format(const struct cow_header *header, unsigned char bytes[COW_V3_HEADER])
{
	memset(bytes, 0, COW_V3_HEADER);
	memcpy(bytes, magic_be, sizeof(magic_be));
	put32(header, bytes + 4, 3);
	put32(header, bytes + version_3.mtime, header->mtime);
	put32(header, bytes + version_3.size, header->size >> 32);
	put32(header, bytes + version_3.size + 4, header->size);
	put32(header, bytes + version_3.sector_size, header->sector_size);
	put32(header, bytes + version_3.alignment, header->alignment);
	cow_format_path(header, bytes + version_3.path);
}

unsigned int cow_format_mtime(const struct cow_header *header, unsigned char bytes[8])
{
	memset(bytes, 0, 8);
	put32(header, bytes, header->mtime);
	return header->padded_v3 ? 8 : 4;
}

unsigned int cow_format_path(const struct cow_header *header, unsigned char bytes[COW_PATH])
{
	memset(bytes, 0, header->path_size);
	memcpy(bytes, header->backing, strnlen(header->backing, header->path_size - 1));
	if (header->merging)
		memcpy(bytes + header->path_size - sizeof(merge_mark), merge_mark,
		       sizeof(merge_mark));
	return header->path_size;
}

int cow_can_mark(const struct cow_header *header)
{
	return strlen(header->backing) < header->path_size - sizeof(merge_mark);
}
