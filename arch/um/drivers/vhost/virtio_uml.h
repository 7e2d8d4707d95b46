/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef UM_VIRTIO_UML_H
#define UM_VIRTIO_UML_H

#include <linux/platform_device.h>
#include <linux/seq_buf.h>
#include <linux/virtio.h>

/* A server that the option or the management console names; data of its platform device. */
struct virtio_uml_server {
	/* While the management console adds it: gets a line if the server cannot be used. */
	struct seq_buf *why;
	u32 virtio_id;
	char socket[];
};

/* NULL: the device can be used; or what is wrong with its server: "is gone". In a process. */
const char *virtio_uml_fault(struct platform_device *platform);

/*
 * For a driver that polls a ring instead of waiting for its interrupt: lets the host run the
 * server. False when there is nothing to wait for any more. Any context.
 */
bool virtio_uml_pause(struct virtio_device *vdev);

/*
 * virtio_lost.c: follows a ring, and ends with an error the requests that a lost server has.
 * NULL: no memory; kfree() it.
 */
struct ring_follower;
struct ring_follower *virtio_uml_follow(struct virtqueue *vq);
void virtio_uml_follow_available(struct ring_follower *follower);	/* the ring is kicked */
void virtio_uml_follow_used(struct ring_follower *follower);		/* something was used */
void virtio_uml_end_lost(struct ring_follower *follower);

#endif
