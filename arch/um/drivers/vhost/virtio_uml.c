// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtio devices whose other half is a vhost-user server on the host.
 *
 * The option, or the management console, makes a platform device (virtio_uml_setup.c). Its probe
 * connects to the server and registers a virtio device with the transport operations below. The
 * rings lie in guest RAM, which the server shares; <host/vhost.h> carries everything else. The
 * device status is ours alone: the server learns of a reset as "stop these rings".
 *
 * Requests to the server run one at a time, under transport->lock. Who makes one sleeps until the server has answered, and nobody else
 * does: drivers may ask for configuration only where they can sleep. HOST_IRQ_VIRTIO is shared by all devices; each asks its host half what happened.
 *
 * A server that goes away or talks nonsense breaks the device: one line in the log, its rings broken for ever, so that drivers get errors
 * for new requests. What was in the rings of a disk by then ends with an error (virtio_lost.c).
 */
#define pr_fmt(fmt) "virtio_uml: " fmt
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include <host/irq.h>
#include <host/process.h>
#include <host/vcpu.h>
#include <host/vhost.h>

#include "virtio_uml.h"

#define RING_SIZE	256	/* descriptors; the protocol has no way to ask for a limit */

/* Transport features that we hand through; bits 24 to 41 are the transport's, the others belong to the device. */
#define TRANSPORT_BITS	GENMASK_ULL(41, 24)
#define TRANSPORT_KNOWN	(BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | \
			 BIT_ULL(VIRTIO_F_VERSION_1))

struct transport {
	struct virtio_device vdev;
	struct host_vhost *vhost;
	const char *socket;	/* of the platform device's data, for messages */
	struct mutex lock;	/* one request to the server at a time */
	u8 status;
	int broken;		/* the error that ended the connection */
	struct work_struct breaking;	/* tells the rings, which an interrupt may not */
	struct ring_follower *followers[HOST_VHOST_RINGS];	/* of a disk */
};

static struct transport *transport_of(struct virtio_device *vdev)
{
	return container_of(vdev, struct transport, vdev);
}

static void break_rings(struct work_struct *work)
{
	struct transport *transport = container_of(work, struct transport, breaking);

	local_irq_disable();
	for (int i = 0; i < HOST_VHOST_RINGS; i++)
		if (transport->followers[i])
			virtio_uml_end_lost(transport->followers[i]);
	virtio_break_device(&transport->vdev);
	local_irq_enable();
}

static const char *transport_fault(int error)
{
	return error == -ECONNRESET || error == -EPIPE ? "is gone" :
	       error == -ETIMEDOUT ? "does not answer" : "gave a wrong answer";
}

/* The connection cannot be used any more. Any context. */
static void break_transport(struct transport *transport, int error)
{
	if (transport->broken)
		return;
	transport->broken = error;
	dev_err(&transport->vdev.dev, "server %s %s (%s): the device is broken\n",
		transport->socket, transport_fault(error), host_error_text(error));
	schedule_work(&transport->breaking);
}

/* Runs an expression that talks to the server; a refusal (-EIO, -EINVAL, -EOPNOTSUPP) leaves the connection whole. */
#define REQUEST(transport, expression) ({							\
	int error_;										\
	mutex_lock(&(transport)->lock);								\
	error_ = (expression);									\
	mutex_unlock(&(transport)->lock);							\
	if (error_ && error_ != -EIO && error_ != -EINVAL && error_ != -EOPNOTSUPP)		\
		break_transport(transport, error_);						\
	error_; })

/* ---- interrupts ---- */

static irqreturn_t transport_interrupt(int irq, void *data)
{
	struct transport *transport = data;
	struct virtqueue *vq;
	int events;

	if (transport->broken)
		return IRQ_NONE;
	events = host_vhost_collect(transport->vhost);
	if (events < 0) {
		break_transport(transport, events);
		return IRQ_HANDLED;
	}
	if (events & HOST_VHOST_CONFIG_CHANGED)
		virtio_config_changed(&transport->vdev);
	if (events & HOST_VHOST_USED)
		virtio_device_for_each_vq(&transport->vdev, vq) {
			bool whole = !virtqueue_is_broken(vq);

			if (transport->followers[vq->index])
				virtio_uml_follow_used(transport->followers[vq->index]);
			vring_interrupt(irq, vq);
			if (whole && virtqueue_is_broken(vq))
				break_transport(transport, -EPROTO);
		}
	return IRQ_HANDLED;
}

static bool notify_server(struct virtqueue *vq)
{
	struct transport *transport = transport_of(vq->vdev);

	if (transport->broken)
		return false;
	if (transport->followers[vq->index]) {
		unsigned long flags;

		local_irq_save(flags);
		virtio_uml_follow_available(transport->followers[vq->index]);
		local_irq_restore(flags);
	}
	host_vhost_kick(transport->vhost, vq->index);
	return true;
}

