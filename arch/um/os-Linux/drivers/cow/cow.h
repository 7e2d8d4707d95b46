/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * COW files: a disk as what was written to it, over a backing file that is only read. The format
 * itself, for ./linux (disk*.c) and for the tools (tools/uml_moo, tools/uml_mkcow): plain C over
 * POSIX calls, with nothing printed. Errors are -errno, and a line of text in why[COW_WHY] that
 * says what is wrong, without the name of the program or a newline.
 *
 * Theory of operation
 *
 * The file is: header, bitmap (one bit a sector, least significant bit first), data (sector n at
 * data_offset + n * sector_size). A sector whose bit is set is read from the data, any other from
 * the backing file, which may be a COW file again. Everything is sparse.
 *
 * What must hold at any moment, the host's loss of power included: **a set bit on the disk stands
 * on data on the disk.** So
 *
 *   1. A write goes to the data first. When it has ended, cow_set() sets the bits in memory; from
 *      then on it can be read.
 *   2. The bitmap in the file is changed by flushes only, one at a time:
 *        cow_stage()       takes copies of the changed parts of the bitmap; no bit in them is of a
 *                          write that has not ended
 *        fdatasync         begun after that: now those writes' data are durable
 *        the copies are written to their places
 *        fdatasync         now the bits are durable too, and the guest may be told
 *        cow_stage_done()
 *      With nothing staged, one fdatasync is all. cow_flush() does these steps for callers that may
 *      sleep.
 *   3. A copy taken may be older than memory, never newer; two flushes at a time could write an
 *      older copy over a newer one, so cow_stage() refuses with -EBUSY until the one before is
 *      done.
 *   4. After an fdatasync that failed nobody knows which data are on the disk, and asking again
 *      does not tell: cow_sync_failed() keeps the error, and no bit is written any more. (A bitmap
 *      write that failed, ENOSPC for example, is only done again by the next flush.)
 *
 * A bitmap sector torn by a crash has each of its bytes from before or from after the flush; bits
 * only change from 0 to 1 and all of them already stand on durable data, so any mixture is right:
 * bits lost are of writes that no flush had been answered for. The data area of an absent sector is
 * not zero: a write may have reached it that was then lost with its bit. So zeroing or discarding
 * absent sectors is a write: zero the data area (a hole will do), then cow_set().
 *
 * FUA needs the same steps as a flush: a part of the bitmap holds other writes' bits too, whose
 * data must be durable first.
 *
 * Merging in place (uml_moo -d) changes the backing file, so that its time stamp no longer is what
 * the header says. A mark in the header (the end of the path's field) says that it was begun; then
 * the file is refused until the merge has been completed.
 *
 * Whether a file is a COW file is told by its first four bytes, which are a guest's to write if the
 * file is its raw disk: it could make itself a disk over any file of the host. Therefore a raw disk
 * that was looked at with cow_is_cow() must not let its guest write a first sector that begins like
 * one; only the flag d (raw data) makes a disk that may hold any bytes.
 *
 * Functions take no locks and are not reentrant for one image; cow_find(), cow_set() and
 * cow_stage() make no host call but for memory. All of them may run on a kernel stack of 16 KiB:
 * what is large is allocated.
 */
#ifndef HOST_COW_H
#define HOST_COW_H

#include <stdint.h>
#include <sys/stat.h>

#define COW_WHY		1024		/* bytes of a text that says what is wrong */
#define COW_PATH	4096		/* bytes of the path's field in versions 2 and 3 */
#define COW_HEADER	4136		/* bytes of the longest header */
#define COW_V3_HEADER	4128		/* bytes of the header that is written */
#define COW_MAX_SIZE	(1ULL << 48)	/* bytes of the largest disk */
#define COW_MAX_DEPTH	8		/* COW files on each other */

/* ---- cow_header.c: what a header says; no host calls ---- */

struct cow_header {
	unsigned int version;		/* 1 to 3 */
	/* the version 3 of some 64-bit programs, with a longer time stamp */
	int padded_v3;
	int little_endian;		/* the byte order of the numbers */
	int merging; /* a merge in place was begun and has not been completed */
	uint32_t mtime;			/* backing file, seconds */
	/*
	 * of the disk, which is that of the backing file (of its disk, if it is a COW file); bytes
	 */
	uint64_t size;
	uint32_t sector_size;		/* 512 to 4096 */
	uint32_t alignment;		/* of bitmap and data; bytes */
	uint64_t bitmap_offset, bitmap_length, data_offset;	/* bytes */
	unsigned int mtime_offset, path_offset, path_size; /* where these lie in the header */
	char backing[COW_PATH];		/* path as it is in the header */
};

/*
 * Whether a file that starts with these bytes (length: how many there are) is a COW file, sound or
 * not.
 */
int cow_is_cow(const void *start, unsigned long length);
/*
 * Reads the header in the first length bytes of a file. Nothing in them is trusted. -EMEDIUMTYPE:
 * not a COW file; -EBADMSG: one with a header that makes no sense, or too short.
 */
int cow_parse(struct cow_header *header, const void *start, unsigned long length,
	      char why[COW_WHY]);
/* A header of version 3 for a disk of size bytes. -EFBIG: too large; -ENAMETOOLONG. */
int cow_make_header(struct cow_header *header, uint64_t size, uint32_t mtime, const char *backing,
		    char why[COW_WHY]);
/* Writes it down: COW_V3_HEADER bytes. */
void cow_format(const struct cow_header *header, unsigned char bytes[COW_V3_HEADER]);
/*
 * The two fields that change: returns the bytes of the field as they are to be in the file at
 * header->mtime_offset or path_offset.
 */
unsigned int cow_format_mtime(const struct cow_header *header, unsigned char bytes[8]);
unsigned int cow_format_path(const struct cow_header *header, unsigned char bytes[COW_PATH]);
/* Whether the path's field has room for the mark of a merge. */
int cow_can_mark(const struct cow_header *header);

/* ---- cow_bitmap.c: the bitmap in memory; no host calls but for memory ---- */

#define COW_CHUNK 4096U /* bytes of the bitmap that are kept and written at once */
#define COW_CHUNK_BITS	(8 * COW_CHUNK)

struct cow_bitmap {
	uint64_t bits, chunks;
	uint64_t made_to;		/* chunks from here on are NULL */
	unsigned char **chunk;		/* NULL: all bits are 0 */
	unsigned char *dirty; /* a byte a chunk: it is not in the file as it is here */
	uint64_t dirty_from, dirty_to;	/* all dirty chunks are in here; from >= to: none */
};

/* -ENOMEM. Memory is used as bits are set. */
int cow_bitmap_init(struct cow_bitmap *bitmap, uint64_t bits);
void cow_bitmap_free(struct cow_bitmap *bitmap);
/*
 * How many of the bits from first on, at most limit (which must be inside), are like the first,
 * which comes back in *value.
 */
uint64_t cow_bitmap_run(const struct cow_bitmap *bitmap, uint64_t first, uint64_t limit,
			int *value);
/* Sets bits; chunks that change by it become dirty. -ENOMEM: some may be set already. */
int cow_bitmap_set(struct cow_bitmap *bitmap, uint64_t first, uint64_t count);
/* Takes length bytes of the file's bitmap from its byte at on (a multiple of COW_CHUNK). -ENOMEM */
int cow_bitmap_fill(struct cow_bitmap *bitmap, uint64_t at, const unsigned char *bytes,
		    unsigned long length);
/* How many bits are set. */
uint64_t cow_bitmap_count(const struct cow_bitmap *bitmap);
void cow_bitmap_mark_dirty(struct cow_bitmap *bitmap, uint64_t chunk);

/* ---- cow.c: files ---- */

struct cow_image {
	struct cow_header header;
	struct cow_bitmap present;
	struct cow_image *under;	/* the backing file, if it is a COW file */
	int fd;
	int backing_fd;			/* the backing file, if it is not one; else -1 */
	char *path;
	/* where the backing file was found; NULL with COW_NO_BACKING */
	char *backing;
	int staged;			/* a flush is under way */
	int error;			/* rule 4; 0 or -errno */
};

enum {
	COW_READ_ONLY = 1,	/* the COW file is opened for reading only */
	/* options.backing, if it is another file, is written to the header */
	COW_SWITCH = 2,
	/* options.backing is used, whatever the header says, and the header stays */
	COW_OVERRIDE = 4,
	/* an incomplete merge in place is no error, and the backing file may be written */
	COW_MERGE = 8,
	COW_NO_BACKING = 16,	/* the backing file is not looked at */
	COW_REPLACE = 32,	/* for cow_create: takes the place of a file that is there */
};

struct cow_options {
	const char *path;
	const char *backing;	/* as the user gave it; NULL: what the header says */
	int flags;
	/*
	 * Called for every file right after it was opened and before anything is read from it, to
	 * lock it: write says which kind of lock. May be NULL. An error (-EAGAIN) is handed on; why
	 * may be filled in, and is otherwise "<path> is in use".
	 */
	int (*lock)(void *argument, int fd, const char *path, int write, char why[COW_WHY]);
	void *argument;
};

/*
 * Opens a COW file, and all that it stands on. -EMEDIUMTYPE: not a COW file; -EBADMSG: damaged;
 * -ESTALE: the backing file is not the one that it was made for (size or mtime); -EREMCHG:
 * options.backing is another file than the header's, and neither COW_SWITCH nor COW_OVERRIDE is
 * set; -EINPROGRESS: see struct cow_header.merging; -ELOOP: COW_MAX_DEPTH; -ENOENT: the COW file is
 * not there, and nothing else is wrong; -ENOLINK: the backing file is not there; else what open(2)
 * gave. Nothing has changed on an error.
 */
int cow_open(struct cow_image **image, const struct cow_options *options, char why[COW_WHY]);
void cow_close(struct cow_image *image);
/*
 * Makes an empty COW file, durable, and all at once: there is never half of one. -EEXIST; else as
 * cow_open.
 */
int cow_create(const struct cow_options *options, char why[COW_WHY]);

/* A range whose bytes lie together in one file. */
struct cow_extent {
	int fd;
	int depth;		/* 0: in the COW file itself; otherwise below it */
	uint64_t offset;	/* in that file; bytes */
	uint64_t length;	/* bytes */
};

/*
 * Where the disk's bytes from offset on are to be read: the first extent of the range, which may be
 * shorter than length. The range must lie inside the disk; it may begin and end anywhere.
 */
void cow_find(const struct cow_image *image, uint64_t offset, uint64_t length,
	      struct cow_extent *extent);
/* Where in image->fd they are to be written. */
static inline uint64_t cow_data(const struct cow_image *image, uint64_t offset)
{
	return image->header.data_offset + offset;
}
/*
 * To be called when a write of whole sectors has ended, before it is answered. -ENOMEM: then the
 * write has failed.
 */
int cow_set(struct cow_image *image, uint64_t offset, uint64_t length);

/*
 * Parts of the bitmap, copied; they lie in the file in pieces of up to COW_STAGE_BYTES, buffers
 * page-aligned (v3: offsets too).
 */
struct cow_stage {
	unsigned int count;
	struct cow_stage_write {
		uint64_t offset;		/* in image->fd; bytes */
		unsigned long length;		/* bytes */
		unsigned char *bytes;
		uint64_t chunk;			/* the first in it */
	} *writes;
	unsigned char *buffer;
};
#define COW_STAGE_BYTES	(1UL << 20)

/*
 * Rule 2. -EBUSY: rule 3; -ENOMEM; rule 4. With count 0 there is nothing to write, and
 * cow_stage_done() is to be called all the same.
 */
int cow_stage(struct cow_image *image, struct cow_stage *stage);
/* error: 0 when all was written and synced; else the parts are dirty again. Frees the copies. */
void cow_stage_done(struct cow_image *image, struct cow_stage *stage, int error);
void cow_sync_failed(struct cow_image *image, int error);
/* All of rule 2, on the caller's thread. */
int cow_flush(struct cow_image *image);

/*
 * For merging in place: writes header.merging, or header.mtime, to the file, and makes it durable.
 */
int cow_write_mark(struct cow_image *image);
int cow_write_mtime(struct cow_image *image);

#endif
