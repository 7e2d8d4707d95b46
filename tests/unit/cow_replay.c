// SPDX-License-Identifier: GPL-2.0-only
/*
 * COW files and loss of power: what ./linux does to a COW file is recorded, and after every step of
 * it the power fails, in several ways.
 *
 * The disks of the host side (drivers/disk/disk*.c, drivers/cow/cow*.c) run as they are, over a
 * backend that carries transfers out in any order, a few at a time, and notes when each began and
 * ended. A guest at random reads, writes, zeroes, discards and flushes with many requests under
 * way; what it reads must be what it wrote last. In between it closes the disk, when all is
 * flushed, and opens it again.
 *
 * What a host's disk may hold when the power fails at a moment p: of each sector of the file, what
 * the last fdatasync that ended before p made durable (that is, writes that had ended before it
 * began), or anything written to it later, up to p; each sector by itself, and torn: the first
 * bytes of one and the rest of another. A failed fdatasync makes nothing durable, and neither does
 * a later one what had been written before it.
 *
 * What must hold then: the file opens; every byte of the disk is what was written last before a
 * flush that was answered before p, or something written later; what nobody wrote is as the backing
 * file has it, and has no bit.
 *
 * REPLAY_ROUNDS: how many histories; each position of each is tried. REPLAY_SEED: the first one's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#include <host/disk.h>
#include <host/time.h>
#include "../../arch/um/os-Linux/os.h"
#include "../../arch/um/os-Linux/drivers/cow/cow.h"
#include "../../arch/um/os-Linux/drivers/disk/disk_io.h"
#include "../guest/check.h"

#define SECTOR		512
#define STRIPES 14 /* places that are written to, with one request under way at a time in each */
#define STRIPE		24		/* sectors */
#define SEGMENTS	4		/* of a request, at most */
#define FLUSHES		3		/* that may be under way */
#define DISK		(20ULL << 20)	/* bytes: two and a half parts of the bitmap */
#define FILE_SECTORS	(DISK / SECTOR + 64)
#define NEVER		(1L << 60)

/* ---- what the rest of the host side would offer ---- */

struct vcpu host_vcpus[HOST_MAX_VCPUS];
const struct disk_backend *disk_backend;

void host_disk_backend_start(void)
{
}

void host_raise(struct vcpu *vcpu, int irq)
{
}

/* For the ring, which is not used here. */
unsigned long long host_monotonic_ns(void)
{
	return 0;
}

int host_thread(void *(*body)(void *), void *argument)
{
	return -ENOSYS;
}

void host_ram_prove(const void *start, unsigned long length)
{
}

void host_at_exit(void (*function)(void))
{
}

void host_fatal(const char *format, ...)
{
	say("not ok %d - host_fatal: %s\n", ++check_count, format);
	exit(1);
}

/* ---- the record ---- */

/* One content of a sector, of the file or of the disk. Positions count everything that happens. */
struct version {
	unsigned char bytes[SECTOR];
	long begun, ended;
	long sure; /* from this position on: durable (file); answered for by a flush (disk) */
	int lost;		/* file: was there when an fdatasync failed */
	int optional; /* disk: what it does may or may not be seen (a discard, a write that failed) */
};

struct history {
	struct version **version;
	int count;
};

static struct history file_history[FILE_SECTORS], disk_history[STRIPES * STRIPE];
static unsigned long touched[FILE_SECTORS];	/* the sectors of the file with a history */
static int touched_count;
static long position;
/* Transfers that the host refuses: countdowns, 0: none. */
static int fail_sync_after, fail_write_after;

static struct version *add_version(struct history *history, const unsigned char *bytes)
{
	struct version *version = calloc(1, sizeof(*version));

	need(version);
	if (bytes)
		memcpy(version->bytes, bytes, SECTOR);
	version->begun = position;
	version->ended = version->sure = NEVER;
	history->version =
		realloc(history->version, (history->count + 1) * sizeof(*history->version));
	history->version[history->count++] = version;
	return version;
}

static void forget(struct history *history, int count)
{
	for (int i = 0; i < count; i++) {
		for (int n = 0; n < history[i].count; n++)
			free(history[i].version[n]);
		free(history[i].version);
		history[i] = (struct history){ 0 };
	}
}

/* ---- the backend ---- */

#define MOST 1024

static struct disk_io *pending[MOST];
static long begun_at[MOST];
static int pending_count;

static int changes(const struct disk_io *io)
{
	return io->op == DISK_WRITE || io->op == DISK_PUNCH || io->op == DISK_ZERO;
}

