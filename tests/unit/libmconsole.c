// SPDX-License-Identifier: GPL-2.0-only
/*
 * libmconsole as a program uses it: errors, packets one by one, notifications. The instance is this
 * program. mconsole-client.t has the rest.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <mconsole.h>

#include "../guest/check.h"

#define SOON 5000

struct request {
	uint32_t magic, version, length;
	char text[512];
};

struct reply {
	uint32_t error, more, length;
	char text[512];
};

static char folder[] = "/tmp/libmconsole-XXXXXX", path[64], listened[64];
static struct mconsole_packet packet;

/* ---- an instance ---- */

static int serve(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	return bind(fd, (void *)&address, sizeof(address)) ? -1 : fd;
}

/* Takes a request, and answers it with a packet for each of the texts. */
static void answer(int fd, const char *const *texts)
{
	struct sockaddr_un client;
	socklen_t length = sizeof(client);
	struct request request;

	if (recvfrom(fd, &request, sizeof(request), 0, (void *)&client, &length) < 0)
		return;
	for (; *texts; texts++) {
		struct reply reply = { .more = texts[1] != NULL, .length = strlen(*texts) + 1 };

		strcpy(reply.text, *texts);
		sendto(fd, &reply, sizeof(reply), 0, (void *)&client, length);
	}
}

static int stop_after_one(void *data, const struct mconsole_packet *unused)
{
	(void)unused;
	return ++*(int *)data;
}

static void check_requests(void)
{
	static const char *const parts[] = { "one ", "two", NULL }, *const late[] = { "new", NULL };
	char long_text[MCONSOLE_LONGEST + 2];
	struct mconsole *console;
	unsigned int error;
	int fd = serve(), count = 0;
	char *text;

	check_equal(mconsole_open(folder, NULL, &console), MCONSOLE_OK,
		    "an instance is opened by the path of its folder");
	check(!strcmp(mconsole_path(console), path), "its socket's path is known");
	check_equal(mconsole_receive(console, 0, &packet), MCONSOLE_TIMEOUT,
		    "nothing has come yet");
	check_equal(mconsole_send(console, "first", SOON), MCONSOLE_OK, "a request is sent");
	answer(fd, parts);
	check_equal(mconsole_receive(console, SOON, &packet), MCONSOLE_OK, "a packet comes");
	check(packet.more && packet.length == 4 && !strcmp(packet.text, "one "),
	      "with its text, and the word that more follow");
	check_equal(mconsole_send(console, "second", SOON), MCONSOLE_OK,
		    "another request may be sent before the end of an answer");
	answer(fd, late);
	check_equal(mconsole_receive(console, SOON, &packet), MCONSOLE_OK, "it has an answer");
	check(!packet.more && !strcmp(packet.text, "new"),
	      "which is not the rest of the former one");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	check_equal(mconsole_send(console, long_text, SOON), MCONSOLE_TOO_LONG,
		    "a request of 512 bytes is refused");
	check_equal(mconsole_ask(console, "x", 10, &text, NULL, &error), MCONSOLE_TIMEOUT,
		    "without an answer the time limit ends it");
	check(!text, "and there is no text");
	/* That request still waits for the instance, which takes the older one first. */
	answer(fd, late);
	check_equal(mconsole_send(console, "third", SOON), MCONSOLE_OK, "the next request is sent");
	check_equal(mconsole_receive(console, 10, &packet), MCONSOLE_TIMEOUT,
		    "the late answer of the former one is not taken for its answer");
	answer(fd, parts);
	check(!mconsole_receive(console, SOON, &packet) &&
	      !mconsole_receive(console, SOON, &packet) && !strcmp(packet.text, "two"),
	      "which comes");
	for (int i = 0; i < 100 && mconsole_send(console, "full", 10) != MCONSOLE_TIMEOUT; i++)
		count = i;
	check(count < 99, "a request for which the instance has no room ends by the time limit");
	while (recv(fd, long_text, sizeof(long_text), MSG_DONTWAIT) > 0)
		;
	count = 0;
	if (!fork()) {
		answer(fd, parts);
		_exit(0);
	}
	check_equal(mconsole_request(console, "x", SOON, stop_after_one, &count, &error),
		    MCONSOLE_STOPPED, "the caller's function can end it");
	check_equal(count, 1, "after the packet that it was called for");
	close(fd);
	check_equal(mconsole_ask(console, "x", SOON, &text, NULL, &error), MCONSOLE_GONE,
		    "an instance that has gone is an error");
	mconsole_close(console);
	check_equal(mconsole_open(folder, NULL, &console), MCONSOLE_DEAD,
		    "a dead one is not opened");
	check(!console, "and there is no console");
	unlink(path);
	check_equal(mconsole_open(folder, NULL, &console), MCONSOLE_NOBODY,
		    "nor one that is not there");
	mconsole_close(NULL);
}

/* ---- the list ---- */

