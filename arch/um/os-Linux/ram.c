// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest RAM: one file without a name, of the whole size but with pages only where something was
 * written or a huge page was asked for, mapped shared and linearly. Also the kernel's other
 * mappings of it.
 *
 * The host may fail to give a page when it is touched: the file system or the memory is full, the
 * file was made smaller, the page is broken. Nothing can be done without it, so whoever finds out
 * ends ./linux with one line (host_ram_lost): a SIGBUS of the kernel process, on whichever thread;
 * a host call that was handed guest RAM and says EFAULT (host_ram_prove); a SIGBUS of guest code,
 * which makes the kernel touch the page itself (TRAP_RAM).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <host/memory.h>
#include <host/process.h>

#include "os.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25	/* Linux 6.1; of /sys/kernel/mm/transparent_hugepage it heeds only shmem_enabled=deny */
#endif

/*
 * A huge page costs about 300 us, 512 small ones a millisecond or more. A host whose memory is in
 * pieces may move pages about for long, in vain even: after an attempt that failed or took so much
 * CPU time some blocks are left out, more each time.
 */
#define SLOW_NS		10000000
#define LEFT_OUT_AT_MOST	63

int host_ram_fd = -1;
unsigned long host_ram_start_size, host_ram_most, host_ram_size;

/*
 * What a kernel needs to come to its prompt, about 7 MiB and 1/57 of its RAM for the descriptions
 * of pages, and a little to live on.
 */
static unsigned long needed_to_boot(unsigned long size)
{
	unsigned long needed = (12UL << 20) + size / 50;

	return needed < size ? needed & ~4095UL : size;
}

static const char *ram_folder;	/* NULL: a memfd */

static unsigned long whole_steps(unsigned long size)
{
	return (size + HOST_RAM_STEP - 1) & -HOST_RAM_STEP;
}

/*
 * @start: mem=, @most: maxmem=. Unused parts of the file and of addresses cost nothing, so memory
 * to come begins at a whole step.
 */
void host_ram_init(unsigned long start, unsigned long most)
{
	unsigned long size = most > start ? whole_steps(start) + whole_steps(most - start) : start;
	struct host_nameless file = {
		.name = "guest-ram", .size = size, .needed = needed_to_boot(start),
	};
	void *at;

	host_ram_fd = host_nameless_make(&file);
	if (host_ram_fd == -EFBIG)
		host_fatal("no place for guest RAM: files may not have %lu MiB; see 'ulimit -f'", size >> 20);
	if (host_ram_fd < 0)
		host_fatal("no place for guest RAM (%s): allow memfd_create, or let TMPDIR name a folder with room for %llu MiB at least, "
			   "where files may be executed and have %lu MiB", file.why, file.needed >> 20, size >> 20);
	ram_folder = file.folder;
	if (ram_folder)
		host_warn("guest RAM is a file in %s (%s)", ram_folder, file.why);
	at = mmap((void *)HOST_RAM_BASE, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, host_ram_fd, 0);
	if (at != (void *)HOST_RAM_BASE)
		host_fatal("mem=: cannot map %lu MiB of guest RAM: %s; a smaller mem= or a larger 'ulimit -v' may help",
			   size >> 20, at == MAP_FAILED ? strerror(errno) : "the address is taken");
	host_ram_start_size = start;
	host_ram_most = most;
	host_ram_size = size;
}

static int is_guest_ram(unsigned long address)
{
	return (address >= HOST_RAM_BASE && address < HOST_RAM_BASE + host_ram_size) ||
	       (address >= HOST_VMALLOC_START && address < HOST_VMALLOC_END) ||
	       (address >= HOST_MEMMAP_START && address < HOST_MEMMAP_END) ||
	       (address >= HOST_MODULES_START && address < HOST_MODULES_END);
}

void host_ram_lost(unsigned long address, int by_hardware)
{
	struct stat file;

	if (by_hardware)
		host_warn("guest RAM is lost: the host reports a memory error at %#lx", address);
	else if (!is_guest_ram(address))
		host_warn("the host has no page for %#lx: it is out of memory, or a file in use was made smaller", address);
	else if (!fstat(host_ram_fd, &file) && (unsigned long)file.st_size < host_ram_size)
		host_warn("guest RAM is lost: somebody made its file smaller, from %lu MiB to %llu", host_ram_size >> 20,
			  (unsigned long long)file.st_size >> 20);
	else if (ram_folder)
		host_warn("guest RAM is lost: no room in %s, where its file of %lu MiB is: make room there, let TMPDIR name a folder that "
			  "has it, allow memfd_create, or give a smaller mem=", ram_folder, host_ram_size >> 20);
	else
		host_warn("guest RAM is lost: the host has no memory for more of its %lu MiB: give a smaller mem=", host_ram_size >> 20);
	host_exit(HOST_RAM_LOST);
}

