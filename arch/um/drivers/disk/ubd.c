// SPDX-License-Identifier: GPL-2.0-only
/*
 * ubd: disk images and COW files of the host as block devices, /dev/ubda to ubdp, major 98, 16 minors each.
 *
 * A request becomes a struct host_disk_request with the pages as segments of the linear map, which the host carries out while
 * we go on (host/disk.h). The last request of a batch sends all of them off; what the host could do at once has ended
 * by then, and the rest comes with HOST_IRQ_BLOCK. Queue n is virtual CPU n's, with the host's ring of its own behind it, so there are no locks
 * here; with more than one, HOST_IRQ_BLOCK must be an interrupt of each. No scheduler by default, since the host has one.
 *
 * The disk has a volatile write cache, the host's page cache and a COW file's bitmap: flushes and FUA writes make data durable, everything does with the
 * flag s. What the host cannot do (freeing or zeroing ranges) is turned off at its first refusal.
 */
#include <linux/file.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/log2.h>
#include <linux/major.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>

#include <host/irq.h>
#include <host/process.h>
#include <host/vcpu.h>

#include "ubd.h"

#define QUEUE_DEPTH	128
#define MAX_SECTORS	(SZ_1M >> SECTOR_SHIFT)

/* What belongs to one struct request. */
struct ubd_request {
	struct host_disk_request host;
	struct host_disk_segment segments[HOST_DISK_SEGMENTS];
};

/* ---- requests ---- */

/* The host's operation for a request, or -1. */
static int host_operation(const struct ubd *ubd, const struct request *request)
{
	switch (req_op(request)) {
	case REQ_OP_READ:
		return HOST_DISK_READ;
	case REQ_OP_WRITE:
		return HOST_DISK_WRITE;
	case REQ_OP_FLUSH:
		return HOST_DISK_FLUSH;
	case REQ_OP_DISCARD:
		return HOST_DISK_DISCARD;
	case REQ_OP_WRITE_ZEROES:
		/* Freed ranges read as zeroes, and cost the host nothing. */
		return ubd->no_discard || (request->cmd_flags & REQ_NOUNMAP) ? HOST_DISK_ZERO : HOST_DISK_ZERO_FREE;
	default:
		return -1;
	}
}

static void fill_segments(struct ubd_request *ubd_request, struct request *request)
{
	struct host_disk_request *host = &ubd_request->host;
	struct req_iterator iterator;
	struct bio_vec vec;

	host->segment = ubd_request->segments;
	host->segments = 0;
	if (host->op != HOST_DISK_READ && host->op != HOST_DISK_WRITE)
		return;
	rq_for_each_bvec(vec, request, iterator) {
		struct host_disk_segment *segment = &host->segment[host->segments++];

		segment->base = page_address(vec.bv_page) + vec.bv_offset;
		segment->length = vec.bv_len;
	}
}

/* Flushes, and what is as rare and as slow. */
static bool makes_durable(const struct request *request)
{
	const struct ubd *ubd = request->q->queuedata;

	return req_op(request) == REQ_OP_FLUSH || request->cmd_flags & REQ_FUA || (ubd->sync && op_is_write(req_op(request)));
}

static void ubd_end_request(struct request *request)
{
	struct ubd_request *ubd_request = blk_mq_rq_to_pdu(request);
	int error = ubd_request->host.error;

	if (error == -EOPNOTSUPP && req_op(request) == REQ_OP_DISCARD)
		blk_queue_disable_discard(request->q);
	if (error == -EOPNOTSUPP && req_op(request) == REQ_OP_WRITE_ZEROES)
		blk_queue_disable_write_zeroes(request->q);
	if (error == -EPERM && req_op(request) == REQ_OP_WRITE)
		pr_warn_ratelimited("%s: it may not begin like a COW file, unless it is raw data (flag d)\n",
				    request->q->disk->disk_name);
	if (makes_durable(request))
		ubd_flushed(request->q->queuedata);
	blk_mq_end_request(request, errno_to_blk_status(error));
}

/* Commits submitted requests, and completes those that the host has completed. */
static void ubd_submit_and_reap(bool more)
{
	struct host_disk_request *host;

	host_disk_commit(more);
	while ((host = host_disk_completed()))
		blk_mq_complete_request(blk_mq_rq_from_pdu(container_of(host, struct ubd_request, host)));
}

