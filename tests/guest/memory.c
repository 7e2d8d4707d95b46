// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory as a program expects it. In the guest every mapping is a cache of the guest's page
 * tables, so the tests go after what a stale cache would show: a page that is still there after
 * munmap, still writable after mprotect, still shared after a copy on write, still the old one
 * after a remap; and the same when the kernel is the one that writes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "check.h"

#define PAGE 4096UL

static sigjmp_buf back;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void faulted(int sig, siginfo_t *info, void *context)
{
	fault_signal = sig;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(back, 1);
}

/* The signal that @action raises, 0 if none. */
#define FAULT_OF(action)                       \
	({                                     \
		fault_signal = fault_code = 0; \
		if (!sigsetjmp(back, 1)) {     \
			action;                \
		}                              \
		fault_signal;                  \
	})

static volatile char *anonymous(size_t pages, int protection)
{
	void *at = mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);

	need(at != MAP_FAILED);
	return at;
}

static int memory_file(size_t pages)
{
	int fd = memfd_create("test", 0);

	need(fd >= 0 && ftruncate(fd, pages * PAGE) == 0);
	return fd;
}

static volatile char *shared(int fd, size_t pages, off_t first)
{
	void *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, first * PAGE);

	need(at != MAP_FAILED);
	return at;
}

static void protections(void)
{
	volatile char *at = anonymous(4, PROT_READ | PROT_WRITE);

	at[0] = 1;
	at[PAGE] = 2;
	mprotect((void *)at, PAGE, PROT_READ);
	check(FAULT_OF(at[0] = 9) == SIGSEGV && fault_code == SEGV_ACCERR && at[0] == 1,
	      "a page made read-only cannot be written any more");
	mprotect((void *)at, PAGE, PROT_NONE);
	check(FAULT_OF((void)at[0]) == SIGSEGV && fault_code == SEGV_ACCERR,
	      "a page made PROT_NONE cannot be read any more");
	mprotect((void *)at, PAGE, PROT_READ | PROT_WRITE);
	check(at[0] == 1 && FAULT_OF(at[0] = 3) == 0 && at[0] == 3,
	      "made writable again it holds what it held");
	munmap((void *)at, PAGE);
	check(FAULT_OF((void)at[0]) == SIGSEGV && fault_code == SEGV_MAPERR && at[PAGE] == 2,
	      "an unmapped page is gone, its neighbour is not");
	madvise((void *)(at + PAGE), PAGE, MADV_DONTNEED);
	check(at[PAGE] == 0, "a page that is not needed reads as zeros");
	at[2 * PAGE] = 5;
	need(mmap((void *)(at + 2 * PAGE), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		  -1, 0) != MAP_FAILED);
	check(at[2 * PAGE] == 0, "a mapping put over a page replaces it");
	munmap((void *)at, 4 * PAGE);
}

static void copies(void)
{
	volatile char *at = anonymous(3, PROT_READ | PROT_WRITE);
	volatile char *common =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, pipes[2];
	pid_t child;
	char go;

	at[0] = 1;
	at[PAGE] = 1;
	common[0] = 1;
	need(pipe(pipes) == 0);
	child = fork();
	if (!child) {
		at[0] = 2;
		common[0] = 2;
		need(read(pipes[0], &go, 1) == 1);
		_exit(at[0] == 2 && at[PAGE] == 1 && common[0] == 3 ? 0 : 1);
	}
	while (common[0] == 1)
		usleep(100);
	check(at[0] == 1, "what a child writes after fork stays in the child");
	check(common[0] == 2, "what it writes to shared memory does not");
	at[PAGE] = 7;
	common[0] = 3;
	need(write(pipes[1], "g", 1) == 1);
	waitpid(child, &status, 0);
	check(status == 0, "what the parent writes after fork stays in the parent");
	check(at[0] == 1 && at[PAGE] == 7, "and the parent has it");

	/* The zero page is read first, then written: both must see their own. */
	check(at[2 * PAGE] == 0, "fresh memory reads as zeros");
	at[2 * PAGE] = 4;
	check(anonymous(1, PROT_READ)[0] == 0 && at[2 * PAGE] == 4,
	      "writing it does not show in other fresh memory");
	close(pipes[0]);
	close(pipes[1]);
}

