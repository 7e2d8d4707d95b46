// SPDX-License-Identifier: GPL-2.0-only
/*
 * The management console's socket: requests come in and answers go out as datagrams.
 *
 * An answer that does not go out at once waits in a queue of its client, from which a thread
 * sends, trying again after a moment. It has a socket for each such client, since what clients
 * have not read yet counts against the sender's buffer: some that never read would use up the
 * common one. A client that takes nothing for PATIENCE is forgotten. The lock covers the queues.
 * It is held for calls that do not sleep.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <host/irq.h>
#include <host/mconsole.h>
#include <host/process.h>

#include "os.h"
#include "instance.h"

#define MAGIC		0xcafebabe
#define VERSION		2
#define PATIENCE	10		/* seconds */
#define LOST_ROOM	64		/* clients */
#define CLIENT_ROOM	64		/* packets that wait for a client */
#define ALL_ROOM	8192		/* packets that wait for all of them */

struct request_packet {
	uint32_t magic, version, length;
	char text[HOST_MCONSOLE_TEXT];
};

struct reply_packet {
	uint32_t error, more, length;
	char text[HOST_MCONSOLE_TEXT];
};

struct notification_packet {
	uint32_t magic, version, kind, length;
	char text[HOST_MCONSOLE_TEXT];
};

struct waiting_packet {
	struct waiting_packet *next;
	struct reply_packet packet;
};

struct waiting_client {
	struct waiting_client *next;
	struct host_mconsole_client who;
	int fd;					/* connected to it; -1: the common socket */
	struct waiting_packet *first, **end;
	int count;
	time_t since;				/* it last took something */
};

const char *host_mconsole_option;

static int mconsole = -1;
static char *mconsole_path;
static struct sockaddr_un notified;		/* sun_path is empty without mconsole= */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t waits = PTHREAD_COND_INITIALIZER;
static struct waiting_client *clients, **clients_end = &clients;
static int waiting_count, has_sender;
/* Those that were forgotten last, until they ask for something again. */
static struct host_mconsole_client lost[LOST_ROOM];
static unsigned int lost_count;

void host_mconsole_init(void)
{
	static const char notify[] = "notify:";
	const char *path = host_mconsole_option;

	if (path) {
		if (strncmp(path, notify, strlen(notify)) || !path[strlen(notify)])
			host_fatal("mconsole=%s: not notify:<socket>", path);
		path += strlen(notify);
		if (strlen(path) >= sizeof(notified.sun_path))
			host_fatal("mconsole=notify:%s: a socket's path has at most 107 bytes",
				   path);
		notified.sun_family = AF_UNIX;
		strcpy(notified.sun_path, path);
	}
	if (!host_umid()[0])
		return;
	mconsole = host_instance_socket("mconsole", SOCK_DGRAM);
	if (mconsole < 0 && host_instance_is_wanted())
		host_fatal("no socket for the management console: %s; see uml_dir=",
			   strerror(-mconsole));
	if (mconsole < 0) {
		host_warn("no management console: socket: %s", strerror(-mconsole));
		return;
	}
	mconsole_path = host_instance_path("mconsole");
	host_mconsole_notify(HOST_NOTIFY_SOCKET, mconsole_path, strlen(mconsole_path));
}

const char *host_mconsole_path(void)
{
	return mconsole_path ? mconsole_path : "";
}

/* ---- clients that do not read; the lock is held ---- */

static int is_same(const struct host_mconsole_client *one, const struct host_mconsole_client *other)
{
	return one->length == other->length && !memcmp(one->name, other->name, one->length);
}

static struct host_mconsole_client *find_lost(const struct host_mconsole_client *who)
{
	for (unsigned int i = 0; i < LOST_ROOM && i < lost_count; i++)
		if (is_same(&lost[i], who))
			return &lost[i];
	return NULL;
}

static void add_lost(const struct host_mconsole_client *who)
{
	if (!find_lost(who))
		lost[lost_count++ % LOST_ROOM] = *who;
}

