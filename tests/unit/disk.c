// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disks of the host side (arch/um/os-Linux/drivers/disk/disk*.c) without a kernel: images, COW
 * files and chains of them, through both backends, against a model in memory. Many requests are
 * under way at once, each in a part of the disk of its own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <host/disk.h>
#include <host/time.h>
#include "../../arch/um/os-Linux/os.h"
#include "../../arch/um/os-Linux/drivers/disk/disk_io.h"
#include "../guest/check.h"

/* ---- what the rest of the host side would offer ---- */

struct vcpu host_vcpus[HOST_MAX_VCPUS];
const struct disk_backend *disk_backend;
static void (*at_exit)(void);

void host_disk_backend_start(void)
{
}

void host_raise(struct vcpu *vcpu, int irq)
{
}

unsigned long long host_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

void host_ram_prove(const void *start, unsigned long length)
{
}

int host_thread(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, body, argument);
}

void host_at_exit(void (*function)(void))
{
	at_exit = function;
}

void host_fatal(const char *format, ...)
{
	say("not ok %d - host_fatal: %s\n", ++check_count, format);
	exit(1);
}

/* ---- a disk and its model ---- */

#define SECTOR 512
#define STRIPES 24
#define STRIPE (61 * SECTOR)			/* one request at a time in each */
#define SIZE (STRIPES * STRIPE)			/* no multiple of 4096 */

static unsigned char model[SIZE];
static struct host_disk *disk;
static struct host_disk_info info;

struct work {
	struct host_disk_request request;
	struct host_disk_segment segments[8];
	unsigned char *buffer;
	unsigned long long offset, length;
};

static int do_open(const char *path, const char *backing, int flags)
{
	return host_disk_open(&disk, path, backing, flags, &info);
}

static void must_open(const char *path, const char *backing, int flags)
{
	int error = do_open(path, backing, flags);

	if (error)
		say("# %s: %s: %s\n", path, strerror(-error), info.why);
	errno = -error;
	need(!error);
}

/* Cuts the buffer into segments, the lengths of which are sectors. */
static void cut(struct work *work)
{
	unsigned long done = 0;
	int count = 0;

	while (done < work->length) {
		unsigned long left = work->length - done,
			      here = count == 7 ? left : (1 + rand() % (left / SECTOR)) * SECTOR;

		work->segments[count++] = (struct host_disk_segment){ work->buffer + done, here };
		done += here;
	}
	work->request.segments = count;
	work->request.segment = work->segments;
}

static void make(struct work *work, int op, unsigned long long offset, unsigned long long length)
{
	memset(work, 0, sizeof(*work));
	work->offset = offset;
	work->length = length;
	work->request.op = op;
	work->request.offset = offset;
	work->request.length = length;
	if (op == HOST_DISK_READ || op == HOST_DISK_WRITE) {
		need((work->buffer = aligned_alloc(4096, (length + 4095) & ~4095ULL)) != NULL);
		for (unsigned long i = 0; i < length; i++)
			work->buffer[i] = op == HOST_DISK_READ ? 0xee : rand();
		cut(work);
	}
}

/* As an idle virtual CPU does, or one that waits for the end. */
static void rest(int number)
{
	unsigned long *pending = &this_vcpu()->irq_pending;
	sigset_t mask;

	*pending = 0;
	if (number % 2 && disk_backend->look)
		disk_backend->look(pending);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	if (!*pending)
		disk_backend->wait(disk_backend->look ? &mask : NULL);
}

static void run(struct work *work, int count)
{
	for (int i = 0; i < count; i++) {
		host_disk_submit(disk, &work[i].request);
		host_disk_commit(1);	/* in a rush: some are held back */
	}
	for (int rests = 0; count; rests++) {
		host_disk_commit(0);
		while (host_disk_completed())
			count--;
		if (count)
			rest(rests);
	}
}

static int one(int op, unsigned long long offset, unsigned long long length, void *data)
{
	struct work work;

	make(&work, op, offset, length);
	if (data && op == HOST_DISK_WRITE)
		memcpy(work.buffer, data, length);
	run(&work, 1);
	if (data && op == HOST_DISK_READ)
		memcpy(data, work.buffer, length);
	free(work.buffer);
	return work.request.error;
}

