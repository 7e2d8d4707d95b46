// SPDX-License-Identifier: GPL-2.0-only
/*
 * ubd: disk images of the host as block devices, /dev/ubda to ubdp, major 98, 16 minors each.
 *
 * A request becomes a struct host_disk_request with the pages as segments of the linear map. The host either serves it at once
 * (a read of what it has cached) or queues it for the disk's thread; the last request of a batch wakes the thread. HOST_IRQ_BLOCK
 * says that something ended. One hardware queue: there is one host thread to feed;
 * and no scheduler by default, since the host has one.
 *
 * The disk has a volatile write cache, the host's page cache: flushes and FUA writes make data durable, everything does with the
 * flag s. What the host cannot do (freeing or zeroing ranges) is turned off at its first refusal.
 */
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/log2.h>
#include <linux/major.h>
#include <linux/module.h>

#include <host/vcpu.h>

#include "ubd.h"

#define QUEUE_DEPTH	64
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
		return ubd->no_discard || (request->cmd_flags & REQ_NOUNMAP) ? HOST_DISK_ZERO : HOST_DISK_DISCARD;
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

static void end_request(struct request *request)
{
	struct ubd_request *ubd_request = blk_mq_rq_to_pdu(request);
	int error = ubd_request->host.error;

	if (error == -EOPNOTSUPP && req_op(request) == REQ_OP_DISCARD)
		blk_queue_disable_discard(request->q);
	if (error == -EOPNOTSUPP && req_op(request) == REQ_OP_WRITE_ZEROES)
		blk_queue_disable_write_zeroes(request->q);
	blk_mq_end_request(request, errno_to_blk_status(error));
}

static blk_status_t queue_request(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *data)
{
	struct ubd *ubd = hctx->queue->queuedata;
	struct request *request = data->rq;
	struct ubd_request *ubd_request = blk_mq_rq_to_pdu(request);
	struct host_disk_request *host = &ubd_request->host;
	int operation = host_operation(ubd, request);
	bool done;

	if (operation < 0)
		return BLK_STS_NOTSUPP;
	blk_mq_start_request(request);
	host->op = operation;
	host->fua = !!(request->cmd_flags & REQ_FUA);
	host->offset = (u64)blk_rq_pos(request) << SECTOR_SHIFT;
	host->length = blk_rq_bytes(request);
	host->error = 0;
	fill_segments(ubd_request, request);
	done = host_disk_submit(ubd->disk, host);
	if (data->last)
		host_disk_kick(ubd->disk);
	if (done)
		end_request(request);
	return BLK_STS_OK;
}

static void commit_requests(struct blk_mq_hw_ctx *hctx)
{
	struct ubd *ubd = hctx->queue->queuedata;

	host_disk_kick(ubd->disk);
}

static const struct blk_mq_ops ubd_mq_ops = {
	.queue_rq = queue_request,
	.commit_rqs = commit_requests,
	.complete = end_request,
};

static irqreturn_t ubd_interrupt(int irq, void *unused)
{
	for (struct ubd *ubd = ubds; ubd < ubds + UBD_DISKS; ubd++) {
		struct host_disk_request *host;

		if (!ubd->disk)
			continue;
		while ((host = host_disk_completed(ubd->disk)))
			blk_mq_complete_request(blk_mq_rq_from_pdu(container_of(host, struct ubd_request, host)));
	}
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

static const struct block_device_operations ubd_fops = {
	.owner = THIS_MODULE,
};

static struct queue_limits limits_of(const struct ubd *ubd)
{
	/* Freeing less than a block of the host only writes zeroes; network file systems report huge ones. */
	unsigned int block = is_power_of_2(ubd->info.block_size) ?
		clamp(ubd->info.block_size, SECTOR_SIZE, SZ_64K) : SZ_4K;
	struct queue_limits limits = {
		.logical_block_size = SECTOR_SIZE,
		.physical_block_size = min(block, PAGE_SIZE),
		.max_hw_sectors = MAX_SECTORS,
		.max_segments = HOST_DISK_SEGMENTS,
		.max_segment_size = SZ_1M,
	};

	if (!ubd->sync)
		limits.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	if (ubd->info.read_only)
		return limits;
	limits.max_write_zeroes_sectors = UINT_MAX >> SECTOR_SHIFT;
	if (!ubd->no_discard) {
		limits.max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
		limits.discard_granularity = block;
	}
	return limits;
}

static int add_disk_of(struct ubd *ubd, unsigned int index)
{
	struct queue_limits limits = limits_of(ubd);
	struct gendisk *gendisk;
	int error;

	ubd->tags.ops = &ubd_mq_ops;
	ubd->tags.nr_hw_queues = 1;
	ubd->tags.queue_depth = QUEUE_DEPTH;
	ubd->tags.numa_node = NUMA_NO_NODE;
	ubd->tags.cmd_size = sizeof(struct ubd_request);
	ubd->tags.flags = BLK_MQ_F_SHOULD_MERGE | BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	error = blk_mq_alloc_tag_set(&ubd->tags);
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
	set_capacity(gendisk, ubd->info.size >> SECTOR_SHIFT);
	set_disk_ro(gendisk, ubd->info.read_only);
	error = device_add_disk(NULL, gendisk, ubd_groups);
	if (error)
		goto put_disk;
	ubd->gendisk = gendisk;
	return 0;
put_disk:
	put_disk(gendisk);
free_tags:
	blk_mq_free_tag_set(&ubd->tags);
	return error;
}

static int __init ubd_init(void)
{
	int error = register_blkdev(UBD_MAJOR, "ubd");

	if (error)
		return error;
	error = request_irq(HOST_IRQ_BLOCK, ubd_interrupt, IRQF_SHARED, "ubd", ubds);
	if (error)
		goto unregister;
	for (unsigned int i = 0; i < UBD_DISKS; i++) {
		error = ubds[i].disk ? add_disk_of(&ubds[i], i) : 0;
		if (error)
			pr_err("ubd%u: no block device: error %d\n", i, -error);
	}
	return 0;
unregister:
	unregister_blkdev(UBD_MAJOR, "ubd");
	return error;
}
device_initcall(ubd_init);
