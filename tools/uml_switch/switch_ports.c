// SPDX-License-Identifier: GPL-2.0-only
/* The ports of the switch, and how frames go from one to others. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "switch.h"
#include "switch_table.h"
#include "tool.h"

struct port *ports;
struct counters all_counters;
unsigned int port_count;

static struct table *table;
static struct port **by_number;		/* of those that are there; NULL: a free number */
static int numbers;
static unsigned int room;		/* bytes of the longest frame that passes */
static struct frame pool[BATCH];
static struct sockaddr_un senders[BATCH];
static unsigned long backlog_bytes;
static struct port **touched;		/* ports with frames of this batch; room for all */
static unsigned int touched_count;

void ports_init(void)
{
	uint64_t secret;

	if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret))
		secret = getpid() * UINT64_C(0x9e3779b97f4a7c15);
	table = table_new(secret);
	if (!table)
		die("there is no memory");
	room = options.mtu + HEADER + TAG;
	for (unsigned int i = 0; i < BATCH; i++)
		pool[i].bytes = allocate(room);
}

/* ---- on the way out ---- */

static void drop_backlog(struct port *port)
{
	for (; port->waiting; port->waiting--) {
		struct frame *frame = &port->backlog[port->first];

		backlog_bytes -= frame->length;
		free(frame->bytes);
		port->first = (port->first + 1) % BACKLOG_FRAMES;
	}
}

static void put_off(struct port *port, const struct frame *frame)
{
	struct frame copy = { .length = frame->length };

	if (port->waiting < BACKLOG_FRAMES && backlog_bytes + frame->length <= BACKLOG_BYTES)
		copy.bytes = malloc(frame->length);
	if (!copy.bytes) {
		port->counters.out_full++;
		return;
	}
	memcpy(copy.bytes, frame->bytes, frame->length);
	port->backlog[(port->first + port->waiting) % BACKLOG_FRAMES] = copy;
	backlog_bytes += frame->length;
	if (!port->waiting++)
		watch_for(&port->source, EPOLLIN | EPOLLOUT);
}

static void count_out(struct port *port, unsigned int length)
{
	port->counters.out_frames++;
	port->counters.out_bytes += length;
}

/* Sends frames; returns how many were dealt with: the others have no room. */
static unsigned int port_send(struct port *port, const struct frame *const *frames,
			      unsigned int count)
{
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	unsigned int done = 0;

	for (unsigned int i = 0; i < count; i++) {
		pieces[i] = (struct iovec){ frames[i]->bytes, frames[i]->length };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &pieces[i],
							     .msg_iovlen = 1 } };
	}
	while (done < count) {
		int sent = port->is_tap ? writev(port->source.fd, &pieces[done], 1) :
					  sendmmsg(port->source.fd, messages + done, count - done,
						   MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
			break;
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			port->counters.out_error++;
			done++;
			continue;
		}
		for (int n = port->is_tap ? 1 : sent; n; n--)
			count_out(port, frames[done++]->length);
	}
	return done;
}

static void send_backlog(struct port *port)
{
	while (port->waiting) {
		const struct frame *frames[BATCH];
		unsigned int count = port->waiting < BATCH ? port->waiting : BATCH, done;

		for (unsigned int i = 0; i < count; i++)
			frames[i] = &port->backlog[(port->first + i) % BACKLOG_FRAMES];
		done = port_send(port, frames, count);
		for (unsigned int i = 0; i < done; i++) {
			backlog_bytes -= frames[i]->length;
			free(frames[i]->bytes);
		}
		port->first = (port->first + done) % BACKLOG_FRAMES;
		port->waiting -= done;
		if (done < count)
			return;
	}
	watch_for(&port->source, EPOLLIN);
}

/* Sends the port's frames of this batch. */
static void port_flush(struct port *port)
{
	const struct frame *frames[BATCH];
	unsigned int done = 0;

	for (unsigned int i = 0; i < port->count; i++)
		frames[i] = &pool[port->out[i]];
	if (!port->waiting)
		done = port_send(port, frames, port->count);
	for (; done < port->count; done++)
		put_off(port, frames[done]);
	port->count = 0;
}

static void flush_touched(void)
{
	for (unsigned int i = 0; i < touched_count; i++)
		port_flush(touched[i]);
	touched_count = 0;
}

/* ---- where frames go ---- */

static void pass(struct port *port, unsigned int number)
{
	if (!port->count)
		touched[touched_count++] = port;
	port->out[port->count++] = number;
}

static void flood(struct port *from, unsigned int number)
{
	for (struct port *port = ports; port; port = port->next)
		if (port != from)
			pass(port, number);
}

static unsigned int vlan_of(const struct frame *frame)
{
	const unsigned char *bytes = frame->bytes;

	if (!options.vlan || frame->length < HEADER + TAG || bytes[12] != 0x81 || bytes[13] != 0)
		return 0;
	return (bytes[14] << 8 | bytes[15]) & 0xfff;
}

/* Addresses are learned in the VLAN that the frame's tag names, if -vlan asks for that. */
static void learn(struct port *port, const struct frame *frame, unsigned int vlan)
{
	const unsigned char *from = frame->bytes + 6;

	if (table_learn(table, from, vlan, port->number, now_seconds()) != port->number)
		say("Addr: %02x:%02x:%02x:%02x:%02x:%02x New port %d", from[0], from[1], from[2],
		    from[3], from[4], from[5], port->number);
}