static void gather(const struct disk_io *io, unsigned char *to)
{
	for (int i = 0; i < io->iovs; i++) {
		memcpy(to, io->iov[i].iov_base, io->iov[i].iov_len);
		to += io->iov[i].iov_len;
	}
}

static void record_begin(const struct disk_io *io)
{
	unsigned char *data = calloc(1, io->length ? io->length : 1);

	need(data && io->offset % SECTOR == 0 && io->length % SECTOR == 0);
	if (io->op == DISK_WRITE)
		gather(io, data);
	for (unsigned long done = 0; done < io->length; done += SECTOR) {
		unsigned long sector = (io->offset + done) / SECTOR;

		if (!file_history[sector].count)
			touched[touched_count++] = sector;
		add_version(&file_history[sector], data + done);
	}
	free(data);
}

static void record_queue(struct disk_io *io)
{
	position++;
	need(pending_count < MOST);
	begun_at[pending_count] = position;
	pending[pending_count++] = io;
	if (changes(io))
		record_begin(io);
}

/* A sync that began at a position has ended. */
static void record_sync(long begun, int failed)
{
	for (int i = 0; i < touched_count; i++)
		for (int n = 0; n < file_history[touched[i]].count; n++) {
			struct version *version = file_history[touched[i]].version[n];

			if (failed && version->ended < position && version->sure == NEVER)
				version->lost = 1;
			if (!failed && version->ended < begun && version->sure == NEVER &&
			    !version->lost)
				version->sure = position;
		}
}

static void record_write(unsigned long long offset, unsigned long long length, long begun)
{
	for (; length; length -= SECTOR, offset += SECTOR) {
		struct history *history = &file_history[offset / SECTOR];

		for (int n = 0; n < history->count; n++)
			if (history->version[n]->begun == begun)
				history->version[n]->ended = position;
	}
}

static int is_bitmap(const struct disk_io *io)
{
	return io->op == DISK_WRITE && io->offset < 16384;
}

static void carry_out(int n)
{
	struct disk_io *io = pending[n];
	long begun = begun_at[n], result;

	pending[n] = pending[--pending_count];
	begun_at[n] = begun_at[pending_count];
	if (io->op == DISK_SYNC && fail_sync_after && !--fail_sync_after)
		result = -EIO;
	else if (is_bitmap(io) && fail_write_after && !--fail_write_after)
		result = -ENOSPC;
	else
		result = disk_io_perform(io, 0);
	position++;
	need(result < 0 || !changes(io) || io->op != DISK_WRITE ||
	     (unsigned long long)result == io->length);
	if (changes(io) && result >= 0)
		record_write(io->offset, io->length, begun);
	if (io->op == DISK_SYNC)
		record_sync(begun, result < 0);
	disk_io_ended(io, result);
}

static int record_start(void)
{
	return 0;
}

static void record_turn(int more)
{
	for (int count = random() % 4; count && pending_count; count--)
		carry_out(random() % pending_count);
}

static int record_wait(const sigset_t *mask)
{
	if (pending_count)
		carry_out(random() % pending_count);
	return 1;
}

static const struct disk_backend recorder = {
	.name = "recorder",
	.start = record_start,
	.queue = record_queue,
	.turn = record_turn,
	.wait = record_wait,
};

/* ---- the guest ---- */

struct work {
	struct host_disk_request request;
	struct host_disk_segment segment[SEGMENTS];
	unsigned char data[STRIPE * SECTOR];
	long submitted;
	int stripe, first, count, busy;
};

static struct host_disk *disk;
static struct work work[STRIPES + FLUSHES];
static struct host_disk_info info;
static unsigned long flushes_answered, sectors_read;
static int synchronous;			/* every change is durable when it is answered */
static int read_right;

/* Some of them across the borders between the bitmap's parts, and at both ends. */
static unsigned long long offset_of(int stripe)
{
	unsigned long long part = (unsigned long long)COW_CHUNK_BITS * SECTOR;

	switch (stripe) {
	case 0:
		return 0;
	case 1:
		return part - 5 * SECTOR;
	case 2:
		return DISK - STRIPE * SECTOR;
	}
	return stripe * 1234 * 1024ULL / SECTOR * SECTOR;
}

static unsigned char backing_byte(unsigned long long offset)
{
	return 0x80 | (offset / SECTOR * 7 % 127);
}

static struct version *version_of(const struct work *w, int sector)
{
	struct history *history = &disk_history[w->stripe * STRIPE + w->first + sector];

	return history->version[history->count - 1];
}

