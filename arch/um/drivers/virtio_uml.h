/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef UM_VIRTIO_UML_H
#define UM_VIRTIO_UML_H

#include <linux/virtio.h>

/*
 * For a driver that polls a ring instead of waiting for its interrupt: lets the host run the server. False when there is nothing
 * to wait for any more. Any context.
 */
bool virtio_uml_pause(struct virtio_device *vdev);

#endif