/*
 * What is there stays as it is, whoever else writes to it. Memory that is not guest RAM is left
 * alone.
 */
void host_ram_prove(const void *start, unsigned long length)
{
	unsigned long address = (unsigned long)start, end = address + length;

	if (address < HOST_RAM_BASE || end > HOST_RAM_BASE + host_ram_size)
		return;
	for (; address < end; address = (address | 4095) + 1)
		__atomic_or_fetch((char *)address, 0, __ATOMIC_RELAXED);
}

int host_kernel_map(unsigned long address, unsigned long length, unsigned long offset, int prot)
{
	void *at = mmap((void *)address, length, prot, MAP_SHARED | MAP_FIXED, host_ram_fd, offset);

	return at == MAP_FAILED ? -errno : 0;
}

int host_kernel_unmap(unsigned long address, unsigned long length)
{
	return munmap((void *)address, length) ? -errno : 0;
}

int host_ram_protect(const void *page)
{
	return mprotect((void *)page, 4096, PROT_READ) ? -errno : 0;
}

void host_ram_unprotect(void *page)
{
	if (mprotect(page, 4096, PROT_READ | PROT_WRITE))
		host_fatal("the host refuses mprotect (%s): allow it, in a container by a seccomp profile that has it", strerror(errno));
}

/*
 * Through a temporary mapping, which is one area. In the linear map, guard pages of stacks divide
 * the block into several; the host then reports success without making a huge page.
 */
static int collapse(unsigned long offset)
{
	char *room = mmap(NULL, 2 * HOST_RAM_BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0), *at;
	int error = 0;

	if (room == MAP_FAILED)
		return -errno;
	at = room + (-(unsigned long)room & (HOST_RAM_BLOCK - 1));
	if (mmap(at, HOST_RAM_BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, host_ram_fd,
		 offset) == MAP_FAILED ||
	    madvise(at, 4096, MADV_POPULATE_WRITE) ||	/* a block without any page is refused */
	    madvise(at, HOST_RAM_BLOCK, MADV_COLLAPSE))
		error = -errno;
	munmap(room, 2 * HOST_RAM_BLOCK);
	return error;
}

/* Blocks to leave out, for all virtual CPUs together: they ask the same host. */
static struct {
	pthread_mutex_t lock;		/* never held during a host call for a huge page */
	unsigned int to_come;		/* before the host is asked again */
	unsigned int after_last;	/* what to_come began with after the last attempt */
} leave_out = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Whether this block is left out. */
static int leave_out_one(void)
{
	int left_out;

	pthread_mutex_lock(&leave_out.lock);
	left_out = leave_out.to_come > 0;
	leave_out.to_come -= left_out;
	pthread_mutex_unlock(&leave_out.lock);
	return left_out;
}

static void leave_out_after(int error, int slow)
{
	unsigned int more;

	pthread_mutex_lock(&leave_out.lock);
	more = leave_out.after_last * 2 + 1;
	if ((error && error != -EAGAIN) || slow)
		leave_out.after_last = more < LEFT_OUT_AT_MOST ? more : LEFT_OUT_AT_MOST;
	else if (!error)
		leave_out.after_last = 0;
	leave_out.to_come = leave_out.after_last;
	pthread_mutex_unlock(&leave_out.lock);
}

int host_ram_make_huge(unsigned long offset)
{
	unsigned long long start;
	int error;

	if (leave_out_one())
		return -EALREADY;
	start = host_thread_ns();
	error = collapse(offset);
	leave_out_after(error, host_thread_ns() - start > SLOW_NS);
	return error;
}

int host_ram_is_hole(unsigned long offset, unsigned long length)
{
	off_t data = lseek(host_ram_fd, offset, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (unsigned long)data >= offset + length;
}

int host_ram_discard(unsigned long offset, unsigned long length)
{
	return fallocate(host_ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) ? -errno : 0;
}