/* The data of a request, in pieces of whole sectors. */
static void cut(struct work *w)
{
	int done = 0;

	w->request.segment = w->segment;
	while (done < w->count) {
		int left = w->count - done, last = w->request.segments == SEGMENTS - 1;
		int here = last ? left : 1 + random() % left;

		w->segment[w->request.segments++] =
			(struct host_disk_segment){ w->data + done * SECTOR, here * SECTOR };
		done += here;
	}
}

static void place_request(struct work *w)
{
	w->first = random() % STRIPE;
	w->count = 1 + random() % (STRIPE - w->first);
	w->request.offset = offset_of(w->stripe) + w->first * SECTOR;
	w->request.length = w->count * SECTOR;
}

static void draw_data(struct work *w)
{
	static unsigned int serial;

	for (int i = 0; i < w->count * SECTOR; i += 4)
		memcpy(w->data + i, &(unsigned int){ (serial + i / SECTOR) * 2654435761U }, 4);
	serial += w->count;
}

static void submit(struct work *w, int op)
{
	int is_change = op != HOST_DISK_FLUSH && op != HOST_DISK_READ;

	w->request = (struct host_disk_request){
		.op = op, .fua = is_change && op != HOST_DISK_DISCARD && random() % 10 == 0
	};
	w->busy = 1;
	w->submitted = ++position;
	if (op != HOST_DISK_FLUSH)
		place_request(w);
	if (op == HOST_DISK_WRITE)
		draw_data(w);
	if (op == HOST_DISK_READ)
		memset(w->data, 0xee, sizeof(w->data));
	if (op == HOST_DISK_WRITE || op == HOST_DISK_READ)
		cut(w);
	for (int i = 0; is_change && i < w->count; i++) {
		add_version(&disk_history[w->stripe * STRIPE + w->first + i],
			    op == HOST_DISK_WRITE ? w->data + i * SECTOR : NULL);
		version_of(w, i)->optional = op == HOST_DISK_DISCARD;
	}
	host_disk_submit(disk, &w->request);
}

/* Of a sector that nobody is changing. */
static int reads_right(const struct history *history, int index, unsigned char byte,
		       unsigned char below)
{
	for (int n = history->count - 1; n >= 0; n--) {
		if (history->version[n]->bytes[index] == byte)
			return 1;
		if (!history->version[n]->optional)
			return 0;
	}
	return byte == below;
}

static void read_answered(const struct work *w)
{
	need(!w->request.error);
	sectors_read += w->count;
	for (int i = 0; i < w->count * SECTOR; i++) {
		unsigned long long offset = w->request.offset + i;

		if (reads_right(&disk_history[w->stripe * STRIPE + w->first + i / SECTOR],
				i % SECTOR, w->data[i], backing_byte(offset)))
			continue;
		say("# at %ld: byte %d of sector %llu is read as %#x\n", position, i % SECTOR,
		    offset / SECTOR, w->data[i]);
		read_right = 0;
		return;
	}
}

static void flush_answered(const struct work *w)
{
	flushes_answered++;
	for (int i = 0; i < STRIPES * STRIPE; i++)
		for (int n = 0; n < disk_history[i].count; n++) {
			struct version *version = disk_history[i].version[n];

			if (version->ended < w->submitted && version->sure == NEVER)
				version->sure = position;
		}
}

static void answered(struct work *w)
{
	position++;
	w->busy = 0;
	if (w->request.op == HOST_DISK_FLUSH) {
		if (!w->request.error)
			flush_answered(w);
		return;
	}
	if (w->request.op == HOST_DISK_READ) {
		read_answered(w);
		return;
	}
	for (int i = 0; i < w->count; i++) {
		struct version *version = version_of(w, i);

		version->ended = position;
		if (w->request.error)
			version->optional = 1;
		else if (w->request.fua || synchronous)
			version->sure = position;
	}
}

static int collect(void)
{
	struct host_disk_request *request;
	int count = 0;

	host_disk_commit(0);
	for (; (request = host_disk_completed()); count++)
		answered((struct work *)((char *)request - offsetof(struct work, request)));
	return count;
}

static void await_all(void)
{
	while (pending_count) {
		disk_backend->wait(NULL);
		collect();
	}
	collect();
}

