// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-user front end: the host half of virtio_uml, <host/vhost.h>.
 *
 * The server (back end) is a process on the host with a socket. Over it go requests, one at a time:
 * a header, a payload, and descriptors beside them. The server maps guest RAM from the descriptor
 * it is given and then works on the rings by itself; eventfds say "ring n has work" (kick, one a
 * ring) and "something was used" (call, one for all rings: the kernel side looks at all). Message
 * layout, request numbers and their order are those of docs/interop/vhost-user.rst in QEMU.
 *
 * Requests have an answer if they return something, or if the server knows REPLY_ACK. Nothing that
 * comes from the server is used before it has been compared with what was asked. The first error
 * ends the conversation: it is kept in vhost->error and returned ever after, since a stream that is
 * out of step cannot be used again.
 *
 * All of it runs on virtual CPUs; the kernel side keeps requests of one device apart. No socket is
 * ever waited on for more than SOON_MS: a server may be stopped, slow or hostile, in the middle of
 * a message too. What it asks of us is collected in a buffer until it is whole. Who waits for an
 * answer lets other threads of the kernel run (kernel_pause), so interrupts, which collect events,
 * come in between: `waiting` tells them that what arrives on the socket is awaited.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <host/irq.h>
#include <host/memory.h>
#include <host/process.h>
#include <host/time.h>
#include <host/vcpu.h>
#include <host/vhost.h>

#include "os.h"

#define PATIENCE	10	/* seconds for an answer */
#define PATIENCE_NS	(PATIENCE * 1000000000ULL)
#define SOON_MS		2	/* a server that runs has answered by then */
#define PAUSE_NS	20000

enum request {
	GET_FEATURES = 1, SET_FEATURES = 2, SET_OWNER = 3, SET_MEM_TABLE = 5, SET_VRING_NUM = 8, SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10, GET_VRING_BASE = 11, SET_VRING_KICK = 12, SET_VRING_CALL = 13, GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16, GET_QUEUE_NUM = 17, SET_VRING_ENABLE = 18, SET_BACKEND_REQ_FD = 21,
	GET_CONFIG = 24, SET_CONFIG = 25,
};
enum { BACKEND_CONFIG_CHANGE = 2 };	/* a request of the server */

enum { VERSION = 1, REPLY = 4, NEED_REPLY = 8 };	/* flags of a header */

#define F_PROTOCOL_FEATURES	(1ULL << 30)
enum { P_MQ = 1 << 0, P_REPLY_ACK = 1 << 3, P_BACKEND_REQ = 1 << 5, P_CONFIG = 1 << 9 };

struct header {
	uint32_t request, flags, size;
};

struct ring_state {
	uint32_t index, number;
};

struct ring_address {
	uint32_t index, flags;
	uint64_t descriptors, used, available, log;
};

struct memory_table {
	uint32_t count, padding;
	uint64_t guest_address, size, user_address, offset;	/* of the one region */
};

struct config {
	uint32_t offset, size, flags;
	unsigned char data[HOST_VHOST_CONFIG_SIZE];
};

struct host_vhost {
	int socket;
	int backend;			/* our end of the socket for the server's requests, or -1 */
	int call;
	int kick[HOST_VHOST_RINGS];	/* -1: ring is stopped */
	int error;
	int waiting;			/* for an answer, or for room to send */
	int watched;			/* the socket has a watch, which an answer uses up */
	unsigned int rings;
	uint64_t features, protocol;
	struct {			/* what has come of the server's next request */
		struct header header;
		char payload[HOST_VHOST_CONFIG_SIZE];
	} incoming;
	unsigned int received;
};

static int vhost_fail(struct host_vhost *vhost, int error)
{
	if (!vhost->error)
		vhost->error = error;
	return vhost->error;
}

/* ---- messages ---- */

/* The server's part of an exchange: how long we have waited for it. */
struct patience {
	unsigned long long end;
	int tries;
};

/* The socket is not ready: lets time pass. -ETIMEDOUT at the end of patience. */
static int wait_for_server(struct host_vhost *vhost, int events, struct patience *patience)
{
	struct pollfd wanted = { .fd = vhost->socket, .events = events };

	if (!patience->tries++) {
		patience->end = host_monotonic_ns() + PATIENCE_NS;
		poll(&wanted, 1, SOON_MS);
		return 0;
	}
	if (host_monotonic_ns() > patience->end)
		return -ETIMEDOUT;
	kernel_pause();
	return 0;
}

