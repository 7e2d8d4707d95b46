// SPDX-License-Identifier: GPL-2.0-only
/*
 * Images that somebody on the host makes larger while they are in use.
 *
 * The host tells by inotify that a file was written or changed in size; which of the two, and by
 * whom, it does not. So an idle guest is not woken, one that writes is told of its own writes, and
 * who takes news asks for the next ones no sooner than he cares for (drivers/ubd_size.c). Where
 * there is no inotify to be had, on block devices and on file systems that others change from
 * elsewhere, sizes are seen when they are asked for.
 *
 * A COW file is as large as the disk that it was made for; what it stands on must not change at
 * all.
 *
 * Runs on the thread of a virtual CPU.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <host/irq.h>
#include <host/vcpu.h>

#include "os.h"
#include "disk_cow.h"

static int notify = -1;

unsigned long long host_disk_size(const struct host_disk *disk)
{
	return disk->cow ? 0 : disk_file_size(&disk->file);
}

void host_disk_notify(const struct host_disk *disk)
{
	char path[32];

	if (disk->cow)
		return;
	if (notify < 0)
		notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk->file.fd);
	if (notify >= 0)
		inotify_add_watch(notify, path, IN_MODIFY);
}

void host_disk_watch_sizes(void)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	if (notify < 0)
		return;
	while (read(notify, events, sizeof(events)) > 0)
		;
	host_watch(notify, 0, HOST_IRQ_DISK_SIZE);
}
