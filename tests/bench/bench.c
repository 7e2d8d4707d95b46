// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a program pays the kernel for: usage: bench [<tiny program> [<folder for a file>]].
 *
 * Prints one line a measurement, `<name> <nanoseconds an operation>`, the median of five rounds.
 * The same program runs natively and in the guest; tests/bench/run puts the two side by side.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5
#define PAGE 4096UL

static const char *tiny = "./tiny", *folder = "/tmp";

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Each returns the nanoseconds of one operation. */

static double getppids(void)
{
	const int count = 50000;
	double start = now();

	for (int i = 0; i < count; i++)
		syscall(SYS_getppid);
	return (now() - start) / count;
}

static double clock_gettimes(void)
{
	const int count = 50000;
	struct timespec t;
	double start = now();

	for (int i = 0; i < count; i++)
		clock_gettime(CLOCK_MONOTONIC, &t);
	return (now() - start) / count;
}

static int file_of(size_t bytes)
{
	static char block[1 << 16] = { 1 };
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/bench-XXXXXX", folder);
	fd = mkstemp(path);
	if (fd < 0)
		fail(path);
	unlink(path);
	for (size_t done = 0; done < bytes; done += sizeof(block))
		if (write(fd, block, sizeof(block)) != sizeof(block))
			fail("write");
	return fd;
}

static double preads(void)
{
	const int count = 50000;
	int fd = file_of(1 << 16);
	char byte;
	double start = now();

	for (int i = 0; i < count; i++)
		if (pread(fd, &byte, 1, 100) != 1)
			fail("pread");
	start = now() - start;
	close(fd);
	return start / count;
}

/* advice: an madvise that only some kernels know, or MADV_NORMAL. */
static double touch(size_t bytes, int advice)
{
	const size_t pages = bytes / PAGE;
	volatile char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double start;

	if (at == MAP_FAILED)
		fail("mmap");
	madvise((void *)at, pages * PAGE, advice);
	start = now();
	for (size_t i = 0; i < pages; i++)
		at[i * PAGE] = 1;
	start = now() - start;
	munmap((void *)at, pages * PAGE);
	return start / pages;
}

static double touch_pages(void)
{
	return touch(64 << 20, MADV_NORMAL);
}

static double touch_small_pages(void)
{
	return touch(64 << 20, MADV_NOHUGEPAGE);
}

static double fault_file(void)
{
	const size_t pages = 16 << 20 >> 12;
	int fd = file_of(pages * PAGE);
	volatile char *at = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	double start = now();

	if (at == MAP_FAILED)
		fail("mmap");
	for (size_t i = 0; i < pages; i++)
		(void)at[i * PAGE];
	start = now() - start;
	munmap((void *)at, pages * PAGE);
	close(fd);
	return start / pages;
}

static double forks(void)
{
	const int count = 100;
	double start = now();

	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			fail("fork");
	}
	return (now() - start) / count;
}

static double execs(void)
{
	const int count = 100;
	double start = now();

	for (int i = 0; i < count; i++) {
		pid_t child = fork();
		int status;

		if (!child) {
			execl(tiny, "tiny", NULL);
			_exit(127);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			fail(tiny);
	}
	return (now() - start) / count;
}

static double pipes(void)
{
	const int count = 2000;
	int there[2], back[2];
	char byte = 0;
	pid_t child;
	double start;

	if (pipe(there) || pipe(back))
		fail("pipe");
	child = fork();
	if (!child) {
		while (read(there[0], &byte, 1) == 1 && byte == 0)
			if (write(back[1], &byte, 1) != 1)
				break;
		_exit(0);
	}
	start = now();
	for (int i = 0; i < count; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			fail("pipe");
	start = now() - start;
	byte = 1;
	if (write(there[1], &byte, 1) != 1)
		fail("pipe");
	waitpid(child, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
	return start / count;
}

static const struct { const char *name; double (*measure)(void); } table[] = {
	{ "getppid", getppids },
	{ "clock_gettime", clock_gettimes },
	{ "pread_1_byte", preads },
	{ "touch_page", touch_pages },
	{ "touch_small_page", touch_small_pages },
	{ "fault_file_page", fault_file },
	{ "fork_exit_wait", forks },
	{ "fork_exec_wait", execs },
	{ "pipe_round_trip", pipes },
};

static int by_value(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		tiny = argv[1];
	if (argc > 2)
		folder = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	/*
	 * Guest RAM is the host's memory once it was touched; most of the guest's is to be that
	 * before anything is measured.
	 */
	touch(384 << 20, MADV_NORMAL);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		double took[ROUNDS];

		for (int round = 0; round < ROUNDS; round++)
			took[round] = table[i].measure();
		qsort(took, ROUNDS, sizeof(took[0]), by_value);
		printf("%s %.1f\n", table[i].name, took[ROUNDS / 2]);
	}
	return 0;
}
