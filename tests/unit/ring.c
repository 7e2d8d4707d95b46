// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings of the host side (arch/um/os-Linux/ring.c) without a kernel: each kind of entry, results,
 * news and alarms, sleep, several owners, and hosts that refuse some of it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <host/process.h>
#include <host/time.h>
#include "os.h"
#include "ring.h"
#include "../guest/check.h"

/* ---- what the rest of the host side would offer ---- */

static unsigned long long skipped_ns;
static pthread_t last_thread;
static int thread_error;

unsigned long long host_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec + skipped_ns;
}

/* Not detached, so that a test can wait for its end. */
int host_thread(void *(*body)(void *), void *argument)
{
	return thread_error ? thread_error :
			      -pthread_create(&last_thread, NULL, body, argument);
}

void host_fatal(const char *format, ...)
{
	say("not ok %d - host_fatal: %s\n", ++check_count, format);
	exit(1);
}

/* ---- an owner ---- */

#define ALL_OPERATIONS (2 * (1 << RING_CANCEL) - 1)
#define ENTRIES 4
#define COOKIES 256

struct owner {
	struct ring *ring;
	pthread_t thread;		/* the ring's own */
	unsigned int completed;		/* how many */
	long results[COOKIES];		/* cookies are their addresses */
	int times[COOKIES];		/* each came */
	unsigned int chain;		/* entries that completions still queue */
	sem_t came;
	enum ring_news news[16];
	unsigned int news_count;
	pthread_t news_thread;
};

static struct owner owner;
static int file, pair[2];

static void completed(void *argument, void *cookie, long result)
{
	struct owner *own = argument;
	int number = (long *)cookie - own->results;

	need(number >= 0 && number < COOKIES);
	own->results[number] = result;
	own->times[number]++;
	own->completed++;
	if (own->chain) {
		struct ring_entry entry = { .op = RING_SYNC, .fd = file, .cookie = cookie };

		own->chain--;
		need(!ring_queue(own->ring, &entry));
	}
}

static void news(void *argument, enum ring_news news)
{
	struct owner *own = argument;

	own->news_thread = pthread_self();
	if (own->news_count < 16)
		own->news[own->news_count++] = news;
	sem_post(&own->came);
}

static struct ring_setup setup_of(struct owner *own)
{
	return (struct ring_setup){
		.entries = ENTRIES,
		.completions = 2 * ENTRIES,
		.operations = ALL_OPERATIONS,
		.owner = own,
		.completed = completed,
		.news = news,
	};
}

static int try_make(struct owner *own)
{
	struct ring_setup setup = setup_of(own);
	int error;

	memset(own, 0, sizeof(*own));
	sem_init(&own->came, 0, 0);
	error = ring_make(&own->ring, &setup);
	own->thread = last_thread;
	return error;
}

static void make(void)
{
	need(!try_make(&owner));
}

static void wait_news(enum ring_news wanted, const char *sentence)
{
	while (sem_wait(&owner.came))
		;
	check(owner.news[owner.news_count - 1] == wanted, sentence);
}

static int queue(int number, struct ring_entry entry)
{
	entry.cookie = &owner.results[number];
	return ring_queue(owner.ring, &entry);
}

/* Collects until so many have completed in all. */
static void collect(struct owner *own, unsigned int count)
{
	while (own->completed < count) {
		need(!ring_submit(own->ring));
		if (!ring_completed(own->ring))
			need(!ring_sleep(own->ring, NULL));
		ring_collect(own->ring);
	}
}

static long result_of(struct ring_entry entry)
{
	need(!queue(0, entry));
	collect(&owner, owner.completed + 1);
	return owner.results[0];
}

static struct iovec buffer_of(void *buffer, unsigned long length)
{
	return (struct iovec){ buffer, length };
}

static struct ring_entry receive_of(struct iovec *iov)
{
	return (struct ring_entry){ .op = RING_RECEIVE, .fd = pair[0], .iov = iov, .iovs = 1 };
}