/* All of length bytes, or -errno. Descriptors that come along are dropped by the host. */
static int receive(struct host_vhost *vhost, void *data, size_t length)
{
	struct patience patience = { 0 };
	int error = 0;

	while (length && !error) {
		ssize_t bytes = recv(vhost->socket, data, length, MSG_DONTWAIT);

		if (bytes > 0) {
			data = (char *)data + bytes;
			length -= bytes;
		} else if (!bytes) {
			error = -ECONNRESET;
		} else if (errno == EAGAIN) {
			error = wait_for_server(vhost, POLLIN, &patience);
		} else if (errno != EINTR) {
			error = -errno;
		}
	}
	return error;
}

/*
 * Sends a header and its payload without waiting; passed: a descriptor to go with it, or -1. They
 * fit into a socket buffer that is not full: what goes only in part is a server that does not read.
 * -EAGAIN: there is no room now.
 */
static int try_to_send(int fd, const struct header *header, const void *payload, int passed)
{
	struct iovec parts[2] = { { (void *)header, sizeof(*header) }, { (void *)payload, header->size } };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t bytes;

	if (passed >= 0) {
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	do
		bytes = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return -errno;
	return (size_t)bytes == sizeof(*header) + header->size ? 0 : -ETIMEDOUT;
}

static int send_request(struct host_vhost *vhost, const struct header *header, const void *payload, int passed)
{
	struct patience patience = { 0 };
	int error, waited = 0;

	do
		error = try_to_send(vhost->socket, header, payload, passed);
	while (error == -EAGAIN && !(waited = wait_for_server(vhost, POLLOUT, &patience)));
	return waited ? waited : error;
}

static int check_answer(const struct header *header, enum request request, size_t size, int or_nothing)
{
	int fits = header->size == size || (or_nothing && header->size == 0);

	return header->request == request && (header->flags & (3 | REPLY)) == (VERSION | REPLY) && fits ? 0 : -EPROTO;
}

/* The answer to request, of exactly size bytes unless less is allowed; returns its size. */
static int receive_answer(struct host_vhost *vhost, enum request request, void *answer, size_t size, int or_nothing)
{
	struct header header;
	int error = receive(vhost, &header, sizeof(header));

	if (!error)
		error = check_answer(&header, request, size, or_nothing);
	if (!error)
		error = receive(vhost, answer, header.size);
	return error ? error : (int)header.size;
}

/*
 * One exchange: a request, and its answer if there is one. Returns the size of the answer, or
 * -errno, which is the end of the conversation.
 */
static int vhost_exchange(struct host_vhost *vhost, const struct header *header,
			  const void *payload, int passed, void *answer, size_t size,
			  int or_nothing)
{
	int result;

	vhost->waiting = 1;
	result = send_request(vhost, header, payload, passed);
	if (!result && answer)
		result = receive_answer(vhost, header->request, answer, size, or_nothing);
	vhost->waiting = 0;
	if (vhost->watched)
		host_watch(vhost->socket, 0, HOST_IRQ_VIRTIO);
	return result < 0 ? vhost_fail(vhost, result) : result;
}

/*
 * Asks for something: payload and answer are of the same size, except that a request without
 * payload has none.
 */
static int ask(struct host_vhost *vhost, enum request request, const void *payload, void *answer, size_t size, int or_nothing)
{
	struct header header = { request, VERSION, payload ? size : 0 };

	return vhost->error ? vhost->error : vhost_exchange(vhost, &header, payload, -1, answer,
							    size, or_nothing);
}

static int ask_number(struct host_vhost *vhost, enum request request, uint64_t *number)
{
	int size = ask(vhost, request, NULL, number, sizeof(*number), 0);

	return size < 0 ? size : 0;
}

/*
 * Tells something. A server that knows REPLY_ACK says whether it went well; no is -EIO and does no
 * harm to the connection.
 */
static int vhost_tell(struct host_vhost *vhost, enum request request, const void *payload,
		      size_t size, int passed)
{
	int acknowledged = vhost->protocol & P_REPLY_ACK && request != SET_PROTOCOL_FEATURES;
	struct header header = { request, VERSION | (acknowledged ? NEED_REPLY : 0), size };
	uint64_t refused = 0;
	int result = vhost->error;

	if (!result)
		result = vhost_exchange(vhost, &header, payload, passed,
					acknowledged ? &refused : NULL, sizeof(refused), 0);
	return result < 0 ? result : refused ? -EIO : 0;
}

static int tell_number(struct host_vhost *vhost, enum request request, uint64_t number)
{
	return vhost_tell(vhost, request, &number, sizeof(number), -1);
}

static int tell_state(struct host_vhost *vhost, enum request request, uint32_t index, uint32_t number)
{
	struct ring_state state = { index, number };

	return vhost_tell(vhost, request, &state, sizeof(state), -1);
}

/* ---- starting ---- */

/* A server whose queue of connections is full is waited for. */
static int connect_to(struct host_vhost *vhost, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct patience patience = { 0 };
	int error = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	vhost->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (vhost->socket < 0)
		return -errno;
	while (!error && connect(vhost->socket, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EAGAIN)
			error = wait_for_server(vhost, POLLOUT, &patience);
		else if (errno != EINTR)
			error = -errno;
	}
	return error;
}

/*
 * A socket of its own for requests of the server, of which we want to hear "configuration changed".
 */
static int offer_backend_socket(struct host_vhost *vhost)
{
	int ends[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	vhost->backend = ends[0];
	error = vhost_tell(vhost, SET_BACKEND_REQ_FD, NULL, 0, ends[1]);
	close(ends[1]);
	return error;
}

static int agree_on_protocol(struct host_vhost *vhost)
{
	uint64_t offered, rings;
	int error = ask_number(vhost, GET_PROTOCOL_FEATURES, &offered);

	if (!error) {
		offered &= P_MQ | P_REPLY_ACK | P_BACKEND_REQ | P_CONFIG;
		error = tell_number(vhost, SET_PROTOCOL_FEATURES, offered);
		vhost->protocol = offered;
	}
	if (!error && offered & P_MQ) {
		error = ask_number(vhost, GET_QUEUE_NUM, &rings);
		if (!error)
			vhost->rings = rings < HOST_VHOST_RINGS ? rings : HOST_VHOST_RINGS;
	}
	if (!error && offered & P_BACKEND_REQ)
		error = offer_backend_socket(vhost);
	return error;
}

static int agree(struct host_vhost *vhost)
{
	int error = ask_number(vhost, GET_FEATURES, &vhost->features);

	if (!error && vhost->features & F_PROTOCOL_FEATURES)
		error = agree_on_protocol(vhost);
	if (!error)
		error = vhost_tell(vhost, SET_OWNER, NULL, 0, -1);
	return error;
}

int host_vhost_open(struct host_vhost **result, const char *path)
{
	struct host_vhost *vhost = calloc(1, sizeof(*vhost));
	int error;

	if (!vhost)
		return -ENOMEM;
	for (int i = 0; i < HOST_VHOST_RINGS; i++)
		vhost->kick[i] = -1;
	vhost->socket = vhost->backend = -1;
	vhost->rings = HOST_VHOST_RINGS;
	vhost->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = vhost->call < 0 ? -errno : 0;
	if (!error)
		error = connect_to(vhost, path);
	if (!error)
		error = agree(vhost);
	if (error) {
		host_vhost_close(vhost);
		return error;
	}
	vhost->watched = 1;
	host_watch(vhost->socket, 0, HOST_IRQ_VIRTIO);
	host_watch(vhost->call, 0, HOST_IRQ_VIRTIO);
	if (vhost->backend >= 0)
		host_watch(vhost->backend, 0, HOST_IRQ_VIRTIO);
	*result = vhost;
	return 0;
}

static void close_watched(int fd)
{
	if (fd < 0)
		return;
	host_unwatch(fd);
	close(fd);
}

void host_vhost_close(struct host_vhost *vhost)
{
	close_watched(vhost->socket);
	close_watched(vhost->backend);
	close_watched(vhost->call);
	for (int i = 0; i < HOST_VHOST_RINGS; i++)
		if (vhost->kick[i] >= 0)
			close(vhost->kick[i]);
	free(vhost);
}

unsigned long long host_vhost_features(const struct host_vhost *vhost)
{
	return vhost->features;
}

unsigned int host_vhost_ring_limit(const struct host_vhost *vhost)
{
	return vhost->rings;
}

int host_vhost_accept(struct host_vhost *vhost, unsigned long long features)
{
	struct memory_table table = {
		.count = 1, .guest_address = 0, .size = host_ram_size, .user_address = HOST_RAM_BASE, .offset = 0,
	};
	int error = tell_number(vhost, SET_FEATURES, features | (vhost->features & F_PROTOCOL_FEATURES));

	return error ? error : vhost_tell(vhost, SET_MEM_TABLE, &table, sizeof(table), host_ram_fd);
}

/* ---- rings ---- */

static int tell_event(struct host_vhost *vhost, enum request request, uint64_t index, int fd)
{
	return vhost_tell(vhost, request, &index, sizeof(index), fd);
}

static int describe_ring(struct host_vhost *vhost, const struct host_vhost_ring *ring)
{
	struct ring_address address = {
		.index = ring->index,
		.descriptors = HOST_RAM_BASE + ring->descriptors,
		.available = HOST_RAM_BASE + ring->available,
		.used = HOST_RAM_BASE + ring->used,
	};
	int error = tell_state(vhost, SET_VRING_NUM, ring->index, ring->size);

	if (!error)
		error = tell_state(vhost, SET_VRING_BASE, ring->index, 0);
	if (!error)
		error = vhost_tell(vhost, SET_VRING_ADDR, &address, sizeof(address), -1);
	return error;
}

int host_vhost_start_ring(struct host_vhost *vhost, const struct host_vhost_ring *ring)
{
	unsigned int index = ring->index;
	int error;

	if (index >= HOST_VHOST_RINGS || vhost->kick[index] >= 0)
		return -EINVAL;
	vhost->kick[index] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vhost->kick[index] < 0)
		return -errno;
	error = describe_ring(vhost, ring);
	if (!error)
		error = tell_event(vhost, SET_VRING_CALL, index, vhost->call);
	if (!error)
		error = tell_event(vhost, SET_VRING_KICK, index, vhost->kick[index]);
	if (!error && vhost->features & F_PROTOCOL_FEATURES)
		error = tell_state(vhost, SET_VRING_ENABLE, index, 1);
	if (error) {
		close(vhost->kick[index]);
		vhost->kick[index] = -1;
	}
	return error;
}

int host_vhost_stop_ring(struct host_vhost *vhost, unsigned int index)
{
	struct ring_state state = { index, 0 }, answer;
	int error = 0, size;

	if (index >= HOST_VHOST_RINGS || vhost->kick[index] < 0)
		return 0;
	if (vhost->features & F_PROTOCOL_FEATURES)
		error = tell_state(vhost, SET_VRING_ENABLE, index, 0);
	/* This is what stops it; the answer is where it stopped. */
	size = ask(vhost, GET_VRING_BASE, &state, &answer, sizeof(answer), 0);
	if (size > 0 && answer.index != index)
		size = vhost_fail(vhost, -EPROTO);
	close(vhost->kick[index]);
	vhost->kick[index] = -1;
	return size < 0 ? size : error;
}

void host_vhost_kick(struct host_vhost *vhost, unsigned int index)
{
	/* A full counter (EAGAIN) has woken the server already. */
	if (index < HOST_VHOST_RINGS && vhost->kick[index] >= 0)
		eventfd_write(vhost->kick[index], 1);
}

/* ---- configuration ---- */

/* Servers built on libvhost-user take every read to start at 0, so we always do. */
int host_vhost_get_config(struct host_vhost *vhost, unsigned int offset, void *data, unsigned int length)
{
	struct config config = { .offset = 0, .size = offset + length };
	size_t size = offsetof(struct config, data) + config.size;
	int answered;

	if (!(vhost->protocol & P_CONFIG))
		return -EOPNOTSUPP;
	if (offset > HOST_VHOST_CONFIG_SIZE || length > HOST_VHOST_CONFIG_SIZE - offset)
		return -EINVAL;
	answered = ask(vhost, GET_CONFIG, &config, &config, size, 1);
	if (answered < 0)
		return answered;
	if (!answered)
		return -EINVAL;
	if (config.offset != 0 || config.size != offset + length)
		return vhost_fail(vhost, -EPROTO);
	memcpy(data, config.data + offset, length);
	return 0;
}

int host_vhost_set_config(struct host_vhost *vhost, unsigned int offset, const void *data, unsigned int length)
{
	struct config config = { .offset = offset, .size = length };

	if (!(vhost->protocol & P_CONFIG))
		return -EOPNOTSUPP;
	if (offset > HOST_VHOST_CONFIG_SIZE || length > HOST_VHOST_CONFIG_SIZE - offset)
		return -EINVAL;
	memcpy(config.data, data, length);
	return vhost_tell(vhost, SET_CONFIG, &config, offsetof(struct config, data) + length, -1);
}

/* ---- events ---- */

/*
 * Takes what has come of the server's request. Returns 1 when all of it is there, 0 while it is
 * not, or -errno.
 */
static int take_in(struct host_vhost *vhost)
{
	struct header *header = &vhost->incoming.header;
	unsigned int wanted = sizeof(*header);

	for (;;) {
		ssize_t bytes;

		if (vhost->received >= sizeof(*header)) {
			if ((header->flags & (3 | REPLY)) != VERSION || header->size > sizeof(vhost->incoming.payload))
				return -EPROTO;
			wanted = sizeof(*header) + header->size;
		}
		if (vhost->received == wanted)
			return 1;
		bytes = recv(vhost->backend, (char *)&vhost->incoming + vhost->received, wanted - vhost->received, MSG_DONTWAIT);
		if (bytes < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (!bytes)
			return -ECONNRESET;
		vhost->received += bytes;
	}
}

/* Serves one request of the server, if there is a whole one; HOST_VHOST_ bits or -errno. */
static int serve_backend(struct host_vhost *vhost)
{
	unsigned int before = vhost->received;
	struct header header;
	uint64_t refused;
	int error = 0, whole = take_in(vhost);

	if (whole <= 0) {
		if (!whole && vhost->received != before)
			host_watch(vhost->backend, 0, HOST_IRQ_VIRTIO);
		return whole;
	}
	vhost->received = 0;
	header = vhost->incoming.header;
	refused = header.request != BACKEND_CONFIG_CHANGE;
	if (header.flags & NEED_REPLY) {
		header.flags = VERSION | REPLY;
		header.size = sizeof(refused);
		error = try_to_send(vhost->backend, &header, &refused, -1);
	}
	host_watch(vhost->backend, 0, HOST_IRQ_VIRTIO);
	return error ? error : refused ? 0 : HOST_VHOST_CONFIG_CHANGED;
}

/* Nothing comes on the main socket unasked for: what can be read there is its end, or a mistake. */
static int check_socket(struct host_vhost *vhost)
{
	char byte;
	ssize_t bytes;

	if (vhost->waiting)
		return 0;
	bytes = recv(vhost->socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
	if (bytes < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : vhost_fail(vhost, -errno);
	return vhost_fail(vhost, bytes ? -EPROTO : -ECONNRESET);
}

int host_vhost_collect(struct host_vhost *vhost)
{
	eventfd_t count;
	int events = 0, error;

	if (vhost->error)
		return vhost->error;
	if (eventfd_read(vhost->call, &count) == 0) {
		events = HOST_VHOST_USED;
		host_watch(vhost->call, 0, HOST_IRQ_VIRTIO);
	}
	if (vhost->backend >= 0) {
		int change = serve_backend(vhost);

		if (change < 0) {	/* the device goes on without it */
			close_watched(vhost->backend);
			vhost->backend = -1;
			change = 0;
		}
		events |= change;
	}
	error = check_socket(vhost);
	return error ? error : events;
}

int host_vhost_pause(struct host_vhost *vhost)
{
	struct pollfd wanted = { .fd = vhost->socket, .events = POLLIN };
	struct timespec time = { .tv_nsec = PAUSE_NS };

	if (!vhost->error && ppoll(&wanted, 1, &time, NULL) > 0)
		check_socket(vhost);
	return vhost->error;
}
