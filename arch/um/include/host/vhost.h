/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 9: virtio devices of vhost-user servers on the host. The server sees all of guest RAM; addresses
 * given here are guest physical. Something to collect raises HOST_IRQ_VIRTIO.
 *
 * All functions run on the thread of a virtual CPU. Those marked S wait for the server's answer, 10 seconds at most: their caller
 * sleeps, other threads run meanwhile (kernel_pause). They must not be called twice at once for one device; the others may
 * be, by interrupts that come while one of them waits. A server that fails to answer, or answers something
 * else than it should, makes them and all later ones return -EPROTO, -ETIMEDOUT or what the socket said.
 */
#ifndef HOST_VHOST_H
#define HOST_VHOST_H

struct host_vhost;

struct host_vhost_ring {
	unsigned int index;
	unsigned int size;			/* descriptors */
	unsigned long descriptors, available, used;
};

#define HOST_VHOST_RINGS	64		/* index of a ring is less than this */
#define HOST_VHOST_CONFIG_SIZE	256		/* largest configuration space */

/* Connects to the server's socket and agrees on the protocol. S; or what connect(2) gave. */
int host_vhost_open(struct host_vhost **vhost, const char *path);
void host_vhost_close(struct host_vhost *vhost);

/* Virtio features that the server offers, its own transport's among them. Rings that it has, at most. */
unsigned long long host_vhost_features(const struct host_vhost *vhost);
unsigned int host_vhost_ring_limit(const struct host_vhost *vhost);
/* Accepts features and shares guest RAM. S */
int host_vhost_accept(struct host_vhost *vhost, unsigned long long features);

/* A ring that is stopped is not touched by the server any more. S */
int host_vhost_start_ring(struct host_vhost *vhost, const struct host_vhost_ring *ring);
int host_vhost_stop_ring(struct host_vhost *vhost, unsigned int index);
/* There is something in the ring. Does not sleep. */
void host_vhost_kick(struct host_vhost *vhost, unsigned int index);

/* Device configuration; -EOPNOTSUPP where the server has none, -EINVAL beyond its end. S */
int host_vhost_get_config(struct host_vhost *vhost, unsigned int offset, void *data, unsigned int length);
int host_vhost_set_config(struct host_vhost *vhost, unsigned int offset, const void *data, unsigned int length);

/*
 * What happened since the last call: HOST_VHOST_ bits, or -errno for a server that is gone. Lets HOST_IRQ_VIRTIO come
 * again. Does not sleep.
 */
enum { HOST_VHOST_USED = 1, HOST_VHOST_CONFIG_CHANGED = 2 };
int host_vhost_collect(struct host_vhost *vhost);
/* Sleeps some microseconds while waiting for the server; 0, or -errno when it is gone. */
int host_vhost_pause(struct host_vhost *vhost);

#endif
