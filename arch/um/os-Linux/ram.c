// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest RAM: one file without a name, of the whole size but with pages only where the guest has written, mapped
 * shared and linearly. Also the kernel's other mappings of it.
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
	madvise(at, size, MADV_HUGEPAGE);
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

int host_ram_is_hole(unsigned long offset, unsigned long length)
{
	off_t data = lseek(host_ram_fd, offset, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (unsigned long)data >= offset + length;
}

int host_ram_discard(unsigned long offset, unsigned long length)
{
	return fallocate(host_ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) ? -errno : 0;
}
