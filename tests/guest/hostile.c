// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest program inside the seccomp engine's stub (docs/security/model.md, G1 to G3):
 * jumps to any byte of its code, writes to its pages, reads beyond them, changes of mappings.
 * hostile_calls.c jumps to its system calls, hostile_frames.c forges frames and traps.
 *
 *	hostile <base> <path of the host> <process id of the host> [<seconds>]
 */
#include "hostile.h"

/* ---- 1. jumps to anywhere ---- */

static unsigned long seed = 88172645463325252UL;

static unsigned long next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

/* Small numbers, addresses of the stub and of its own memory, nonsense. */
static unsigned long nasty(void)
{
	static unsigned char own[PAGE];

	switch (next() % 5) {
	case 0:
		return next() % 16;
	case 1:
		return (unsigned long)stub.code + next() % (stub.end - (unsigned long)stub.code);
	case 2:
		return (unsigned long)own + next() % PAGE;
	case 3:
		return stub.control->frame;
	default:
		return next();
	}
}

static void jump_anywhere(long seeds)
{
	struct registers registers;
	unsigned long *word = (unsigned long *)&registers;

	seed += seeds * 0x9e3779b97f4a7c15UL;
	if (setresuid(65534, 65534, 65534))
		_exit(1);
	for (unsigned int i = 0; i < sizeof(registers) / sizeof(*word); i++)
		word[i] = nasty();
	registers.flags = FLAGS | (next() & 0x40dd5);
	/*
	 * The guest's calls that this makes must harm nobody: most of the time none of its own
	 * choice.
	 */
	registers.ax = next() % 2 ? SYS_getpid : SYS_rt_sigreturn;
	jump((unsigned long)stub.code +
		     next() % ((unsigned long)stub.control - (unsigned long)stub.code),
	     &registers);
}

static void jump_randomly(int count)
{
	int ended = 0;

	for (int i = 0; i < count; i++) {
		int status = finish(begin(jump_anywhere, i), 20);

		ended += status != ENDLESS;
	}
	say("# %d of %d ended by themselves\n", ended, count);
	check_innocent(
		"an innocent process goes on while others jump to random bytes of the stub with random registers",
		GAP_LIMIT_US);
}

/* ---- 2. memory ---- */

static void write_pages(long unused)
{
	take_signals();
	shared->result[0] = can_write((unsigned long)stub.code) +
			    can_write((unsigned long)stub.control) +
			    can_write((unsigned long)stub.control + PAGE - 1);
	shared->result[1] = 0;
	for (unsigned long at = (unsigned long)stub.code - 256 * PAGE; at < stub.end + 256 * PAGE;
	     at += PAGE)
		if (at < (unsigned long)stub.code || at >= stub.end)
			shared->result[1] += can_read(at);
	/*
	 * The image, modules, RAM and vmalloc space of ./linux (host/memory.h), and where programs
	 * usually are.
	 */
	for (unsigned long at = 0x20000000; at < 0x70000000; at += 1024 * PAGE)
		shared->result[1] += can_read(at);
	for (unsigned long at = 0x100000000000; at < 0x300000000000; at += 0x4000000000 - PAGE)
		shared->result[1] += can_read(at);
	for (unsigned long at = 0x7ffffffff000; at > 0x7ffff0000000; at -= 256 * PAGE)
		shared->result[1] += can_read(at);
	for (int i = 0; i < 64; i++)
		shared->result[1] += can_read(-1UL << (i > 47 ? 47 : i) | 0xfff) && i > 36;
	_exit(LANDED);
}

static void scribble_everything(long value)
{
	memset((void *)stub.state, value, stub.end - (unsigned long)stub.state);
	for (int i = 0; i < 100; i++)
		getppid();
	memset((void *)stub.state, ~value, stub.end - (unsigned long)stub.state);
	raise(SIGSEGV);
}

