// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks that become larger on the host: a line in the log, the capacity, and the event RESIZE=1, by which programs in the guest learn of it.
 * Partitions stay as they are. One that becomes smaller keeps its size here, and what is missing gives I/O errors.
 *
 * Sizes are looked at when the host says that there is something to see, which it says of our own writes too: so at most once a second; and, for
 * where the host says nothing, when the guest flushes. The work runs on one thread at a time; what it changes is the block layer's.
 */
#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include <host/irq.h>
#include <host/vcpu.h>

#include "ubd.h"

static void ubd_look_at_size(struct work_struct *work);
static DECLARE_DELAYED_WORK(looking, ubd_look_at_size);
static unsigned long last_look;

static sector_t sectors_now(const struct ubd *ubd)
{
	return (host_disk_size(ubd->disk) & -(u64)ubd->info.sector_size) >> SECTOR_SHIFT;
}

static bool has_grown(const struct ubd *ubd)
{
	return ubd->gendisk && sectors_now(ubd) > get_capacity(ubd->gendisk);
}

void ubd_look_at_sizes(void)
{
	mutex_lock(&ubds_lock);
	last_look = jiffies;
	host_disk_watch_sizes();
	for (unsigned int i = 0; i < UBD_DISKS; i++)
		if (has_grown(&ubds[i]))
			set_capacity_and_notify(ubds[i].gendisk, sectors_now(&ubds[i]));
	mutex_unlock(&ubds_lock);
}

static void ubd_look_at_size(struct work_struct *work)
{
	ubd_look_at_sizes();
}

static irqreturn_t size_interrupt(int irq, void *unused)
{
	unsigned long next = last_look + HZ;

	schedule_delayed_work(&looking, time_before(jiffies, next) ? next - jiffies : 0);
	return IRQ_HANDLED;
}

void ubd_flushed(const struct ubd *ubd)
{
	if (has_grown(ubd))
		mod_delayed_work(system_wq, &looking, 0);
}

int __init ubd_size_init(void)
{
	last_look = jiffies - HZ;
	return request_irq(HOST_IRQ_DISK_SIZE, size_interrupt, 0, "ubd size", ubds);
}

/* ubd: has just become a block device. */
void ubd_size_watch(const struct ubd *ubd)
{
	host_disk_notify(ubd->disk);
	schedule_delayed_work(&looking, 0);
}
