// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest RAM: one file without a name, of the whole size but with pages only where something was written or a huge page
 * was asked for, mapped shared and linearly. Also the kernel's other mappings of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
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
 * A huge page costs some 300 us, 512 small ones a millisecond or more. A host whose memory is in pieces may move pages about for long, in vain even:
 * after an attempt that failed or took so much CPU time some blocks are left out, more each time.
 */
#define SLOW_NS		10000000
#define LEFT_OUT_AT_MOST	63

int host_ram_fd = -1;
unsigned long host_ram_size;

void host_ram_init(unsigned long size)
{
	void *at;

	host_ram_fd = host_nameless_file("guest-ram", size);
	if (host_ram_fd == -EFBIG)
		host_fatal("no place for guest RAM: files may not have %lu MiB; see 'ulimit -f'", size >> 20);
	if (host_ram_fd < 0)
		host_fatal("no place for guest RAM: %s; memfd_create is refused, and none of TMPDIR, /dev/shm and /tmp takes a file "
			   "of %lu MiB that may be executed", strerror(-host_ram_fd), size >> 20);
	at = mmap((void *)HOST_RAM_BASE, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, host_ram_fd, 0);
	if (at != (void *)HOST_RAM_BASE)
		host_fatal("mem=: cannot map %lu MiB of guest RAM: %s; a smaller mem= or a larger 'ulimit -v' may help",
			   size >> 20, at == MAP_FAILED ? strerror(errno) : "the address is taken");
	host_ram_size = size;
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

int host_ram_make_huge(unsigned long offset)
{
	static unsigned int to_leave_out, left_out;
	char *at = (char *)HOST_RAM_BASE + offset;
	unsigned long long start;
	int error;

	if (to_leave_out) {
		to_leave_out--;
		return -EALREADY;
	}
	start = host_thread_ns();
	/* A block without any page is refused. */
	error = madvise(at, 4096, MADV_POPULATE_WRITE) || madvise(at, HOST_RAM_BLOCK, MADV_COLLAPSE) ? -errno : 0;
	if ((error && error != -EAGAIN) || host_thread_ns() - start > SLOW_NS)
		left_out = left_out < LEFT_OUT_AT_MOST ? left_out * 2 + 1 : LEFT_OUT_AT_MOST;
	else if (!error)
		left_out = 0;
	to_leave_out = left_out;
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