static void files(void)
{
	int fd = memory_file(4);
	volatile char *one = shared(fd, 4, 0), *other = shared(fd, 2, 1), *own;
	char byte;
	void *moved;

	one[PAGE] = 11;
	check(other[0] == 11, "two shared mappings of a file are the same memory");
	other[1] = 12;
	need(pread(fd, &byte, 1, PAGE + 1) == 1);
	check(byte == 12, "read sees what a mapping wrote");
	need(pwrite(fd, "z", 1, PAGE + 2) == 1);
	check(one[PAGE + 2] == 'z' && other[2] == 'z', "mappings see what write wrote");

	own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
	need(own != MAP_FAILED);
	check(own[0] == 11, "a private mapping shows the file");
	one[PAGE] = 21;
	check(own[0] == 21, "and follows it until it is written");
	own[1] = 99;
	one[PAGE] = 31;
	check(own[0] == 21 && one[PAGE + 1] == 12 && own[1] == 99, "then it is a copy");

	one[3 * PAGE] = 1;
	need(ftruncate(fd, 2 * PAGE) == 0);
	check(FAULT_OF((void)one[3 * PAGE]) == SIGBUS && fault_code == BUS_ADRERR &&
		      fault_address == one + 3 * PAGE,
	      "a page that truncation took away gives SIGBUS");
	need(ftruncate(fd, 4 * PAGE) == 0);
	check(one[3 * PAGE] == 0, "after growing the file again it reads as zeros");
	need(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE) == 0);
	check(one[PAGE] == 0 && other[0] == 0,
	      "a hole punched into the file shows in its mappings");

	one[0] = 41;
	moved = mremap((void *)one, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       (void *)anonymous(1, PROT_NONE));
	need(moved != MAP_FAILED);
	check(*(volatile char *)moved == 41 && FAULT_OF((void)one[0]) == SIGSEGV,
	      "a moved mapping is in its new place only");
	close(fd);
}

