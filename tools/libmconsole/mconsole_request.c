// SPDX-License-Identifier: GPL-2.0-only
/*
 * libmconsole: requests and their answers.
 *
 * The socket is connected to the instance's, so that packets of others do not arrive. It has a
 * name that the host chooses. After a request whose answer was not read to its end it is replaced
 * by a new one, since late packets would look like the next answer.
 *
 * A connected datagram socket is not notified when its peer goes. So a waiting caller looks once a
 * second whether the instance's socket is still served. The instance notices nothing of this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mconsole_private.h"

#define LOOK_EVERY	1000	/* milliseconds */

struct request_packet {
	uint32_t magic, version, length;
	char text[MCONSOLE_ROOM];
};

struct reply_packet {
	uint32_t error, more, length;
	char text[MCONSOLE_ROOM + 1];	/* room for a NUL */
};

struct mconsole {
	char *path;
	int fd;			/* -1: to be opened */
	int is_answered;	/* nothing more will come for the last request */
	struct reply_packet packet;
};

/* ---- opening ---- */

static int code_of(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return MCONSOLE_NOBODY;
	case ECONNREFUSED:
		return MCONSOLE_DEAD;
	case EACCES:
	case EPERM:
		return MCONSOLE_DENIED;
	default:
		return MCONSOLE_SYSTEM;
	}
}

static int open_socket(struct mconsole *console)
{
	struct sockaddr_un unnamed = { .sun_family = AF_UNIX };
	int error;

	console->fd = mconsole_connected(console->path);
	if (console->fd < 0)
		return code_of(errno);
	/* Without a name the host chooses a free abstract one. */
	if (!bind(console->fd, (void *)&unnamed, sizeof(unnamed.sun_family)))
		return MCONSOLE_OK;
	error = errno;
	close(console->fd);
	console->fd = -1;
	errno = error;
	return MCONSOLE_SYSTEM;
}

int mconsole_open(const char *name, const char *uml_dir, struct mconsole **result)
{
	struct mconsole *console;
	char *path;
	int code = mconsole_find(name, uml_dir, &path);

	*result = NULL;
	if (code) {
		free(path);
		return code;
	}
	console = calloc(1, sizeof(*console));
	if (!console) {
		free(path);
		return MCONSOLE_SYSTEM;
	}
	console->path = path;
	console->is_answered = 1;
	code = open_socket(console);
	if (code)
		mconsole_close(console);
	else
		*result = console;
	return code;
}

void mconsole_close(struct mconsole *console)
{
	if (!console)
		return;
	if (console->fd >= 0)
		close(console->fd);
	free(console->path);
	free(console);
}

const char *mconsole_path(const struct mconsole *console)
{
	return console->path;
}

int mconsole_fd(const struct mconsole *console)
{
	return console->fd;
}

/* ---- sending and receiving ---- */

static int is_served(const struct mconsole *console)
{
	int fd = mconsole_connected(console->path);

	if (fd < 0)
		return errno != ECONNREFUSED && errno != ENOENT;
	close(fd);
	return 1;
}

/* Waits for @events; MCONSOLE_OK: they may have come. */
static int wait_for(struct mconsole *console, short events, int left)
{
	struct pollfd poll_for = { .fd = console->fd, .events = events };
	int ready = poll(&poll_for, 1, left < 0 || left > LOOK_EVERY ? LOOK_EVERY : left);

	if (ready < 0 && errno != EINTR)
		return MCONSOLE_SYSTEM;
	if (ready || is_served(console))
		return ready || left < 0 || left > LOOK_EVERY ? MCONSOLE_OK : MCONSOLE_TIMEOUT;
	/* It may have answered as its last deed. */
	return poll(&poll_for, 1, 0) > 0 ? MCONSOLE_OK : MCONSOLE_GONE;
}

static int send_packet(struct mconsole *console, const struct request_packet *packet, int limit)
{
	int64_t start = mconsole_now();
	int code;

	while (send(console->fd, packet, sizeof(*packet), MSG_NOSIGNAL) < 0) {
		if (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET)
			return MCONSOLE_GONE;
		if (errno != EAGAIN && errno != EINTR)
			return code_of(errno);
		code = errno == EINTR ? MCONSOLE_OK :
		       wait_for(console, POLLOUT, mconsole_left(limit, start));
		if (code)
			return code;
	}
	return MCONSOLE_OK;
}