/* Compares or notes what a request did; returns whether it is right. */
static int account(struct work *work)
{
	unsigned char *here = model + work->offset;
	int right = !work->request.error;

	switch (work->request.op) {
	case HOST_DISK_READ:
		right = right && !memcmp(here, work->buffer, work->length);
		break;
	case HOST_DISK_WRITE:
		memcpy(here, work->buffer, work->length);
		break;
	case HOST_DISK_ZERO:
	case HOST_DISK_ZERO_FREE:
		if (work->request.error == -EOPNOTSUPP)
			return 1;
		memset(here, 0, work->length);
		break;
	}
	if (!right)
		say("# op %d at %llu, %llu bytes: %s\n", work->request.op, work->offset,
		    work->length,
		    work->request.error ? strerror(-work->request.error) : "other bytes");
	free(work->buffer);
	return right;
}

static int random_work(int rounds)
{
	static const int ops[] = { HOST_DISK_READ,	HOST_DISK_READ,	 HOST_DISK_READ,
				   HOST_DISK_WRITE,	HOST_DISK_WRITE, HOST_DISK_ZERO,
				   HOST_DISK_ZERO_FREE, HOST_DISK_FLUSH };
	static struct work work[STRIPES];
	int right = 1;

	while (right && rounds--) {
		for (int i = 0; i < STRIPES; i++) {
			int first = rand() % (STRIPE / SECTOR),
			    count = 1 + rand() % (STRIPE / SECTOR - first);

			make(&work[i], ops[rand() % 8], i * STRIPE + first * SECTOR,
			     count * SECTOR);
			work[i].request.fua = rand() % 64 == 0;
		}
		run(work, STRIPES);
		for (int i = 0; i < STRIPES; i++)
			right &= account(&work[i]);
	}
	return right;
}

static int all_is_there(void)
{
	static unsigned char whole[SIZE];

	return !one(HOST_DISK_READ, 0, SIZE, whole) && !memcmp(whole, model, SIZE);
}

/* ---- the tests ---- */

static void new_file(const char *path, unsigned long size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	need(fd >= 0 && ftruncate(fd, size) == 0);
	close(fd);
	memset(model, 0, sizeof(model));
}

/* Making every change durable takes its time. */
#define ROUNDS(n) (flags & HOST_DISK_SYNC ? (n) / 10 : (n))

static void test_image(int flags, const char *sentence)
{
	int right;

	new_file("raw", SIZE);
	must_open("raw", "", flags);
	right = random_work(ROUNDS(60));
	host_disk_close(disk);
	must_open("raw", "", flags);
	right &= all_is_there();
	host_disk_close(disk);
	check(right, sentence);
}

/* A chain: base below one below two, each written to before the next was made. */
static void test_cow(int flags, const char *sentence)
{
	int right;

	unlink("one");
	unlink("two");
	new_file("base", SIZE);
	must_open("base", "", 0);
	right = random_work(20);
	host_disk_close(disk);
	must_open("one", "base", flags);
	right &= info.created && info.cow && info.size == SIZE && all_is_there() &&
		 random_work(ROUNDS(40));
	host_disk_close(disk);
	must_open("two", "one", flags);
	right &= all_is_there() && random_work(ROUNDS(40));
	host_disk_close(disk);
	must_open("two", "", flags);
	right &= !info.created && all_is_there() && random_work(ROUNDS(20)) && all_is_there();
	host_disk_close(disk);
	check(right, sentence);
}

static unsigned char sectors[8 * SECTOR];
static int orderly;

static int write_and_end(void)
{
	int right;

	must_open("one", "base", 0);
	right = !one(HOST_DISK_WRITE, 8192, sizeof(sectors), sectors) &&
		!one(HOST_DISK_FLUSH, 0, 0, NULL) &&
		!one(HOST_DISK_WRITE, 65536, sizeof(sectors), sectors);
	if (orderly)
		at_exit();
	return right;
}

static int read_again(void)
{
	static unsigned char got[sizeof(sectors)];
	int right;

	must_open("one", "", 0);
	right = !one(HOST_DISK_READ, 8192, sizeof(got), got) && !memcmp(got, sectors, sizeof(got));
	if (orderly)
		right &= !one(HOST_DISK_READ, 65536, sizeof(got), got) &&
			 !memcmp(got, sectors, sizeof(got));
	return right;
}

/* In a process of its own, which leaves the disk open. */
static int in_child(int (*body)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		need(!disk_backend->start());
		_exit(!body());
	}
	need(waitpid(child, &status, 0) == child);
	return status == 0;
}

