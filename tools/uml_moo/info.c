// SPDX-License-Identifier: GPL-2.0-only
/* --info: what a COW file is, as text for people or as JSON; also while a guest uses it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cow_files.h"
#include "json.h"
#include "uml_moo.h"

struct info {
	struct cow_image *image;
	const char *state;		/* of the backing file */
	char why[COW_WHY];		/* what is wrong with it, or "" */
	unsigned long long sectors, allocated;
	int owner;
};

static const char *state_of(int error)
{
	switch (error) {
	case 0:
		return "ok";
	case -ENOLINK:
		return "missing";
	case -ESTALE:
		return "changed";
	case -EINPROGRESS:
		return "merge interrupted";
	default:
		return "unusable";
	}
}

/* Looks at the COW file by itself, and then once more with what is below it. */
static void gather(struct info *info, const struct arguments *arguments)
{
	struct cow_options options = { .path = arguments->cow,
				       .backing = arguments->backing,
				       .flags = COW_READ_ONLY | COW_OVERRIDE };
	struct cow_image *whole;
	struct stat file;
	int error;

	info->image = open_cow(arguments, COW_READ_ONLY | COW_NO_BACKING);
	info->sectors = cow_bitmap_count(&info->image->present);
	info->owner = locked_by(info->image->fd, 1);
	info->allocated = fstat(info->image->fd, &file) == 0 ? 512ULL * file.st_blocks : 0;
	*info->why = '\0';
	error = cow_open(&whole, &options, info->why);
	info->state = state_of(error);
	if (!error) {
		*info->why = '\0';
		cow_close(whole);
	}
}

static void print_text(const struct info *info)
{
	const struct cow_header *header = &info->image->header;
	unsigned long long bytes = info->sectors * header->sector_size;
	time_t mtime = header->mtime;
	char time[64];

	strftime(time, sizeof(time), "%Y-%m-%d %H:%M:%S UTC", gmtime(&mtime));
	tell("COW file:        %s", info->image->path);
	printf("version:         %u%s%s\n", header->version,
	       header->padded_v3 ? ", padded" : "",
	       header->little_endian ? ", little-endian" : "");
	printf("disk size:       %llu bytes, sectors of %u\n", (unsigned long long)header->size,
	       header->sector_size);
	printf("in the COW file: %llu sectors, %llu bytes (%.1f%%); takes %llu bytes on the host\n",
	       info->sectors, bytes, header->size ? 100.0 * bytes / header->size : 0.0,
	       info->allocated);
	printf("bitmap at:       %llu, %llu bytes\n", (unsigned long long)header->bitmap_offset,
	       (unsigned long long)header->bitmap_length);
	printf("data at:         %llu\n", (unsigned long long)header->data_offset);
	tell("backing file:    %s", header->backing);
	printf("  modified at:   %s (%u), by this COW file\n", time, header->mtime);
	printf("  state:         %s%s%s\n", info->state, *info->why ? ": " : "", info->why);
	if (header->merging)
		printf("merge in place:  interrupted\n");
	if (info->owner > 0)
		printf("in use by:       process %d\n", info->owner);
	else if (info->owner)
		printf("in use by:       another process\n");
}

static void print_json(const struct info *info)
{
	const struct cow_header *header = &info->image->header;

	printf("{\n  \"file\": ");
	print_json_string(info->image->path);
	printf(",\n  \"version\": %u,\n  \"padded_v3\": %s,\n  \"byte_order\": \"%s\",\n",
	       header->version, header->padded_v3 ? "true" : "false",
	       header->little_endian ? "little" : "big");
	printf("  \"size\": %llu,\n  \"sector_size\": %u,\n  \"alignment\": %u,\n",
	       (unsigned long long)header->size, header->sector_size, header->alignment);
	printf("  \"bitmap_offset\": %llu,\n  \"bitmap_length\": %llu,\n  \"data_offset\": %llu,\n",
	       (unsigned long long)header->bitmap_offset, (unsigned long long)header->bitmap_length,
	       (unsigned long long)header->data_offset);
	printf("  \"sectors\": %llu,\n  \"allocated\": %llu,\n  \"backing_file\": ", info->sectors,
	       info->allocated);
	print_json_string(header->backing);
	printf(",\n  \"backing_mtime\": %u,\n  \"backing_state\": ", header->mtime);
	print_json_string(info->state);
	printf(",\n  \"problem\": ");
	if (*info->why)
		print_json_string(info->why);
	else
		printf("null");
	printf(",\n  \"merge_interrupted\": %s,\n", header->merging ? "true" : "false");
	if (info->owner)
		printf("  \"locked\": true,\n  \"locked_by\": %d\n}\n",
		       info->owner > 0 ? info->owner : 0);
	else
		printf("  \"locked\": false,\n  \"locked_by\": null\n}\n");
}

void show_info(const struct arguments *arguments)
{
	struct info info;

	gather(&info, arguments);
	if (arguments->json)
		print_json(&info);
	else
		print_text(&info);
	cow_close(info.image);
}