/* It asks for something, so that it will read. */
static void find_again(const struct host_mconsole_client *who)
{
	struct host_mconsole_client *found;

	pthread_mutex_lock(&lock);
	found = who->length ? find_lost(who) : NULL;
	if (found)
		found->length = 0;
	pthread_mutex_unlock(&lock);
}

/* ---- requests ---- */

/* The length of a request's text, or -EINVAL. */
static long length_of(const struct request_packet *packet, long got)
{
	const long head = offsetof(struct request_packet, text);

	if (got < head || packet->magic != MAGIC || packet->version != VERSION)
		return -EINVAL;
	got -= head;
	if (packet->length < got)
		got = packet->length;
	return got < HOST_MCONSOLE_TEXT ? got : HOST_MCONSOLE_TEXT - 1;
}

static void watch(void)
{
	static int has_failed;
	int error = host_try_watch(mconsole, 0, HOST_IRQ_MCONSOLE);

	if (error && !has_failed)
		host_warn("no management console: epoll_ctl: %s", strerror(-error));
	has_failed |= error;
}

long host_mconsole_receive(struct host_mconsole_client *client, char *text)
{
	static const char strange[] = "this is no request of version 2 of the protocol";
	struct request_packet packet;
	struct sockaddr_un from;
	socklen_t from_length;
	long got, length;

	while (mconsole >= 0) {
		from_length = sizeof(from);
		got = recvfrom(mconsole, &packet, sizeof(packet), MSG_DONTWAIT, (void *)&from,
			       &from_length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			watch();
			break;
		}
		client->length = from_length > sizeof(sa_family_t) ? from_length : 0;
		memcpy(client->name, &from, client->length);
		length = length_of(&packet, got);
		if (length < 0) {
			host_mconsole_reply(client, HOST_MCONSOLE_ERROR, 0, strange,
					    strlen(strange), 0);
			continue;
		}
		find_again(client);
		memcpy(text, packet.text, length);
		text[length] = '\0';
		return strlen(text);
	}
	return -EAGAIN;
}

void host_mconsole_wait(int milliseconds)
{
	struct pollfd poll_for = { .fd = mconsole, .events = POLLIN };

	poll(&poll_for, 1, milliseconds ? milliseconds : -1);
}

/* ---- answers ---- */

/* 0; -EAGAIN: there is no room; or what sendto(2) gave: the client is gone. */
static int send_packet(int fd, const struct host_mconsole_client *to,
		       const struct reply_packet *packet)
{
	/* A connected socket is not given the name again. */
	const void *name = fd < 0 ? to->name : NULL;
	socklen_t length = fd < 0 ? to->length : 0;

	for (;;) {
		if (sendto(fd < 0 ? mconsole : fd, packet, sizeof(*packet),
			   MSG_DONTWAIT | MSG_NOSIGNAL, name, length) >= 0)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			return -EAGAIN;
		if (errno != EINTR)
			return -errno;
	}
}

static time_t seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void drop_first(struct waiting_client *client)
{
	struct waiting_packet *first = client->first;

	client->first = first->next;
	if (!client->first)
		client->end = &client->first;
	client->count--;
	waiting_count--;
	free(first);
}

/* Sends what there is room for; whether that was something. */
static int serve(struct waiting_client *client, time_t now)
{
	int before = client->count;

	while (client->first &&
	       send_packet(client->fd, &client->who, &client->first->packet) != -EAGAIN)
		drop_first(client);
	if (client->count != before)
		client->since = now;
	if (client->first && now - client->since >= PATIENCE)
		add_lost(&client->who);
	while (client->first && now - client->since >= PATIENCE)
		drop_first(client);
	return client->count != before;
}

static void forget(struct waiting_client **at)
{
	struct waiting_client *client = *at;

	*at = client->next;
	if (!*at)
		clients_end = at;
	if (client->fd >= 0)
		close(client->fd);
	free(client);
}