static void forward(struct port *port, unsigned int number)
{
	const struct frame *frame = &pool[number];
	unsigned int vlan = vlan_of(frame);
	int to;

	if (options.capture)
		capture_frame(frame->bytes, frame->length);
	if (options.hub) {
		flood(port, number);
		return;
	}
	learn(port, frame, vlan);
	to = frame->bytes[0] & 1 ? TABLE_NO_PORT :
				   table_find(table, frame->bytes, vlan, now_seconds());
	if (to == TABLE_NO_PORT)
		flood(port, number);
	else if (to == port->number)
		port->counters.own++;
	else
		pass(by_number[to], number);
}

/* ---- on the way in ---- */

/* Whether a frame of that many bytes, of which the pool has what fits, is one. */
static int take(struct port *port, unsigned int number, unsigned int length)
{
	struct frame *frame = &pool[number];

	if (length < HEADER) {
		port->counters.in_short++;
		return 0;
	}
	if (length > room || (length > room - TAG && (frame->bytes[12] != 0x81 ||
						      frame->bytes[13] != 0))) {
		port->counters.in_long++;
		return 0;
	}
	if (frame->bytes[6] & 1) {	/* a group sends nothing */
		port->counters.in_source++;
		return 0;
	}
	frame->length = length;
	port->counters.in_frames++;
	port->counters.in_bytes += length;
	return 1;
}

/* Reads what is there, at most a batch; lengths of all, or -1 at the end. */
static int receive(int fd, unsigned int lengths[BATCH], int with_senders)
{
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	int count;

	for (unsigned int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){ pool[i].bytes, room };
		messages[i] = (struct mmsghdr){ .msg_hdr = {
			.msg_iov = &pieces[i], .msg_iovlen = 1,
			.msg_name = with_senders ? &senders[i] : NULL,
			.msg_namelen = with_senders ? sizeof(senders[i]) : 0 } };
		if (with_senders)
			memset(&senders[i], 0, sizeof(senders[i]));
	}
	count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	for (int i = 0; i < count; i++)
		lengths[i] = messages[i].msg_len;
	return count;
}

static int receive_tap(int fd, unsigned int lengths[BATCH])
{
	int count = 0;

	while (count < BATCH) {
		struct iovec piece = { pool[count].bytes, room };
		ssize_t length = readv(fd, &piece, 1);

		if (length < 0)
			return count || errno == EAGAIN || errno == EINTR ? count : -1;
		lengths[count++] = length;
	}
	return count;
}

static void port_ready(struct source *source, uint32_t events)
{
	struct port *port = (struct port *)source;
	unsigned int lengths[BATCH];
	int count;

	if (events & EPOLLOUT)
		send_backlog(port);
	if (!(events & ~EPOLLOUT))
		return;
	count = port->is_tap ? receive_tap(source->fd, lengths) :
			       receive(source->fd, lengths, 0);
	if (count < 0 && port->is_tap)
		die("%s: the interface is gone", options.tap);
	for (int i = 0; i < count; i++)
		if (take(port, i, lengths[i]))
			forward(port, i);
	flush_touched();
}

void ports_receive_shared(int fd)
{
	unsigned int lengths[BATCH];
	int count = receive(fd, lengths, 1);

	for (int i = 0; i < count; i++)
		for (struct port *port = ports; port; port = port->next)
			if (port->address_length &&
			    !memcmp(&port->address, &senders[i], sizeof(senders[i]))) {
				if (take(port, i, lengths[i]))
					forward(port, i);
				break;
			}
	flush_touched();
}

/* ---- coming and going ---- */

static void *grown(void *array, int count)
{
	void *more = realloc(array, count * sizeof(struct port *));

	if (!more)
		die("there is no memory");
	return more;
}

static int free_number(void)
{
	int number;

	for (number = 0; number < numbers; number++)
		if (!by_number[number])
			return number;
	by_number = grown(by_number, numbers + 64);
	touched = grown(touched, numbers + 64);
	memset(by_number + numbers, 0, 64 * sizeof(struct port *));
	numbers += 64;
	return number;
}

int port_add(int fd, int is_tap, struct port **result)
{
	struct port *port = calloc(1, sizeof(*port));
	int error = port ? free_number() : -ENOMEM;

	if (error >= 0) {
		port->number = error;
		port->is_tap = is_tap;
		port->source = (struct source){ .fd = fd, .ready = port_ready };
		error = watch(&port->source, EPOLLIN);
	}
	if (error < 0) {
		free(port);
		return error;
	}
	by_number[port->number] = port;
	port->next = ports;
	ports = port;
	port_count++;
	*result = port;
	return 0;
}

static void add_counters(const struct counters *counters)
{
	const uint64_t *from = (const uint64_t *)counters;
	uint64_t *to = (uint64_t *)&all_counters;

	for (unsigned int i = 0; i < sizeof(*counters) / sizeof(*from); i++)
		to[i] += from[i];
}

void port_remove(struct port *port)
{
	struct port **at = &ports;

	while (*at != port)
		at = &(*at)->next;
	*at = port->next;
	port_count--;
	by_number[port->number] = NULL;
	table_forget(table, port->number);
	drop_backlog(port);
	add_counters(&port->counters);
	forget(&port->source);
}