int mconsole_send(struct mconsole *console, const char *text, int limit)
{
	struct request_packet packet = { .magic = MCONSOLE_MAGIC, .version = MCONSOLE_VERSION };
	int code;

	if (strlen(text) > MCONSOLE_LONGEST)
		return MCONSOLE_TOO_LONG;
	if (!console->is_answered && console->fd >= 0) {
		close(console->fd);
		console->fd = -1;
	}
	code = console->fd < 0 ? open_socket(console) : MCONSOLE_OK;
	if (code)
		return code == MCONSOLE_NOBODY || code == MCONSOLE_DEAD ? MCONSOLE_GONE : code;
	packet.length = strlen(text);
	memcpy(packet.text, text, packet.length);
	code = send_packet(console, &packet, limit);
	console->is_answered = code != MCONSOLE_OK;
	return code;
}

/* The text ends where the packet says, and before the NUL that kernels count. */
static int take_apart(struct mconsole *console, size_t got, struct mconsole_packet *packet)
{
	struct reply_packet *reply = &console->packet;
	const size_t head = offsetof(struct reply_packet, text);

	if (got < head || got > head + MCONSOLE_ROOM)
		return MCONSOLE_STRANGE;
	packet->length = reply->length < got - head ? reply->length : got - head;
	if (packet->length && !reply->text[packet->length - 1])
		packet->length--;
	reply->text[packet->length] = '\0';
	packet->text = reply->text;
	packet->error = reply->error;
	packet->more = reply->more != 0;
	console->is_answered = !packet->more;
	return MCONSOLE_OK;
}

int mconsole_receive(struct mconsole *console, int limit, struct mconsole_packet *packet)
{
	int64_t start = mconsole_now();
	ssize_t got;
	int code;

	for (;;) {
		got = recv(console->fd, &console->packet, sizeof(console->packet), MSG_DONTWAIT);
		if (got >= 0)
			return take_apart(console, got, packet);
		if (errno == ECONNREFUSED || errno == ECONNRESET)
			return MCONSOLE_GONE;
		if (errno != EAGAIN && errno != EINTR)
			return MCONSOLE_SYSTEM;
		code = wait_for(console, POLLIN, mconsole_left(limit, start));
		if (code)
			return code;
	}
}

/* ---- both ---- */

int mconsole_request(struct mconsole *console, const char *text, int limit,
		     mconsole_function function, void *data, unsigned int *error)
{
	struct mconsole_packet packet = { .more = 1 };
	int code = mconsole_send(console, text, limit);

	*error = 0;
	while (!code && packet.more) {
		code = mconsole_receive(console, limit, &packet);
		if (code)
			break;
		if (!*error)
			*error = packet.error;
		if (function(data, &packet))
			code = MCONSOLE_STOPPED;
	}
	return code;
}

struct answer {
	char *text;
	size_t length, room;
};

static int append(void *data, const struct mconsole_packet *packet)
{
	struct answer *answer = data;

	if (answer->length + packet->length >= answer->room) {
		size_t room = 2 * answer->room + MCONSOLE_ROOM;
		char *text = realloc(answer->text, room);

		if (!text)
			return 1;
		answer->text = text;
		answer->room = room;
	}
	memcpy(answer->text + answer->length, packet->text, packet->length + 1);
	answer->length += packet->length;
	return 0;
}

int mconsole_ask(struct mconsole *console, const char *text, int limit, char **result,
		 size_t *length, unsigned int *error)
{
	struct answer answer = { 0 };
	int code = mconsole_request(console, text, limit, append, &answer, error);

	if (code == MCONSOLE_STOPPED) {
		errno = ENOMEM;
		code = MCONSOLE_SYSTEM;
	}
	if (code) {
		free(answer.text);
		answer.text = NULL;
		answer.length = 0;
	}
	*result = answer.text;
	if (length)
		*length = answer.length;
	return code;
}
