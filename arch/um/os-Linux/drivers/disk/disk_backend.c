// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which backend carries out the transfers of disks: io_uring where the host has it, else threads.
 * Chosen with the first disk.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <host/disk.h>
#include <host/process.h>

#include "os.h"
#include "disk_backend.h"
#include "disk_io.h"

const struct disk_backend *disk_backend;
static char description[160];

const char *host_disk_backend(void)
{
	return description;
}

void host_disk_backend_start(void)
{
	int error;

	if (disk_backend)
		return;
	/* A write beyond the limit of file sizes is to fail, not to end ./linux. */
	signal(SIGXFSZ, SIG_IGN);
	error = disk_uring.start();
	if (!error) {
		disk_backend = &disk_uring;
		snprintf(description, sizeof(description), "io_uring");
		return;
	}
	snprintf(description, sizeof(description), "threads (the host refuses io_uring: %s)", strerror(-error));
	error = disk_threads.start();
	if (error)
		host_fatal("the host refuses a thread for disks (%s): %s", strerror(-error), host_thread_advice(error));
	disk_backend = &disk_threads;
}

int host_disk_look(const unsigned long *stop)
{
	return disk_backend && disk_backend->look && host_several_cpus() ? disk_backend->look(stop) : 0;
}

int host_disk_idle(const sigset_t *mask)
{
	return disk_backend ? disk_backend->wait(mask) : 0;
}