/* In the order in which they came. */
static int serve_all(void)
{
	time_t now = seconds_now();
	int moved = 0;

	for (struct waiting_client **at = &clients; *at;) {
		moved |= serve(*at, now);
		if ((*at)->first)
			at = &(*at)->next;
		else
			forget(at);
	}
	return moved;
}

static void *sender_loop(void *unused)
{
	struct timespec moment = { .tv_nsec = 1000000 };

	for (;;) {
		int moved;

		pthread_mutex_lock(&lock);
		while (!clients)
			pthread_cond_wait(&waits, &lock);
		moved = serve_all();
		pthread_mutex_unlock(&lock);
		if (!moved)
			nanosleep(&moment, NULL);
	}
	return unused;
}

static struct waiting_client *find_client(const struct host_mconsole_client *who)
{
	for (struct waiting_client *client = clients; client; client = client->next)
		if (is_same(&client->who, who))
			return client;
	return NULL;
}

static int connect_to(const struct host_mconsole_client *who)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* A client that is connected to the common socket lets no other one send. */
	if (fd >= 0 && connect(fd, (void *)who->name, who->length)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static struct waiting_client *new_client(const struct host_mconsole_client *who)
{
	struct waiting_client *client = malloc(sizeof(*client));

	if (!client)
		return NULL;
	client->who = *who;
	client->first = NULL;
	client->end = &client->first;
	client->count = 0;
	client->since = seconds_now();
	client->fd = connect_to(who);
	client->next = NULL;
	*clients_end = client;
	clients_end = &client->next;
	return client;
}

/*
 * The lock is held. Where there is neither memory nor a thread for it, the packet is lost as on a
 * full socket.
 */
static void put_off(struct waiting_client *client, const struct host_mconsole_client *who,
		    const struct reply_packet *packet)
{
	struct waiting_packet *waiting = malloc(sizeof(*waiting));

	if (!has_sender)
		has_sender = !host_thread(sender_loop, NULL);
	if (waiting && has_sender && !client)
		client = new_client(who);
	if (!waiting || !has_sender || !client) {
		free(waiting);
		return;
	}
	waiting->packet = *packet;
	waiting->next = NULL;
	*client->end = waiting;
	client->end = &waiting->next;
	client->count++;
	waiting_count++;
	pthread_cond_signal(&waits);
}

int host_mconsole_reply(const struct host_mconsole_client *who, unsigned int error, int more,
			const char *text, unsigned int length, int must)
{
	struct reply_packet packet = { .error = error, .more = more };
	struct waiting_client *client;
	int result = -EAGAIN;

	if (mconsole < 0 || !who->length)
		return 0;
	if (length > HOST_MCONSOLE_TEXT - 1)
		length = HOST_MCONSOLE_TEXT - 1;
	memcpy(packet.text, text, length);
	packet.length = length + 1;		/* with the NUL, as clients expect */
	pthread_mutex_lock(&lock);
	client = find_client(who);
	if (!must && find_lost(who))
		result = -ETIMEDOUT;
	else if (!client)
		result = send_packet(-1, who, &packet);
	if (result == -EAGAIN && waiting_count < ALL_ROOM &&
	    (must || !client || client->count < CLIENT_ROOM)) {
		put_off(client, who, &packet);
		result = 0;
	}
	pthread_mutex_unlock(&lock);
	return result;
}

/* ---- notifications ---- */

const char *host_notify_socket(void)
{
	return notified.sun_path[0] ? notified.sun_path : NULL;
}

int host_mconsole_notify(unsigned int kind, const char *text, unsigned int length)
{
	struct notification_packet packet = { .magic = MAGIC, .version = VERSION, .kind = kind };
	int fd = mconsole, error;

	if (!notified.sun_path[0])
		return -ENOTCONN;
	if (length > sizeof(packet.text) - 1)
		length = sizeof(packet.text) - 1;
	memcpy(packet.text, text, length);
	packet.length = length + 1;
	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	error = sendto(fd, &packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL, (void *)&notified,
		       sizeof(notified)) < 0 ? -errno : 0;
	if (fd != mconsole)
		close(fd);
	return error;
}