/* The number of open descriptors. */
static int descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	need(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void release(void)
{
	need(!ring_free(owner.ring));
	need(!pthread_join(owner.thread, NULL));
}

/* ---- entries ---- */

static void check_file(void)
{
	char read[16] = "", wrote[] = "abcdefgh";
	struct iovec out[] = { { wrote, 3 }, { wrote + 3, 5 } };
	struct iovec in[] = { { read, 1 }, { read + 1, 7 } };
	struct iovec whole = buffer_of(read, sizeof(read));
	struct ring_entry entry = { .op = RING_WRITE, .fd = file, .iov = out, .iovs = 2,
				    .offset = 100, .flags = RWF_DSYNC };

	make();
	check_equal(result_of(entry), 8, "a write from two buffers returns its bytes");
	entry = (struct ring_entry){ .op = RING_READ, .fd = file, .iov = in, .iovs = 2,
				     .offset = 100 };
	check(result_of(entry) == 8 && !memcmp(read, wrote, 8), "a read into two reads them");
	out[0] = buffer_of("XY", 2);
	entry = (struct ring_entry){ .op = RING_WRITE, .fd = file, .iov = out, .iovs = 1,
				     .offset = 101 };
	check_equal(result_of(entry), 2, "a write from one buffer");
	entry = (struct ring_entry){ .op = RING_READ, .fd = file, .iov = &whole, .iovs = 1,
				     .offset = 100 };
	check(result_of(entry) == 8 && !memcmp(read, "aXYdefgh", 8),
	      "a read of one buffer ends with the file");
	entry = (struct ring_entry){ .op = RING_SYNC, .fd = file };
	check_equal(result_of(entry), 0, "a sync returns 0");
	entry = (struct ring_entry){ .op = RING_FALLOCATE, .fd = file, .offset = 0, .length = 4096,
				     .flags = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE };
	check_equal(result_of(entry), 0, "a range is punched");
	entry = (struct ring_entry){ .op = RING_READ, .fd = file, .iov = &whole, .iovs = 1,
				     .offset = 100 };
	check(result_of(entry) == 8 && !memcmp(read, "\0\0\0\0\0\0\0\0", 8), "and reads as zeros");
	entry = (struct ring_entry){ .op = RING_WRITE, .fd = file, .iov = out, .iovs = 1,
				     .flags = RWF_APPEND };
	check(result_of(entry) == 2 && lseek(file, 0, SEEK_END) == 110,
	      "flags reach a write: RWF_APPEND");
	entry.fd = -1;
	check_equal(result_of(entry), -EBADF, "an error of the host is a result");
	check_equal(ring_in_flight(owner.ring), 0, "and nothing is in flight");
	release();
}

static void check_socket(void)
{
	char read[16] = "";
	struct iovec out[] = { { "abc", 3 }, { "defgh", 5 } };
	struct iovec in[] = { { read, 4 }, { read + 4, 12 } };
	struct msghdr to = { .msg_iov = out, .msg_iovlen = 2 };
	struct msghdr from = { .msg_iov = in, .msg_iovlen = 2 };
	struct ring_entry entry = { .op = RING_SEND, .fd = pair[1], .iov = out, .iovs = 1 };

	make();
	check_equal(result_of(entry), 3, "a datagram is sent");
	in[0] = buffer_of(read, 2);
	entry = receive_of(in);
	entry.flags = MSG_TRUNC;
	check(result_of(entry) == 3 && !memcmp(read, "ab\0", 3),
	      "and received, with flags, into one buffer");
	in[0] = buffer_of(read, 4);
	entry = (struct ring_entry){ .op = RING_SEND, .fd = pair[1], .message = &to };
	check_equal(result_of(entry), 8, "a message of two buffers is sent");
	entry = (struct ring_entry){ .op = RING_RECEIVE, .fd = pair[0], .message = &from };
	check(result_of(entry) == 8 && !memcmp(read, "abcdefgh", 8), "and received into two");
	entry = receive_of(in);
	entry.flags = MSG_DONTWAIT;
	check_equal(result_of(entry), -EAGAIN, "with MSG_DONTWAIT an entry does not wait");
	entry = (struct ring_entry){ .op = RING_READ, .fd = pair[0], .iov = in, .iovs = 1,
				     .flags = RWF_NOWAIT };
	check_equal(result_of(entry), -EAGAIN, "nor does a read with RWF_NOWAIT");
	release();
}

static void check_many(void)
{
	struct ring_entry sync = { .op = RING_SYNC, .fd = file };
	int before = owner.completed, all = 1;

	make();
	need(!queue(0, sync) && !queue(1, sync));
	check(ring_queued(owner.ring) == 2 && ring_in_flight(owner.ring) == 2 &&
	      !ring_peek(owner.ring), "queued entries are not sent");
	need(!ring_submit(owner.ring));
	check(!ring_queued(owner.ring) && ring_in_flight(owner.ring) == 2,
	      "sent ones are in flight until they are collected");
	for (int i = 2; i < COOKIES; i++)
		all &= !queue(i, sync);
	check(all, "a full ring is sent for the next entry");
	collect(&owner, COOKIES);
	for (int i = 0; i < COOKIES; i++)
		all &= owner.times[i] == 1 && owner.results[i] == 0;
	check(all, "each cookie comes back once, even if more complete than the ring has room for");
	before = owner.completed;
	owner.chain = 20;
	need(!queue(0, sync));
	collect(&owner, before + 21);
	check(!owner.chain && !ring_in_flight(owner.ring), "a completion may queue an entry");
	release();
}

static void check_cancel(void)
{
	char read[16];
	struct iovec in = buffer_of(read, sizeof(read));
	struct ring_entry cancel = { .op = RING_CANCEL, .cancelled = &owner.results[1] };
	int before = descriptors();

	make();
	need(!queue(1, receive_of(&in)) && !ring_submit(owner.ring));
	check_equal(ring_free(owner.ring), -EBUSY, "a ring with an entry in flight is not freed");
	need(!queue(2, cancel));
	collect(&owner, 2);
	check(owner.results[1] == -ECANCELED && owner.results[2] == 0, "the entry is cancelled");
	check_equal(ring_free(owner.ring), 0, "and then the ring is freed");
	need(!pthread_join(owner.thread, NULL));
	check(descriptors() == before, "with its thread and its descriptors");
}

/* ---- news ---- */

static void check_news(void)
{
	char read[16];
	struct iovec in = buffer_of(read, sizeof(read));

	make();
	need(!queue(0, receive_of(&in)) && !ring_submit(owner.ring));
	check(!ring_completed(owner.ring), "an entry that waits has not completed");
	need(write(pair[1], "abc", 3) == 3);
	wait_news(RING_COMPLETED, "a completion is news");
	check(owner.news_thread == owner.thread && owner.thread != pthread_self(),
	      "which the ring's own thread has");
	check(ring_completed(owner.ring) && owner.completed == 0, "it is not collected by that");
	ring_collect(owner.ring);
	check(owner.completed == 1 && owner.results[0] == 3, "but by the owner");

	need(!queue(0, receive_of(&in)) && !ring_submit(owner.ring));
	need(write(pair[1], "abc", 3) == 3);
	ring_alarm(owner.ring, 1000000);
	wait_news(RING_ALARM, "news turn notification off, so the next ones are an alarm's");
	collect(&owner, 2);

	ring_notify(owner.ring, 1);
	need(!queue(0, receive_of(&in)) && !ring_submit(owner.ring));
	need(write(pair[1], "abc", 3) == 3);
	wait_news(RING_COMPLETED, "ring_notify() turns it on");
	collect(&owner, 3);
	ring_notify(owner.ring, 1);
	ring_notify(owner.ring, 0);
	need(!queue(0, receive_of(&in)) && !ring_submit(owner.ring));
	need(write(pair[1], "abc", 3) == 3);
	ring_alarm(owner.ring, 1000000);
	wait_news(RING_ALARM, "and off");
	check(ring_peek(owner.ring) && ring_completed(owner.ring),
	      "a poll finds a completion without news");
	collect(&owner, 4);
	check(!ring_completed(owner.ring) && owner.news_count == 4, "and there is no other");
	release();
}

static void check_alarm(void)
{
	unsigned long long before;

	make();
	before = host_monotonic_ns();
	ring_alarm(owner.ring, 3600000000000UL);
	ring_alarm(owner.ring, 1001000000);
	wait_news(RING_ALARM, "an alarm replaces an earlier one");
	check(host_monotonic_ns() - before >= 1001000000, "and comes when its time is over");
	release();
}

static void nothing(int number)
{
}

static void check_sleep(void)
{
	struct sigaction action = { .sa_handler = nothing };
	char read[16];
	struct iovec in = buffer_of(read, sizeof(read));
	sigset_t usr1, none;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	need(!sigaction(SIGUSR1, &action, NULL) && !sigprocmask(SIG_BLOCK, &usr1, NULL));
	make();
	need(!queue(0, receive_of(&in)) && !ring_submit(owner.ring));
	raise(SIGUSR1);
	ring_sleep(owner.ring, &none);
	check(!ring_completed(owner.ring) && !sigpending(&none) && !sigismember(&none, SIGUSR1),
	      "a signal that the mask lets through ends a sleep");
	need(write(pair[1], "abc", 3) == 3);
	raise(SIGUSR1);
	ring_sleep(owner.ring, &usr1);
	check(ring_completed(owner.ring), "a completion does, too");
	sigpending(&none);
	check(sigismember(&none, SIGUSR1), "with a signal kept out by the mask");
	ring_sleep(owner.ring, NULL);
	check(ring_completed(owner.ring), "with something to collect there is no sleep");
	ring_collect(owner.ring);
	release();
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
}

/* ---- several owners ---- */

#define ROUNDS 2000

struct player {
	struct owner owner;
	int fd, first;
	long received;			/* the last number */
	pthread_t thread;
};

/* Sends a number, waits for the other player's, and so on. */
static void *play(void *argument)
{
	struct player *player = argument;
	long number = 0;
	struct iovec in = buffer_of(&player->received, sizeof(number));
	struct iovec out = buffer_of(&number, sizeof(number));
	struct ring_entry receive = { .op = RING_RECEIVE, .fd = player->fd, .iov = &in, .iovs = 1,
				      .cookie = &player->owner.results[0] };
	struct ring_entry send = { .op = RING_SEND, .fd = player->fd, .iov = &out, .iovs = 1,
				   .cookie = &player->owner.results[1] };

	need(!try_make(&player->owner));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (player->first)
			need(!ring_queue(player->owner.ring, &send));
		need(!ring_queue(player->owner.ring, &receive));
		collect(&player->owner, 2 * i + 1 + player->first);
		need(player->received == number);
		if (!player->first)
			need(!ring_queue(player->owner.ring, &send));
		collect(&player->owner, 2 * i + 2);
		number++;
	}
	need(!ring_free(player->owner.ring));
	return NULL;
}