static void live(int requests)
{
	static const int ops[] = { HOST_DISK_WRITE,	HOST_DISK_WRITE, HOST_DISK_WRITE,
				   HOST_DISK_ZERO_FREE, HOST_DISK_ZERO,	 HOST_DISK_DISCARD,
				   HOST_DISK_READ,	HOST_DISK_READ };
	int flush_every = 2 + random() % 12;

	while (requests) {
		struct work *w =
			&work[random() % (STRIPES + (random() % flush_every ? 0 : FLUSHES))];
		int n = w - work;

		if (!w->busy) {
			w->stripe = n;
			submit(w, n < STRIPES ? ops[random() % 8] : HOST_DISK_FLUSH);
			requests--;
		}
		if (random() % 3 == 0 && !collect() && pending_count)
			disk_backend->wait(NULL);
	}
	await_all();
}

/* ---- the power fails ---- */

enum choice { OLDEST, NEWEST, NEW_BITS, NEW_DATA, ANY, MODES = ANY + 3 };

static int crash_fd;
static uint64_t data_offset;
static unsigned char start_of_file[64 * SECTOR], nothing[SECTOR];
static unsigned char crash_now[FILE_SECTORS][SECTOR];

static const unsigned char *content(const struct history *history, unsigned long sector,
				    int version)
{
	if (version >= 0)
		return history->version[version]->bytes;
	return sector < data_offset / SECTOR ? start_of_file + sector * SECTOR : nothing;
}

static void put(unsigned long sector, const unsigned char *bytes)
{
	if (!memcmp(crash_now[sector], bytes, SECTOR))
		return;
	memcpy(crash_now[sector], bytes, SECTOR);
	need(pwrite(crash_fd, bytes, SECTOR, sector * SECTOR) == SECTOR);
}

/* One sector of the file as the disk may have it. */
static void settle(unsigned long sector, long at, enum choice choice)
{
	const struct history *history = &file_history[sector];
	int oldest = -1, newest = -1, bits = sector < data_offset / SECTOR;
	unsigned char torn[SECTOR];
	const unsigned char *bytes;

	for (int n = 0; n < history->count && history->version[n]->begun <= at; n++) {
		newest = n;
		if (history->version[n]->sure <= at)
			oldest = n;
	}
	if (choice >= ANY) {
		bytes = content(history, sector, oldest + random() % (newest - oldest + 1));
		if (random() % 3 == 0) {
			int cut = random() % SECTOR;

			memcpy(torn, bytes, cut);
			memcpy(torn + cut,
			       content(history, sector, oldest + random() % (newest - oldest + 1)) +
				       cut,
			       SECTOR - cut);
			bytes = torn;
		}
	} else {
		bytes = content(history, sector,
				choice == NEWEST || (choice == NEW_BITS) == bits ? newest : oldest);
		if (choice == OLDEST)
			bytes = content(history, sector, oldest);
	}
	put(sector, bytes);
}

/* Whether a byte of the disk may be what it is. */
static int byte_fits(const struct history *history, long at, int index, unsigned char byte,
		     unsigned char below)
{
	for (int n = history->count - 1; n >= 0; n--) {
		const struct version *version = history->version[n];

		if (version->begun > at)
			continue;
		if (version->bytes[index] == byte)
			return 1;
		if (version->sure <= at && !version->optional)
			return 0;
	}
	return byte == below;
}

static int sector_fits(const struct cow_image *image, int n, long at, uint64_t *present)
{
	unsigned long long offset = offset_of(n / STRIPE) + n % STRIPE * SECTOR;
	unsigned char got[SECTOR];
	struct cow_extent extent;

	cow_find(image, offset, SECTOR, &extent);
	*present += !extent.depth;
	need(pread(extent.fd, got, SECTOR, extent.offset) == SECTOR);
	for (int i = 0; i < SECTOR; i++)
		if (!byte_fits(&disk_history[n], at, i, got[i], backing_byte(offset))) {
			say("# at %ld: byte %d of sector %llu (%s the COW file) is %#x\n", at, i,
			    offset / SECTOR, extent.depth ? "not in" : "in", got[i]);
			return 0;
		}
	return 1;
}

static int survives(long at)
{
	struct cow_options options = { .path = "crash", .flags = COW_READ_ONLY };
	struct cow_image *image;
	char why[COW_WHY];
	uint64_t present = 0;
	int right = 1;

	if (cow_open(&image, &options, why)) {
		say("# at %ld: %s\n", at, why);
		return 0;
	}
	for (int n = 0; right && n < STRIPES * STRIPE; n++)
		right = sector_fits(image, n, at, &present);
	if (right && present != cow_bitmap_count(&image->present)) {
		say("# at %ld: bits of sectors that nobody wrote\n", at);
		right = 0;
	}
	cow_close(image);
	return right;
}

static unsigned long states;

