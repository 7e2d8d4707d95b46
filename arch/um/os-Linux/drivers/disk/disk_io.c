// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers: a pool of them, what one host call does for one, and what its result means. See
 * disk_io.h.
 *
 * A transfer goes on after a short count. It fails when nothing more moves, with -EIO (the file
 * shrank), or with what the host says. So a transfer that ended without error moved every byte.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "os.h"
#include "disk_io.h"

#define POOL_KEEPS 256

static struct pool {
	struct disk_io *first;
	int count;
} pools[HOST_MAX_VCPUS];

struct disk_io *disk_io_new(enum disk_op op, int fd, unsigned long long offset, unsigned long long length, int iovs)
{
	int vcpu = this_vcpu_number();
	struct pool *pool = &pools[vcpu];
	struct disk_io *io = pool->first;

	if (io) {
		pool->first = io->next;
		pool->count--;
	} else {
		io = malloc(sizeof(*io));
		if (!io)
			return NULL;
	}
	io->bounce = NULL;
	io->allocated_iov = iovs > DISK_IO_INLINE ? malloc(iovs * sizeof(*io->iov)) : NULL;
	if (iovs > DISK_IO_INLINE && !io->allocated_iov) {
		disk_io_free(io);
		return NULL;
	}
	io->op = op;
	io->fd = fd;
	io->offset = offset;
	io->length = length;
	io->iov = io->allocated_iov ? io->allocated_iov : io->inline_iov;
	io->iovs = iovs;
	io->vcpu = vcpu;
	io->direct = 0;
	return io;
}

void disk_io_free(struct disk_io *io)
{
	struct pool *pool = &pools[this_vcpu_number()];

	free(io->allocated_iov);
	free(io->bounce);
	if (pool->count >= POOL_KEEPS) {
		free(io);
		return;
	}
	io->next = pool->first;
	pool->first = io;
	pool->count++;
}

void *disk_io_bounce(struct disk_io *io, unsigned long length)
{
	io->bounce = aligned_alloc(4096, (length + 4095) & ~4095UL);
	return io->bounce;
}

static int moves_data(const struct disk_io *io)
{
	return io->op <= DISK_WRITE_DURABLE;
}

/* Leaves in the transfer what is still to be done after bytes have moved. */
static void advance(struct disk_io *io, unsigned long bytes)
{
	io->offset += bytes;
	io->length -= bytes;
	while (bytes >= io->iov->iov_len) {
		bytes -= io->iov->iov_len;
		io->iov++;
		io->iovs--;
	}
	io->iov->iov_base = (char *)io->iov->iov_base + bytes;
	io->iov->iov_len -= bytes;
}

/* The host could not reach the memory: guest RAM that it cannot give ends ./linux here. */
static void prove_memory(const struct disk_io *io)
{
	for (int i = 0; i < io->iovs; i++)
		host_ram_prove(io->iov[i].iov_base, io->iov[i].iov_len);
}

void disk_io_ended(struct disk_io *io, long result)
{
	if (result == -EFAULT && moves_data(io))
		prove_memory(io);
	if (result == -EINTR || result == -EAGAIN) {
		disk_backend->queue(io);
		return;
	}
	if (moves_data(io) && result >= 0 && (unsigned long)result < io->length) {
		if (result > 0) {
			advance(io, result);
			disk_backend->queue(io);
			return;
		}
		result = -EIO;
	}
	io->done(io, result < 0 ? result : 0);
}

int disk_io_mode(const struct disk_io *io)
{
	return FALLOC_FL_KEEP_SIZE | (io->op == DISK_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

long disk_io_perform(const struct disk_io *io, int flags)
{
	long result = -1;

	switch (io->op) {
	case DISK_READ:
		result = preadv2(io->fd, io->iov, io->iovs, io->offset, flags);
		break;
	case DISK_WRITE:
		result = pwritev2(io->fd, io->iov, io->iovs, io->offset, flags);
		break;
	case DISK_WRITE_DURABLE:
		result = pwritev2(io->fd, io->iov, io->iovs, io->offset, flags | RWF_DSYNC);
		break;
	case DISK_SYNC:
		result = fdatasync(io->fd);
		break;
	case DISK_PUNCH:
	case DISK_ZERO:
		result = fallocate(io->fd, disk_io_mode(io), io->offset, io->length);
		break;
	}
	return result < 0 ? -errno : result;
}