static blk_status_t ubd_queue_request(struct blk_mq_hw_ctx *hctx,
				      const struct blk_mq_queue_data *data)
{
	struct ubd *ubd = hctx->queue->queuedata;
	struct request *request = data->rq;
	struct ubd_request *ubd_request = blk_mq_rq_to_pdu(request);
	struct host_disk_request *host = &ubd_request->host;
	int operation = host_operation(ubd, request);

	if (operation < 0)
		return BLK_STS_NOTSUPP;
	blk_mq_start_request(request);
	host->op = operation;
	host->fua = !!(request->cmd_flags & REQ_FUA);
	host->offset = (u64)blk_rq_pos(request) << SECTOR_SHIFT;
	host->length = blk_rq_bytes(request);
	fill_segments(ubd_request, request);
	host_disk_submit(ubd->disk, host);
	if (data->last)
		ubd_submit_and_reap(true);
	return BLK_STS_OK;
}

static void ubd_commit_requests(struct blk_mq_hw_ctx *hctx)
{
	ubd_submit_and_reap(true);
}

static const struct blk_mq_ops ubd_mq_ops = {
	.queue_rq = ubd_queue_request,
	.commit_rqs = ubd_commit_requests,
	.complete = ubd_end_request,
};

static irqreturn_t ubd_interrupt(int irq, void *unused)
{
	ubd_submit_and_reap(false);
	return IRQ_HANDLED;
}

/* ---- devices ---- */

static ssize_t serial_show(struct device *device, struct device_attribute *attribute, char *page)
{
	struct ubd *ubd = dev_to_disk(device)->private_data;

	return sysfs_emit(page, "%s\n", ubd->serial);
}
static DEVICE_ATTR_RO(serial);

static struct attribute *ubd_attrs[] = { &dev_attr_serial.attr, NULL };
ATTRIBUTE_GROUPS(ubd);

/* The block layer holds open_mutex. */
static int ubd_open(struct gendisk *gendisk, blk_mode_t mode)
{
	const struct ubd *ubd = gendisk->private_data;

	return ubd->leaves ? -ENXIO : 0;
}

static const struct block_device_operations ubd_fops = {
	.owner = THIS_MODULE,
	.open = ubd_open,
};

static struct queue_limits limits_of(const struct ubd *ubd)
{
	const struct host_disk_info *info = &ubd->info;
	/* Freeing less than a block of the host only writes zeroes; network file systems report huge ones. */
	unsigned int block = is_power_of_2(info->block_size) ? clamp(info->block_size, info->sector_size, SZ_64K) : SZ_4K;
	struct queue_limits limits = {
		.logical_block_size = info->sector_size,
		.physical_block_size = min(block, PAGE_SIZE),
		.max_hw_sectors = MAX_SECTORS,
		.max_segments = HOST_DISK_SEGMENTS,
		.max_segment_size = SZ_1M,
	};

	if (!ubd->sync)
		limits.features = BLK_FEAT_WRITE_CACHE | (info->fua ? BLK_FEAT_FUA : 0);
	if (info->read_only)
		return limits;
	limits.max_write_zeroes_sectors = UINT_MAX >> SECTOR_SHIFT;
	if (!ubd->no_discard) {
		limits.max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
		limits.discard_granularity = block;
	}
	return limits;
}

static int alloc_tags(struct ubd *ubd)
{
	memset(&ubd->tags, 0, sizeof(ubd->tags));
	ubd->tags.ops = &ubd_mq_ops;
	ubd->tags.nr_hw_queues = num_possible_cpus();
	ubd->tags.queue_depth = QUEUE_DEPTH;
	ubd->tags.numa_node = NUMA_NO_NODE;
	ubd->tags.cmd_size = sizeof(struct ubd_request);
	ubd->tags.flags = BLK_MQ_F_SHOULD_MERGE | BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	return blk_mq_alloc_tag_set(&ubd->tags);
}

DEFINE_MUTEX(ubds_lock);

