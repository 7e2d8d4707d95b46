// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends what a lost vhost-user server had in hand. The disk driver waits for its requests without limit, and with them would everyone
 * who waits for the disk; so for disks we take the server's place once: every request that is out gets the status "I/O error".
 *
 * The generic ring code does not tell which requests are out, so they are followed: each time a ring is kicked, what became available
 * since is counted up, and each time something was used, that is counted down. Both come at least once in the 256 entries that a
 * ring remembers. The server can write all of it: an entry that cannot be ends the following, there the ring is taken over.
 *
 * Runs on the virtual CPU with interrupts off.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_ring.h>
#include <uapi/linux/virtio_blk.h>

#include "virtio_uml.h"

struct ring_follower {
	struct virtqueue *vq;
	u16 available, used;	/* how far we have looked */
	u16 out[];		/* by head: how often it is with the server */
};

struct ring_follower *virtio_uml_follow(struct virtqueue *vq)
{
	struct ring_follower *follower = kzalloc(struct_size(follower, out, virtqueue_get_vring_size(vq)), GFP_KERNEL);

	if (follower)
		follower->vq = vq;
	return follower;
}

void virtio_uml_follow_available(struct ring_follower *follower)
{
	const struct vring *ring = virtqueue_get_vring(follower->vq);
	u16 end = READ_ONCE(ring->avail->idx);

	for (; follower->available != end; follower->available++) {
		u16 head = ring->avail->ring[follower->available % ring->num];

		if (head < ring->num)
			follower->out[head]++;
	}
}

void virtio_uml_follow_used(struct ring_follower *follower)
{
	const struct vring *ring = virtqueue_get_vring(follower->vq);
	u16 end = READ_ONCE(ring->used->idx);

	virtio_uml_follow_available(follower);
	virt_rmb();
	for (; follower->used != end; follower->used++) {
		u32 head = READ_ONCE(ring->used->ring[follower->used % ring->num].id);

		if (head >= ring->num || !follower->out[head])
			return;
		follower->out[head]--;
	}
}

/* Puts the status in the last byte that the server may write of a chain of descriptors. */
static void lost_set_status(const struct vring_desc *table, unsigned int count, unsigned int at,
			    u8 status, bool indirect)
{
	unsigned long last = 0;

	for (unsigned int steps = 0; steps < count && at < count; steps++) {
		struct vring_desc desc = table[at];

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			/* A table in a table is the server's doing, and may lead to itself. */
			if (!indirect && desc.len && pfn_valid(PHYS_PFN(desc.addr)) && pfn_valid(PHYS_PFN(desc.addr + desc.len - 1)))
				lost_set_status(__va(desc.addr),
						min_t(u32, desc.len / sizeof(desc), 1024), 0,
						status, true);
			return;
		}
		if (desc.flags & VRING_DESC_F_WRITE && desc.len)
			last = desc.addr + desc.len - 1;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			break;
		at = desc.next;
	}
	if (last && pfn_valid(PHYS_PFN(last)))
		*(u8 *)__va(last) = status;
}

void virtio_uml_end_lost(struct ring_follower *follower)
{
	const struct vring *ring = virtqueue_get_vring(follower->vq);

	virtio_uml_follow_used(follower);
	for (unsigned int head = 0; head < ring->num; head++)
		if (follower->out[head]) {
			follower->out[head] = 0;
			lost_set_status(ring->desc, ring->num, head, VIRTIO_BLK_S_IOERR, false);
			ring->used->ring[follower->used++ % ring->num] = (struct vring_used_elem) { .id = head, .len = 1 };
		}
	virt_wmb();
	WRITE_ONCE(ring->used->idx, follower->used);
	__virtqueue_unbreak(follower->vq);	/* a ring that was broken by what stood there */
	vring_interrupt(0, follower->vq);
	__virtqueue_break(follower->vq);
}