bool virtio_uml_pause(struct virtio_device *vdev)
{
	struct transport *transport = transport_of(vdev);
	int error = transport->broken ? -EIO : host_vhost_pause(transport->vhost);

	if (error)
		break_transport(transport, error);
	return !error;
}

/* ---- rings ---- */

static void delete_ring(struct virtqueue *vq)
{
	struct transport *transport = transport_of(vq->vdev);
	struct ring_follower *follower = transport->followers[vq->index];

	flush_work(&transport->breaking);
	local_irq_disable();
	transport->followers[vq->index] = NULL;
	local_irq_enable();
	kfree(follower);
	vring_del_virtqueue(vq);
}

static struct virtqueue *virtio_make_ring(struct virtio_device *vdev, unsigned int index,
					  const struct virtqueue_info *info)
{
	struct transport *transport = transport_of(vdev);
	struct host_vhost_ring ring = { .index = index };
	struct virtqueue *vq;
	int error;

	if (index >= host_vhost_ring_limit(transport->vhost))
		return ERR_PTR(-ENOENT);
	vq = vring_create_virtqueue(index, RING_SIZE, PAGE_SIZE, vdev, true, true, info->ctx, notify_server, info->callback,
				    info->name);
	if (!vq)
		return ERR_PTR(-ENOMEM);
	vq->num_max = RING_SIZE;
	ring.size = virtqueue_get_vring_size(vq);
	ring.descriptors = virtqueue_get_desc_addr(vq);
	ring.available = virtqueue_get_avail_addr(vq);
	ring.used = virtqueue_get_used_addr(vq);
	if (vdev->id.device == VIRTIO_ID_BLOCK)
		transport->followers[index] = virtio_uml_follow(vq);
	error = REQUEST(transport, host_vhost_start_ring(transport->vhost, &ring));
	if (error) {
		delete_ring(vq);
		return ERR_PTR(error);
	}
	return vq;
}

static void delete_rings(struct virtio_device *vdev)
{
	struct transport *transport = transport_of(vdev);
	struct virtqueue *vq, *next;

	list_for_each_entry_safe(vq, next, &vdev->vqs, list) {
		REQUEST(transport, host_vhost_stop_ring(transport->vhost, vq->index));
		delete_ring(vq);
	}
}

static int find_rings(struct virtio_device *vdev, unsigned int count, struct virtqueue *vqs[], struct virtqueue_info infos[],
		      struct irq_affinity *affinity)
{
	unsigned int index = 0;

	for (unsigned int i = 0; i < count; i++) {
		vqs[i] = infos[i].name ? virtio_make_ring(vdev, index++, &infos[i]) : NULL;
		if (IS_ERR(vqs[i])) {
			delete_rings(vdev);
			return PTR_ERR(vqs[i]);
		}
	}
	return 0;
}

static void wait_for_callbacks(struct virtio_device *vdev)
{
	synchronize_irq(HOST_IRQ_VIRTIO);
}

/* ---- configuration, status, features ---- */

static void get_config(struct virtio_device *vdev, unsigned int offset, void *data, unsigned int length)
{
	struct transport *transport = transport_of(vdev);
	int error = REQUEST(transport, host_vhost_get_config(transport->vhost, offset, data, length));

	if (!error)
		return;
	memset(data, 0, length);
	if (!transport->broken)
		dev_warn_once(&vdev->dev, "server %s has no configuration at offset %u (%s): it reads as zero\n",
			      transport->socket, offset, host_error_text(error));
}

static void set_config(struct virtio_device *vdev, unsigned int offset, const void *data, unsigned int length)
{
	struct transport *transport = transport_of(vdev);
	int error = REQUEST(transport, host_vhost_set_config(transport->vhost, offset, data, length));

	if (error && !transport->broken)
		dev_warn(&vdev->dev, "server %s does not take configuration at offset %u: %s\n",
			 transport->socket, offset, host_error_text(error));
}

static u8 get_status(struct virtio_device *vdev)
{
	return transport_of(vdev)->status;
}

static void virtio_set_status(struct virtio_device *vdev, u8 status)
{
	transport_of(vdev)->status = status;
}

/* After it the server touches no ring; a driver that uses the device again makes new ones. */
static void reset(struct virtio_device *vdev)
{
	struct transport *transport = transport_of(vdev);
	struct virtqueue *vq;

	transport->status = 0;
	list_for_each_entry(vq, &vdev->vqs, list)
		REQUEST(transport, host_vhost_stop_ring(transport->vhost, vq->index));
}

static u64 get_features(struct virtio_device *vdev)
{
	u64 offered = host_vhost_features(transport_of(vdev)->vhost);

	return offered & (~TRANSPORT_BITS | TRANSPORT_KNOWN);
}