static int add_locked(struct ubd *ubd, unsigned int index)
{
	struct queue_limits limits = limits_of(ubd);
	struct gendisk *gendisk;
	int error = alloc_tags(ubd);

	if (error)
		return error;
	gendisk = blk_mq_alloc_disk(&ubd->tags, &limits, ubd);
	if (IS_ERR(gendisk)) {
		error = PTR_ERR(gendisk);
		goto free_tags;
	}
	gendisk->major = UBD_MAJOR;
	gendisk->first_minor = index * UBD_MINORS;
	gendisk->minors = UBD_MINORS;
	gendisk->fops = &ubd_fops;
	gendisk->private_data = ubd;
	snprintf(gendisk->disk_name, DISK_NAME_LEN, "ubd%c", 'a' + index);
	set_capacity(gendisk, (ubd->info.size & -(u64)ubd->info.sector_size) >> SECTOR_SHIFT);
	set_disk_ro(gendisk, ubd->info.read_only);
	error = device_add_disk(NULL, gendisk, ubd_groups);
	if (error)
		goto put_disk;
	ubd->gendisk = gendisk;
	ubd_size_watch(ubd);
	return 0;
put_disk:
	put_disk(gendisk);
free_tags:
	blk_mq_free_tag_set(&ubd->tags);
	return error;
}

int ubd_add(unsigned int index)
{
	int error;

	mutex_lock(&ubds_lock);
	error = add_locked(&ubds[index], index);
	mutex_unlock(&ubds_lock);
	return error;
}

bool ubd_is_open(const struct ubd *ubd)
{
	return ubd->gendisk && disk_openers(ubd->gendisk);
}

/* Lets no program open the device any more. 0, or -EBUSY: one has it open. */
static int close_door(struct ubd *ubd)
{
	int error = 0;

	flush_delayed_fput();		/* a kernel thread may have closed it just now */
	mutex_lock(&ubd->gendisk->open_mutex);
	if (disk_openers(ubd->gendisk))
		error = -EBUSY;
	else
		ubd->leaves = true;
	mutex_unlock(&ubd->gendisk->open_mutex);
	return error;
}

/*
 * Programs need not have flushed what they wrote. The first time that the host cannot make it
 * durable, the disk stays, since its data may still be read.
 */
static int flush_at_last(struct ubd *ubd)
{
	int error = ubd->may_lose ? 0 : blkdev_issue_flush(ubd->gendisk->part0);

	if (!error)
		return 0;
	ubd->may_lose = true;
	mutex_lock(&ubd->gendisk->open_mutex);
	ubd->leaves = false;
	mutex_unlock(&ubd->gendisk->open_mutex);
	return error;
}

static int remove_locked(struct ubd *ubd)
{
	int error = ubd->gendisk ? close_door(ubd) ?: flush_at_last(ubd) : 0;

	if (error)
		return error;
	if (ubd->gendisk) {
		del_gendisk(ubd->gendisk);
		put_disk(ubd->gendisk);
		blk_mq_free_tag_set(&ubd->tags);
	}
	host_disk_close(ubd->disk);
	kfree(ubd->value);
	memset(ubd, 0, sizeof(*ubd));
	return 0;
}

int ubd_remove(unsigned int index)
{
	int error;

	mutex_lock(&ubds_lock);
	error = remove_locked(&ubds[index]);
	mutex_unlock(&ubds_lock);
	return error;
}

static int __init add_all(void)
{
	bool any = false;

	for (unsigned int i = 0; i < UBD_DISKS; i++) {
		int error;

		if (!ubds[i].disk)
			continue;
		if (!any)
			pr_info("ubd: requests go to the host through %s\n", host_disk_backend());
		any = true;
		error = ubd_add(i);
		if (error) {
			pr_err("ubd%u: no block device: %pe\n", i, ERR_PTR(error));
			ubd_remove(i);
		}
	}
	return 0;
}

static int __init ubd_init(void)
{
	int error = register_blkdev(UBD_MAJOR, "ubd");

	if (error)
		return error;
	error = request_irq(HOST_IRQ_BLOCK, ubd_interrupt, 0, "ubd", ubds);
	if (!error)
		error = ubd_size_init();
	if (!error)
		return add_all();
	unregister_blkdev(UBD_MAJOR, "ubd");
	return error;
}
device_initcall(ubd_init);