static void remaps(void)
{
	volatile char *at = anonymous(64, PROT_READ | PROT_WRITE), *grown;
	int good = 1;

	for (int i = 0; i < 64; i++)
		at[i * PAGE] = i + 1;
	grown = mremap((void *)at, 64 * PAGE, 4096 * PAGE, MREMAP_MAYMOVE);
	need(grown != MAP_FAILED);
	for (int i = 0; i < 64; i++)
		good &= grown[i * PAGE] == i + 1;
	check(good && grown[4095 * PAGE] == 0, "a mapping that grows keeps its contents");
	need(mremap((void *)grown, 4096 * PAGE, 2 * PAGE, 0) == grown);
	check(grown[PAGE] == 2 && FAULT_OF((void)grown[2 * PAGE]) == SIGSEGV,
	      "one that shrinks loses its end");
	at = mremap((void *)grown, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	if (at == MAP_FAILED)
		check_skip("with MREMAP_DONTUNMAP the old place reads as zeros", strerror(errno));
	else
		check(at[0] == 1 && grown[0] == 0,
		      "with MREMAP_DONTUNMAP the old place reads as zeros");
}

static int return_code(volatile unsigned char *at, int value)
{
	at[0] = 0xb8;			/* mov $value, %eax; ret */
	at[1] = value;
	at[2] = at[3] = at[4] = 0;
	at[5] = 0xc3;
	__sync_synchronize();
	return ((int (*)(void))at)();
}

static void code(void)
{
	volatile unsigned char *at = (void *)anonymous(2, PROT_READ | PROT_WRITE | PROT_EXEC),
			       *only;
	int good = 1, fd = memory_file(1);
	volatile unsigned char *writable = (void *)shared(fd, 1, 0);
	void *executable = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

	for (int i = 0; i < 100; i++)
		good &= return_code(at, i) == i;
	check(good, "code that is rewritten in place runs as rewritten");
	need(executable != MAP_FAILED);
	for (int i = 0; i < 100; i++) {
		return_code(at, i);
		memcpy((void *)writable, (void *)at, 6);
		good &= ((int (*)(void))executable)() == i;
	}
	check(good, "code written through another mapping runs as written");
	mprotect((void *)at, PAGE, PROT_READ | PROT_WRITE);
	check(FAULT_OF(((int (*)(void))at)()) == SIGSEGV && fault_address == at,
	      "code in a page that lost PROT_EXEC does not run");
	mprotect((void *)at, PAGE, PROT_READ | PROT_EXEC);
	check(((int (*)(void))at)() == 99, "and runs again when it has it back");
	only = at + PAGE;
	return_code(only, 5);
	mprotect((void *)only, PAGE, PROT_EXEC);
	check(((int (*)(void))only)() == 5, "execute-only code runs");
	check(FAULT_OF(only[0] = 1) == SIGSEGV, "and cannot be written");
	close(fd);
}

/* A stack mapping grows downwards when touched below, and only then. */
static void growing(void)
{
	volatile char *area = anonymous(1024, PROT_NONE), *top;

	munmap((void *)area, 1024 * PAGE);
	top = mmap((void *)(area + 1000 * PAGE), PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	need(top != MAP_FAILED);
	top[0] = 1;
	check(FAULT_OF(top[-1] = 2; top[-PAGE * 5] = 3) == 0 && top[-1] == 2 &&
		      top[-PAGE * 5] == 3 && top[0] == 1,
	      "a MAP_GROWSDOWN mapping grows downwards");
	munmap((void *)(top - 900 * PAGE), 901 * PAGE);
}

static __attribute__((noinline)) long use_stack(long depth)
{
	volatile char frame[2048];

	frame[0] = depth;
	return depth ? use_stack(depth - 1) + frame[0] - (char)depth : 0;
}

/* The kernel's own access to user memory. */
static void by_the_kernel(void)
{
	volatile char *at = anonymous(4, PROT_READ | PROT_WRITE);
	int pipes[2], fd = memory_file(1), status;
	char buffer[16] = "0123456789abcde";
	pid_t child;

	need(pipe(pipes) == 0);
	munmap((void *)(at + 3 * PAGE), PAGE);
	check(write(pipes[1], (void *)(at + 3 * PAGE), 1) == -1 && errno == EFAULT,
	      "write from an unmapped page gives EFAULT");
	need(write(pipes[1], buffer, 10) == 10);
	at[0] = 1;
	mprotect((void *)at, PAGE, PROT_READ);
	check(read(pipes[0], (void *)at, 1) == -1 && errno == EFAULT && at[0] == 1,
	      "read into a read-only page gives EFAULT");
	check(read(pipes[0], (void *)(at + PAGE), 5) == 5 && at[PAGE] == '0',
	      "read into a page never touched works");
	at[2 * PAGE] = 1;
	child = fork();
	if (!child) {
		need(read(pipes[0], (void *)(at + 2 * PAGE), 1) == 1);
		_exit(at[2 * PAGE] == '5' ? 0 : 1);
	}
	waitpid(child, &status, 0);
	check(status == 0 && at[2 * PAGE] == 1, "read into a page shared by fork copies it first");
	need(pwrite(fd, "abcdef", 6, 0) == 6);
	check(pread(fd, (void *)(at + 3 * PAGE - 3), 6, 0) == 3 && at[3 * PAGE - 1] == 'c',
	      "read that runs into a hole is short");
	check(syscall(SYS_getcwd, (void *)0xffff800000000000, 100) == -1 && errno == EFAULT,
	      "a kernel address gives EFAULT");
	check(syscall(SYS_write, 1, (void *)0x7ffffffff000, 100) == -1 && errno == EFAULT,
	      "the first address beyond user space gives EFAULT");
	close(fd);
}

static void other_process(void)
{
	volatile char *at = anonymous(2, PROT_READ | PROT_WRITE);
	char here[16] = "", text[64];
	struct iovec local = { here, 6 }, remote = { (void *)(at + PAGE - 3), 6 };
	int pipes[2], status, memory;
	pid_t child;
	char go;

	need(pipe(pipes) == 0);
	memcpy((void *)(at + PAGE - 3), "abcdef", 6);
	child = fork();
	if (!child) {
		memcpy((void *)(at + PAGE - 3), "ABCDEF", 6);
		kill(getpid(), SIGSTOP);
		need(read(pipes[0], &go, 1) == 1);
		_exit(memcmp((void *)(at + PAGE - 3), "xyzDEF", 6) == 0 && at[0] == 'm' ? 0 : 1);
	}
	waitpid(child, &status, WUNTRACED);
	check(process_vm_readv(child, &local, 1, &remote, 1, 0) == 6 && !memcmp(here, "ABCDEF", 6),
	      "process_vm_readv reads another process's copy");
	local = (struct iovec){ "xyz", 3 };
	check(process_vm_writev(child, &local, 1, &remote, 1, 0) == 3,
	      "process_vm_writev writes it");
	check(at[PAGE - 3] == 'a', "and not ours");
	snprintf(text, sizeof(text), "/proc/%d/mem", child);
	memory = open(text, O_RDWR);
	check(memory >= 0 && pwrite(memory, "m", 1, (off_t)at) == 1,
	      "/proc/<pid>/mem writes another process's memory");
	kill(child, SIGCONT);
	need(write(pipes[1], "g", 1) == 1);
	waitpid(child, &status, 0);
	check_equal(status, 0, "the other process sees what was written");
}

static volatile int uffd_faults;

static void *serve_faults(void *argument)
{
	int uffd = (int)(long)argument;
	static char content[PAGE] __attribute__((aligned(PAGE)));
	struct uffd_msg message;

	while (read(uffd, &message, sizeof(message)) == sizeof(message)) {
		struct uffdio_copy copy = { .dst = message.arg.pagefault.address & ~(PAGE - 1),
					    .src = (unsigned long)content,
					    .len = PAGE };

		uffd_faults++;
		memset(content, 'A' + (copy.dst / PAGE) % 26, PAGE);
		if (ioctl(uffd, UFFDIO_COPY, &copy))
			break;
	}
	return NULL;
}

static void user_faults(void)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = { .api = UFFD_API };
	volatile char *at = anonymous(16, PROT_READ | PROT_WRITE);
	struct uffdio_register range = { { (unsigned long)at, 16 * PAGE },
					 UFFDIO_REGISTER_MODE_MISSING,
					 0 };
	pthread_t server;
	int good = 1;

	if (uffd < 0) {
		check_skip("userfaultfd supplies missing pages", strerror(errno));
		return;
	}
	need(ioctl(uffd, UFFDIO_API, &api) == 0 && ioctl(uffd, UFFDIO_REGISTER, &range) == 0);
	need(pthread_create(&server, NULL, serve_faults, (void *)(long)uffd) == 0);
	for (int i = 15; i >= 0; i--)
		good &= at[i * PAGE + 7] == (char)('A' + ((unsigned long)at / PAGE + i) % 26);
	check(good && uffd_faults == 16, "userfaultfd supplies missing pages");
	pthread_cancel(server);
	pthread_join(server, NULL);
	close(uffd);
}

static void *touch(void *argument)
{
	volatile char *at = argument;

	for (int round = 0; round < 50; round++)
		for (int i = 0; i < 64; i++)
			(void)at[i * PAGE];
	return NULL;
}

/* One thread takes pages away and puts them back while others read them: no stale page may show. */
static void races(void)
{
	volatile char *at = anonymous(64, PROT_READ | PROT_WRITE);
	pthread_t threads[3];
	int good = 1;

	for (int i = 0; i < 3; i++)
		need(pthread_create(&threads[i], NULL, touch, (void *)at) == 0);
	for (int round = 0; round < 200; round++) {
		int page = round % 64;

		at[page * PAGE] = 1;
		madvise((void *)(at + page * PAGE), PAGE, MADV_DONTNEED);
		good &= at[page * PAGE] == 0;
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	check(good, "pages dropped under running threads read as zeros");
}

static void many_areas(void)
{
	const long areas = 60000;
	volatile char *at = anonymous(areas, PROT_READ | PROT_WRITE);
	long made, bad = 0;

	for (made = 0; made < areas; made += 2) {
		at[made * PAGE] = made % 100;
		if (mprotect((void *)(at + made * PAGE), PAGE, PROT_READ))
			break;
	}
	for (long i = 0; i < made; i += 2)
		bad += at[i * PAGE] != i % 100;
	say("# %ld pages with a protection of their own\n", made / 2);
	check(made > 50000 && !bad, "a process may have tens of thousands of areas");
	check(FAULT_OF(at[0] = 1) == SIGSEGV && FAULT_OF(at[PAGE] = 1) == 0,
	      "and each has its own protection");
	munmap((void *)at, areas * PAGE);
}

/* Pages that held something else, and were never a program's, are zero when they become one's. */
static void used_before(void)
{
	const size_t written = 32768, mapped = 49152;
	char other[PAGE];
	size_t bad = 0;

	memset(other, 0xa5, PAGE);
	for (int round = 0; round < 2; round++) {
		int fd = memory_file(written);
		volatile char *at;

		for (size_t i = 0; i < written; i++)
			need(write(fd, other, PAGE) == (long)PAGE);
		close(fd);
		at = anonymous(mapped, PROT_READ | PROT_WRITE);
		if (round)
			madvise((void *)at, mapped * PAGE, MADV_NOHUGEPAGE);
		for (size_t i = 0; i < mapped; i++) {
			at[i * PAGE + 1] = 1;
			bad += at[i * PAGE] || at[i * PAGE + PAGE - 1];
		}
		munmap((void *)at, mapped * PAGE);
	}
	check_equal(bad, 0, "memory that held a file before is zero");
}

static void wide(void)
{
	static const unsigned long places[] = { 0x10000, 0x100000000, 0x7f0000000000 >> 3,
						0x700000000000, 0x7ffffff00000 };
	int good = 1;

	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		volatile long *at = mmap((void *)places[i], PAGE, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (at == MAP_FAILED || at != (void *)places[i] ||
		    (*at = places[i], *at != (long)places[i])) {
			say("# nothing can be mapped at %#lx: %s\n", places[i], strerror(errno));
			/*
			 * The top is where the guest's own pages of the port may lie: report, but
			 * only below it is a must.
			 */
			good &= i == 4;
		}
	}
	check(good, "mappings at both ends of the address space work");
	check(mmap((void *)0x7ffffffff000, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) == MAP_FAILED,
	      "nothing can be mapped beyond it");
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = faulted, .sa_flags = SA_SIGINFO };
	struct rlimit stack = { 64 << 20, 64 << 20 };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	protections();
	copies();
	files();
	remaps();
	code();
	growing();
	setrlimit(RLIMIT_STACK, &stack);
	check_equal(use_stack(20000), 0, "a stack of 40 MiB grows as it is used");
	by_the_kernel();
	other_process();
	user_faults();
	races();
	many_areas();
	used_before();
	wide();
	return check_done();
}