static void check_list(void)
{
	struct mconsole_instance *list, instance;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char name[64], pid_path[128];
	size_t count;
	int fd;

	snprintf(name, sizeof(name), "%s/some", folder);
	snprintf(pid_path, sizeof(pid_path), "%s/pid", name);
	mkdir(name, 0700);
	check(!mconsole_list(folder, &list, &count) && !count,
	      "a folder without anything in it is no instance");
	mconsole_list_free(list, count);
	fd = open(pid_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	check_equal(write(fd, "4711\n", 5), 5, "a file pid is written");
	check(!mconsole_list(folder, &list, &count) && count == 1 &&
	      !strcmp(list[0].name, "some") && !strcmp(list[0].folder, name) &&
	      list[0].pid == 4711 && list[0].state == MCONSOLE_IS_DEAD,
	      "with a file pid without a lock it is a dead one");
	mconsole_list_free(list, count);
	fcntl(fd, F_OFD_SETLK, &lock);
	check(!mconsole_look(name, &instance) && instance.state == MCONSOLE_LIVES &&
	      instance.pid == 4711, "with a lock it lives");
	mconsole_look_free(&instance);
	check_equal(mconsole_look("/nonexistent", &instance), MCONSOLE_NOBODY,
		    "a folder that is not there is no instance");
	check(!mconsole_list("/nonexistent", &list, &count) && !count,
	      "there is none in a folder that is not there");
	mconsole_list_free(list, count);
	close(fd);
	unlink(pid_path);
	rmdir(name);
}

/* ---- notifications ---- */

static void notify(const void *data, size_t length)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, listened);
	sendto(fd, data, length, 0, (void *)&address, sizeof(address));
	close(fd);
}

/* A socket that no program serves. */
static void leave_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, listened);
	if (bind(fd, (void *)&address, sizeof(address)))
		say("# bind: %s\n", strerror(errno));
	close(fd);
}

struct notice {
	uint32_t magic, version, kind, length;
	char text[512];
};

static void check_notifications(void)
{
	struct notice notice = { 0xcafebabe, 2, 1, 6, "panic" };
	struct { uint64_t magic; uint32_t version, kind, length; char text[512]; } old = {
		0xcafebabe, 2, 2, 0, "",
	};
	struct mconsole_notification got;
	struct mconsole_listener *listener, *other;
	struct stat status;

	check_equal(mconsole_listen(listened, &listener), MCONSOLE_OK, "a listener is made");
	check(!stat(listened, &status) && (status.st_mode & 0777) == 0600,
	      "its socket has mode 0600");
	check_equal(mconsole_next(listener, 0, &got), MCONSOLE_TIMEOUT, "nothing has come yet");
	notify("junk", 4);
	notify(&notice, sizeof(notice));
	check(!mconsole_next(listener, SOON, &got) && got.kind == MCONSOLE_PANIC &&
	      got.length == 5 && !strcmp(got.text, "panic"),
	      "a notification comes; junk is dropped");
	notice.length = 0xffffffff;
	memset(notice.text, 'x', sizeof(notice.text));
	notify(&notice, sizeof(notice));
	check(!mconsole_next(listener, SOON, &got) && got.length == 511 && strlen(got.text) == 511,
	      "one has at most 511 bytes of text");
	notify(&notice, offsetof(struct notice, text) + 10);
	check(!mconsole_next(listener, SOON, &got) && got.length == 10 &&
	      !strcmp(got.text, "xxxxxxxxxx"),
	      "one that claims to be longer than its packet is as long as that");
	notice.length = 3;
	notify(&notice, sizeof(notice));
	check(!mconsole_next(listener, SOON, &got) && got.length == 3 && !strcmp(got.text, "xxx"),
	      "one that is shorter ends where it says");
	notify(&old, sizeof(old));
	check(!mconsole_next(listener, SOON, &got) && got.kind == MCONSOLE_HANG && !got.length,
	      "a hang's packet of an old kernel with a magic number of 8 bytes is understood");
	check_equal(mconsole_listen(listened, &other), MCONSOLE_IN_USE,
		    "a socket that a program listens on is refused");
	mconsole_unlisten(listener);
	leave_socket();
	check_equal(mconsole_listen(listened, &listener), MCONSOLE_OK,
		    "one that a program left is replaced");
	unlink(listened);
	check_equal(mconsole_listen(listened, &other), MCONSOLE_OK,
		    "one that was removed is made");
	mconsole_unlisten(listener);
	check(!stat(listened, &status),
	      "a former listener does not remove the new one's socket");
	mconsole_unlisten(other);
	check(stat(listened, &status) && errno == ENOENT,
	      "a listener removes its socket at its end");
	mconsole_unlisten(NULL);
}

static void check_errors(void)
{
	int same = 0;

	for (int code = MCONSOLE_OK; code > MCONSOLE_SYSTEM; code--)
		same += !strcmp(mconsole_strerror(code), "unknown error");
	errno = ENOENT;
	check(!same && !strcmp(mconsole_strerror(MCONSOLE_SYSTEM), strerror(ENOENT)) &&
	      !strcmp(mconsole_strerror(1), "unknown error"), "each code has a text");
}

int main(void)
{
	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/mconsole", folder);
	snprintf(listened, sizeof(listened), "%s/notify", folder);
	check_requests();
	check_list();
	check_notifications();
	check_errors();
	check_equal(rmdir(folder), 0, "nothing is left");
	return check_done();
}