/*
 * A process that ends in the middle: what a flush was answered for is there; at an orderly end, so
 * is the rest.
 */
static void test_loss(int ends_orderly, const char *sentence)
{
	orderly = ends_orderly;
	unlink("one");
	new_file("base", SIZE);
	memset(sectors, 0x5a, sizeof(sectors));
	check(in_child(write_and_end) && in_child(read_again), sentence);
}

static void test_errors(void)
{
	unsigned char sector[SECTOR] = "OOOM";

	new_file("raw", SIZE);
	must_open("raw", "", 0);
	check_equal(one(HOST_DISK_WRITE, 0, SECTOR, sector), -EPERM,
		    "an image may not be made to begin like a COW file");
	check_equal(one(HOST_DISK_WRITE, SECTOR, SECTOR, sector), 0, "its other sectors may");
	need(truncate("raw", SIZE / 2) == 0);
	check(one(HOST_DISK_READ, SIZE / 2 - SECTOR, 2 * SECTOR, NULL) == -EIO &&
		      one(HOST_DISK_READ, SIZE - SECTOR, SECTOR, NULL) == -EIO,
	      "a read beyond the end of an image that shrank fails with EIO");
	check_equal(one(HOST_DISK_READ, 0, SECTOR, NULL), 0, "the others do not");
	host_disk_close(disk);
	must_open("raw", "", HOST_DISK_RAW);
	check_equal(one(HOST_DISK_WRITE, 0, SECTOR, sector), 0,
		    "an image that is raw data may begin in any way");
	host_disk_close(disk);
	must_open("raw", "", HOST_DISK_READ_ONLY | HOST_DISK_RAW);
	check(one(HOST_DISK_WRITE, 0, SECTOR, sector) == -EBADF,
	      "nothing is written to one opened for reading only");
	host_disk_close(disk);
}

static void test_locks(void)
{
	struct host_disk *other;
	struct host_disk_info other_info;

	new_file("base", SIZE);
	unlink("one");
	unlink("two");
	must_open("one", "base", 0);
	check(host_disk_open(&other, "one", "", 0, &other_info) == -EAGAIN &&
		      other_info.locked_by == -1,
	      "a COW file is opened once");
	check(host_disk_open(&other, "base", "", 0, &other_info) == -EAGAIN,
	      "a backing file in use is not opened for writing");
	check(host_disk_open(&other, "two", "base", 0, &other_info) == 0,
	      "another COW file on the same backing file is");
	host_disk_close(other);
	host_disk_close(disk);
}

#define SAY(text) (snprintf(sentence, sizeof(sentence), text " (%s)", backend->name), sentence)

static void test_backend(const struct disk_backend *backend)
{
	char sentence[160];

	disk_backend = backend;
	/* Before this process has threads or a ring: children make their own. */
	test_loss(0, SAY("what a flush was answered for is in the COW file"));
	test_loss(1, SAY("at an orderly end, so is the rest"));
	need(!backend->start());
	test_image(0, SAY("an image holds what was written"));
	test_image(HOST_DISK_SYNC, SAY("so does a synchronous one"));
	test_image(HOST_DISK_DIRECT, SAY("and one with O_DIRECT"));
	test_cow(0, SAY("COW files on each other hold what was written"));
	test_cow(HOST_DISK_SYNC, SAY("so do synchronous ones"));
	test_cow(HOST_DISK_DIRECT, SAY("and ones with O_DIRECT"));
	test_errors();
	test_locks();
}

static int host_has_uring(void)
{
	int error = io_uring_queue_init(2, &(struct io_uring){}, 0);

	return !error;
}

int main(void)
{
	/* Where syncs cost nothing, if there is such a place. */
	char folder[64];
	const char *names[] = { "raw", "base", "one", "two" };

	srand(1);
	snprintf(folder, sizeof(folder), "%s/disk-test-XXXXXX",
		 access("/dev/shm", W_OK) ? "/var/tmp" : "/dev/shm");
	need(mkdtemp(folder) && chdir(folder) == 0);
	test_backend(&disk_threads);
	if (host_has_uring())
		test_backend(&disk_uring);
	else
		check_skip("disks through io_uring", "the host refuses it");
	for (int i = 0; i < 4; i++)
		unlink(names[i]);
	rmdir(folder);
	return check_done();
}