static int fail_power(long at)
{
	for (int choice = 0; choice < MODES; choice++) {
		for (int i = 0; i < touched_count; i++)
			settle(touched[i], at, choice);
		states++;
		if (!survives(at))
			return 0;
	}
	return 1;
}

/* ---- histories ---- */

static void make_backing(void)
{
	int fd = open("back", O_RDWR | O_CREAT | O_TRUNC, 0666);

	need(fd >= 0 && ftruncate(fd, DISK) == 0);
	for (int stripe = 0; stripe < STRIPES; stripe++)
		for (int i = 0; i < STRIPE; i++) {
			unsigned char sector[SECTOR];

			memset(sector, backing_byte(offset_of(stripe) + i * SECTOR), SECTOR);
			need(pwrite(fd, sector, SECTOR, offset_of(stripe) + i * SECTOR) == SECTOR);
		}
	close(fd);
}

static void begin(void)
{
	struct cow_image *image;
	struct cow_options options = { .path = "one", .backing = "back", .flags = COW_REPLACE };
	char why[COW_WHY];
	int fd;

	need(!cow_create(&options, why) && !cow_open(&image, &options, why));
	data_offset = image->header.data_offset;
	cow_close(image);
	forget(file_history, FILE_SECTORS);
	forget(disk_history, STRIPES * STRIPE);
	position = touched_count = 0;
	fd = open("one", O_RDONLY);
	need(fd >= 0 && pread(fd, start_of_file, data_offset, 0) == (ssize_t)data_offset);
	close(fd);
	crash_fd = open("crash", O_RDWR | O_CREAT | O_TRUNC, 0666);
	need(crash_fd >= 0 && ftruncate(crash_fd, data_offset + DISK) == 0 &&
	     pwrite(crash_fd, start_of_file, data_offset, 0) > 0);
	memset(crash_now, 0, sizeof(crash_now));
	memcpy(crash_now, start_of_file, data_offset);
}

static void open_disk(void)
{
	need(!host_disk_open(&disk, "one", "", synchronous ? HOST_DISK_SYNC : 0, &info));
}

/* Flushed before, so that closing has nothing left to do: what it does is not in the record. */
static void open_again(void)
{
	submit(&work[STRIPES], HOST_DISK_FLUSH);
	await_all();
	need(!work[STRIPES].request.error);
	host_disk_close(disk);
	open_disk();
}

static int one_history(int requests, int stride, int may_fail)
{
	int right;

	begin();
	open_disk();
	read_right = 1;
	live(requests / 2);
	if (!may_fail)
		open_again();
	live(requests / 2);
	right = read_right;
	for (long at = random() % stride; right && at <= position; at += stride)
		right = fail_power(at);
	host_disk_close(disk);
	close(crash_fd);
	return right;
}

enum kind { PLAIN, SYNC_FAILS, NO_SPACE, SYNCHRONOUS, KINDS };

int main(void)
{
	const char *rounds = getenv("REPLAY_ROUNDS"), *seed = getenv("REPLAY_SEED");
	char folder[] = "/tmp/cow-replay-XXXXXX", command[64];
	int right[KINDS] = { 1, 1, 1, 1 }, first = seed ? atoi(seed) : 1,
	    count = rounds ? atoi(rounds) : 8;

	disk_backend = &recorder;
	need(mkdtemp(folder) && chdir(folder) == 0);
	make_backing();
	for (int round = first; round < first + count; round++) {
		int kind = round % KINDS;

		srandom(round);
		fail_sync_after = kind == SYNC_FAILS ? 3 + random() % 12 : 0;
		fail_write_after = kind == NO_SPACE ? 2 + random() % 6 : 0;
		synchronous = kind == SYNCHRONOUS;
		if (right[kind] &&
		    !one_history(120, rounds ? 1 : 15, fail_sync_after || fail_write_after)) {
			say("# REPLAY_ROUNDS=1 REPLAY_SEED=%d shows it\n", round);
			right[kind] = 0;
		}
	}
	say("# %lu states of a COW file, %lu flushes answered, %lu sectors read\n", states,
	    flushes_answered, sectors_read);
	check(right[PLAIN],
	      "a COW file holds what was flushed, whenever the power fails, and reads as what was written last");
	check(right[SYNC_FAILS], "also when an fdatasync failed before");
	check(right[NO_SPACE], "also when there was no space for a part of the bitmap");
	check(right[SYNCHRONOUS], "a synchronous one holds what was answered");
	need(chdir("/") == 0);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	need(system(command) == 0);
	return check_done();
}