static void change_stub(long unused)
{
	const unsigned long first = (unsigned long)stub.code - PAGE, size = stub.end - first + PAGE;
	int changed = 0;

	take_signals();
	for (unsigned long at = first; at < first + size; at += PAGE) {
		void *page = (void *)at;

		changed += mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
		changed += munmap(page, PAGE) == 0;
		changed += mremap(page, PAGE, PAGE, MREMAP_MAYMOVE) != MAP_FAILED;
		changed += madvise(page, PAGE, MADV_DONTNEED) == 0;
		changed += mmap(page, PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
	}
	changed += mmap((void *)first, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			0) != MAP_FAILED;
	shared->result[0] = changed;
	shared->result[1] = can_read((unsigned long)stub.code) &&
			    !can_write((unsigned long)stub.control);
	_exit(LANDED);
}

/*
 * A stack that grows towards the stub from above cannot be; from below it ends at the end of user
 * space.
 */
static void grow_down(long unused)
{
	volatile unsigned long top = (unsigned long)stub.code;
	char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);

	take_signals();
	shared->result[0] = mmap((void *)(stub.end + PAGE), PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1,
				 0) != MAP_FAILED;
	/* Stack pointers at every edge of the stub's pages. */
	for (; at != MAP_FAILED && top <= stub.end; top += PAGE)
		FAULT_OF(asm volatile(
			"mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tpush $1\n\tmov %%rbx, %%rsp"
			:
			: "r"(top)
			: "rbx", "memory"));
	_exit(LANDED);
}

static void unmap_all(long unused)
{
	for (unsigned long length = 1UL << 46; length; length >>= 1)
		syscall(SYS_munmap, 0, length);
	for (unsigned long at = 0; at < 0x7fff00000000; at += 1UL << 32)
		syscall(SYS_munmap, at, 1UL << 32);
}

static void memory(void)
{
	int status;

	check_equal(attack(write_pages, 0), LANDED << 8,
		    "a process looks for memory that is not its own");
	check(!shared->result[0], "the stub's code and its control page cannot be written");
	check(!shared->result[1],
	      "nothing but the stub's own pages can be read around it or at the host's addresses");
	for (int value = 0; value < 256; value += 0x33)
		check(attack(scribble_everything, value) != ENDLESS,
		      "a process that fills the stub's state and signal stack harms itself at most");
	check_equal(attack(change_stub, 0), LANDED << 8,
		    "a process tries to map, unmap, move and protect the stub's pages");
	check(!shared->result[0] && shared->result[1], "and changes nothing");
	status = attack(grow_down, 0);
	check(status == LANDED << 8 && !shared->result[0], "no stack grows into the stub");
	check(died_of(attack(unmap_all, 0), SIGSEGV),
	      "a process that unmaps all of its address space dies, and only it");
	check_innocent("an innocent process goes on meanwhile", GAP_LIMIT_US);
}

/* ---- 3. areas of the host ---- */

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#define AREAS 70000UL			/* more than the host gives a process */

/*
 * Each page of it that was read is the page of zeros: an area of its own on the host, and no
 * memory.
 */
static void exhaust(long unused)
{
	volatile char *at = mmap(NULL, AREAS * PAGE, PROT_READ,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned long sum = 0;

	if (at == MAP_FAILED || madvise((void *)at, AREAS * PAGE, MADV_NOHUGEPAGE) ||
	    madvise((void *)at, AREAS * PAGE, MADV_POPULATE_READ))
		_exit(1);
	for (unsigned long i = 0; i < AREAS; i++)
		sum += at[i * PAGE];
	_exit(sum ? 2 : LANDED);
}

static void areas(int count)
{
	pid_t children[2];
	int done = 0;

	/* hostile-guest.t looks at no mappings from here on, so many are they */
	say("# areas\n");
	for (int i = 0; i < count; i++)
		children[i] = begin(exhaust, 0);
	for (int i = 0; i < count; i++)
		done += finish(children[i], 300000) == LANDED << 8;
	check_equal(done, count, "a process that uses up the host's areas finishes");
	check_innocent("an innocent process maps memory meanwhile", 10 * GAP_LIMIT_US);
}

int main(int argc, char **argv)
{
	int status, seconds = argc > 4 ? atoi(argv[4]) : 0;
	pid_t innocent;

	if (argc < 4) {
		check_skip("attacks on the seccomp engine's stub", "there is none here");
		return check_done();
	}
	if (!find_stub(argv[1])) {
		check(0, "the stub is where stub_base= puts it");
		return check_done();
	}
	innocent = start_innocent();
	jump_randomly(seconds ? seconds * 20 : 60);
	memory();
	areas(seconds ? 2 : 1);
	shared->stop = 1;
	waitpid(innocent, &status, 0);
	check_equal(status, 0, "the innocent process finishes its work");
	return check_done();
}