static int finalize_features(struct virtio_device *vdev)
{
	struct transport *transport = transport_of(vdev);

	vring_transport_features(vdev);
	return REQUEST(transport, host_vhost_accept(transport->vhost, vdev->features));
}

static const char *bus_name(struct virtio_device *vdev)
{
	return dev_name(vdev->dev.parent);
}

static const struct virtio_config_ops transport_ops = {
	.get = get_config,
	.set = set_config,
	.get_status = get_status,
	.set_status = virtio_set_status,
	.reset = reset,
	.find_vqs = find_rings,
	.del_vqs = delete_rings,
	.synchronize_cbs = wait_for_callbacks,
	.get_features = get_features,
	.finalize_features = finalize_features,
	.bus_name = bus_name,
};

/* ---- the platform device ---- */

static void virtio_release(struct device *dev)
{
	struct transport *transport = transport_of(dev_to_virtio(dev));

	host_vhost_close(transport->vhost);
	kfree(transport);
}

/* Says why there is no connection: at the start of the guest, that is its end. */
static int virtio_refuse(struct platform_device *platform, int error)
{
	const struct virtio_uml_server *server = dev_get_platdata(&platform->dev);
	const char *why = error == -ENOENT ? "there is no such socket; start the server first" :
			  error == -ECONNREFUSED ? "no server listens there; start it first" :
			  error == -EACCES ? "you may not connect to it" :
			  error == -ENAMETOOLONG ? "the path is too long for a socket" :
			  error == -ETIMEDOUT ?
			  "the server does not answer; does it serve someone else?" :
			  error == -ECONNRESET || error == -EPIPE ?
			  "the server hung up; see what it says" :
			  "the server does not talk vhost-user";

	if (!server->why)
		host_fatal("virtio_uml.device=%s: %s (%s)", server->socket, why,
			   host_error_text(error));
	seq_buf_printf(server->why, "virtio_uml%d=%s: %s (%s)", platform->id, server->socket, why,
		       host_error_text(error));
	return -ENODEV;		/* the driver core has a line of its own for other errors */
}

static int probe(struct platform_device *platform)
{
	const struct virtio_uml_server *server = dev_get_platdata(&platform->dev);
	struct transport *transport;
	int error;

	transport = kzalloc(sizeof(*transport), GFP_KERNEL);
	if (!transport)
		return -ENOMEM;
	mutex_init(&transport->lock);
	INIT_WORK(&transport->breaking, break_rings);
	transport->socket = server->socket;
	transport->vdev.id.device = server->virtio_id;
	transport->vdev.id.vendor = VIRTIO_DEV_ANY_ID;
	transport->vdev.dev.parent = &platform->dev;
	transport->vdev.dev.release = virtio_release;
	transport->vdev.config = &transport_ops;
	error = host_vhost_open(&transport->vhost, server->socket);
	if (error) {
		kfree(transport);
		return virtio_refuse(platform, error);
	}
	/* Before the first interrupt: its handler goes through the list of rings. */
	INIT_LIST_HEAD(&transport->vdev.vqs);
	error = request_irq(HOST_IRQ_VIRTIO, transport_interrupt, IRQF_SHARED, dev_name(&platform->dev), transport);
	if (error)
		goto close;
	platform_set_drvdata(platform, transport);
	error = register_virtio_device(&transport->vdev);
	if (error) {
		free_irq(HOST_IRQ_VIRTIO, transport);
		cancel_work_sync(&transport->breaking);
		put_device(&transport->vdev.dev);
	}
	return error;
close:
	host_vhost_close(transport->vhost);
	kfree(transport);
	return error;
}

static void virtio_remove(struct platform_device *platform)
{
	struct transport *transport = platform_get_drvdata(platform);

	get_device(&transport->vdev.dev);
	flush_work(&transport->breaking);
	unregister_virtio_device(&transport->vdev);
	free_irq(HOST_IRQ_VIRTIO, transport);
	/* The server may have been lost since the rings were deleted. */
	cancel_work_sync(&transport->breaking);
	put_device(&transport->vdev.dev);
}

const char *virtio_uml_fault(struct platform_device *platform)
{
	struct transport *transport = platform_get_drvdata(platform);

	return !transport ? "has no device: see the kernel's log" :
	       transport->broken ? transport_fault(transport->broken) : NULL;
}

static struct platform_driver virtio_uml = {
	.probe = probe,
	.remove = virtio_remove,
	.driver.name = "virtio-uml",
	.driver.suppress_bind_attrs = true,
	.driver.probe_type = PROBE_FORCE_SYNCHRONOUS,	/* virtio_uml_setup.c asks what came of it */
};

builtin_platform_driver(virtio_uml);
