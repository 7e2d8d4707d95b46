/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef UM_VIRTIO_UML_H
#define UM_VIRTIO_UML_H

#include <linux/virtio.h>

/*
 * For a driver that polls a ring instead of waiting for its interrupt: lets the host run the server. False when there is nothing
 * to wait for any more. Any context.
 */
bool virtio_uml_pause(struct virtio_device *vdev);

/* virtio_lost.c: follows a ring, and ends with an error the requests that a lost server has. NULL: no memory; kfree() it. */
struct ring_follower;
struct ring_follower *virtio_uml_follow(struct virtqueue *vq);
void virtio_uml_follow_available(struct ring_follower *follower);	/* the ring is kicked */
void virtio_uml_follow_used(struct ring_follower *follower);		/* something was used */
void virtio_uml_end_lost(struct ring_follower *follower);

#endif