static void check_owners(void)
{
	static struct player players[2];
	int passed = 1;

	for (int i = 0; i < 2; i++) {
		players[i].fd = pair[i];
		players[i].first = i;
		need(!pthread_create(&players[i].thread, NULL, play, &players[i]));
	}
	for (int i = 0; i < 2; i++) {
		need(!pthread_join(players[i].thread, NULL));
		passed &= players[i].owner.times[0] == ROUNDS &&
			  players[i].owner.times[1] == ROUNDS;
	}
	check(passed, "two rings of two threads each give their owner what is its own");
}

/* ---- hosts that refuse ---- */

static void refuse(int number, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	need(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

/* A test in a child process, which the host may refuse something for good. */
static void check_apart(int (*passes)(void), const char *sentence)
{
	int status;
	pid_t child = fork();

	need(child >= 0);
	if (!child)
		_exit(passes() ? 0 : 1);
	need(waitpid(child, &status, 0) == child);
	check(!status, sentence);
}

static int no_setup(void)
{
	int before = descriptors();

	refuse(SYS_io_uring_setup, ENOSYS);
	return try_make(&owner) == -ENOSYS && descriptors() == before;
}

static int no_enter(void)
{
	int before = descriptors();

	refuse(SYS_io_uring_enter, EPERM);
	return try_make(&owner) == -EPERM && descriptors() == before;
}

static int no_probe(void)
{
	int before = descriptors();

	refuse(SYS_io_uring_register, EPERM);
	return try_make(&owner) == -EOPNOTSUPP && descriptors() == before;
}

static int no_operation(void)
{
	int before = descriptors();
	struct ring_setup setup = setup_of(&owner);

	setup.operations |= 2 << RING_CANCEL;
	return ring_make(&owner.ring, &setup) == -EOPNOTSUPP && descriptors() == before;
}

static int no_thread(void)
{
	int before = descriptors();

	thread_error = -EAGAIN;
	return try_make(&owner) == -EAGAIN && descriptors() == before;
}

static const struct ring_entry sync_entry = { .op = RING_SYNC };

static int later_refused(void)
{
	make();
	refuse(SYS_io_uring_enter, EPERM);
	return !queue(0, sync_entry) && ring_submit(owner.ring) == -EPERM;
}

static int later_no_memory(void)
{
	make();
	refuse(SYS_io_uring_enter, ENOMEM);
	for (int i = 0; i < ENTRIES; i++)
		need(!queue(i, sync_entry));
	need(!ring_submit(owner.ring) && ring_queued(owner.ring) == ENTRIES);
	need(queue(ENTRIES, sync_entry) == -EAGAIN);
	skipped_ns += 4000000000ULL;
	need(!ring_submit(owner.ring));
	skipped_ns += 2000000000ULL;
	return ring_submit(owner.ring) == -ENOMEM;
}

static int later_busy(void)
{
	char read[16];
	struct iovec in = buffer_of(read, sizeof(read));

	make();
	need(!queue(0, receive_of(&in)) && !ring_submit(owner.ring));
	refuse(SYS_io_uring_enter, ENOMEM);
	need(!queue(1, sync_entry) && !ring_submit(owner.ring));
	skipped_ns += 100000000000ULL;
	return !ring_submit(owner.ring) && ring_queued(owner.ring) == 1;
}

static int sleep_refused(void)
{
	char read[16];
	struct iovec in = buffer_of(read, sizeof(read));

	make();
	need(!queue(0, receive_of(&in)) && !ring_submit(owner.ring));
	refuse(SYS_io_uring_enter, EPERM);
	return ring_sleep(owner.ring, NULL) == -EPERM;
}

static int sleep_without_memory(void)
{
	char read[16];
	struct iovec in = buffer_of(read, sizeof(read));

	make();
	need(!queue(0, receive_of(&in)) && !ring_submit(owner.ring));
	refuse(SYS_io_uring_enter, ENOMEM);
	need(!ring_sleep(owner.ring, NULL));
	skipped_ns += 4000000000ULL;
	need(!ring_sleep(owner.ring, NULL));
	skipped_ns += 2000000000ULL;
	return ring_sleep(owner.ring, NULL) == -ENOMEM;
}

static void check_refusals(void)
{
	check_apart(no_setup, "a host without io_uring leaves nothing of a ring");
	check_apart(no_enter, "nor does one that lets no ring be used");
	check_apart(no_probe, "nor one that does not say what it knows");
	check_apart(no_operation, "nor one that does not know an operation");
	check_apart(no_thread, "nor one without a thread to spare");
	check_apart(later_refused, "a host that takes no more entries is reported");
	check_apart(later_no_memory, "one that lacks memory, after some seconds");
	check_apart(later_busy, "but not while it has entries that it could complete");
	check_apart(sleep_refused, "a host that refuses to wait for entries is reported");
	check_apart(sleep_without_memory, "and one that lacks memory for that, after seconds");
}

int main(void)
{
	int error;

	alarm(100);
	need((file = memfd_create("ring", MFD_CLOEXEC)) >= 0);
	need(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
	error = try_make(&owner);
	if (error) {
		check_skip("rings", "this host refuses io_uring");
		return check_done();
	}
	release();
	check_file();
	check_socket();
	check_many();
	check_cancel();
	check_news();
	check_alarm();
	check_sleep();
	check_owners();
	check_refusals();
	return check_done();
}
