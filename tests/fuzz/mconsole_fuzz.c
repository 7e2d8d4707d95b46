// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the management console: both sides as they are in ./linux, and around them a Linux that
 * does nothing (pretend_guest.c). It sends packets of any size to the socket mconsole, frames to
 * the socket exec, bytes to a console that speaks telnet, and notifications of any text.
 *
 * An input is the kind of client and its packets. Whatever they are, the sanitizers find nothing, a
 * packet gets one answer, one that is no request is refused, and a connection to the socket exec
 * ends with one frame that says how.
 *
 * With clang and libFuzzer: -fsanitize=fuzzer -DLIBFUZZER. Otherwise its main() makes requests and
 * damages them: mconsole_fuzz <seed> <runs> [<seconds>], which ends after the seconds
 * where they are given.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <host/exec.h>
#include <host/irq.h>
#include <host/mconsole.h>
#include <host/process.h>
#include <host/time.h>
#include <host/vcpu.h>

#include "../../arch/um/os-Linux/drivers/console/telnet.h"
#include "../../arch/um/os-Linux/drivers/mconsole/instance.h"
#include "../../arch/um/os-Linux/os.h"
#include "mconsole_fuzz.h"

#define MAGIC		0xcafebabe
#define VERSION		2
#define LONGEST		65536		/* a packet */
#define MOST		(1 << 17)	/* bytes of an input that are used */
#define MOST_HELD	8		/* packets that a socket keeps */
#define PATIENCE	20000		/* milliseconds that an answer may take */

enum { DATAGRAMS, MORE_DATAGRAMS, COMMANDS, TELNET, KINDS };

/* The byte before a packet's length and its bytes says how it is sent. */
enum {
	WITH_HEAD = 1,			/* a right one is put before it */
	NAMELESS = 2,			/* its client cannot be answered */
	SILENT = 4,			/* its client does not read */
	PADDED = 8,			/* with zeroes, as clients send requests */
	LONG = 16,			/* to the longest */
	HELD = 32,			/* it is served together with the next one */
};

struct packet {
	unsigned int flags, length;
	const unsigned char *data;
};

static unsigned long choices, requests, refused, commands;

unsigned int choose(unsigned int count)
{
	choices = choices * 6364136223846793005 + 1442695040888963407;
	return count ? (choices >> 33) % count : 0;
}

/* ---- the host side around the sockets ---- */

struct vcpu host_vcpus[HOST_MAX_VCPUS];

static socklen_t address_of(struct sockaddr_un *address, const char *name)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	return sizeof(sa_family_t) + 1 +
	       snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "fuzz-%d-%s",
			getpid(), name);
}

int host_instance_socket(const char *entry, int type)
{
	struct sockaddr_un address;
	socklen_t length = address_of(&address, entry);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert(!bind(fd, (void *)&address, length));
	return fd;
}

char *host_instance_path(const char *entry)
{
	return strdup(entry);
}

int host_instance_is_wanted(void)
{
	return 1;
}

const char *host_umid(void)
{
	return "fuzz";
}

int host_thread(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, body, argument);
}

void host_raise(struct vcpu *vcpu, int irq)
{
}

int host_try_watch(int fd, int write, int irq)
{
	return 0;
}

void host_watch(int fd, int write, int irq)
{
}

void host_ram_prove(const void *start, unsigned long length)
{
	abort();
}

const char *host_error_text(int error)
{
	return strerror(-error);
}

void host_warn(const char *format, ...)
{
	abort();
}

void host_fatal(const char *format, ...)
{
	abort();
}

/* ---- clients of the socket mconsole ---- */

struct reply {
	uint32_t error, more, length;
	char text[HOST_MCONSOLE_TEXT];
};

static struct client {
	int fd;
	unsigned int answers;		/* that have come to their end */
	struct reply last;
} reader, silent, nameless;

static struct sockaddr_un mconsole;
static socklen_t mconsole_length;

static void open_client(struct client *client, const char *name)
{
	struct sockaddr_un address;
	socklen_t length = name ? address_of(&address, name) : 0;

	client->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert(!name || !bind(client->fd, (void *)&address, length));
}

static void check_reply(const struct reply *reply, long got)
{
	assert(got == sizeof(*reply) && reply->more <= 1);
	assert(reply->length && reply->length <= sizeof(reply->text));
	assert(!reply->text[reply->length - 1]);
}

static void read_replies(struct client *client)
{
	struct reply reply;
	long got;

	while ((got = recv(client->fd, &reply, sizeof(reply), MSG_TRUNC)) >= 0) {
		check_reply(&reply, got);
		client->answers += !reply.more;
		client->last = reply;
	}
}

static void serve(void)
{
	guest_interrupt(HOST_IRQ_MCONSOLE);
	guest_work();
}

static void send_packet(struct client *client, const void *packet, size_t length)
{
	while (sendto(client->fd, packet, length, 0, (void *)&mconsole, mconsole_length) < 0) {
		assert(errno == EAGAIN);
		serve();		/* the socket is full */
	}
}

static void send_request(struct client *client, const char *text)
{
	unsigned char packet[524] = { 0 };
	uint32_t head[3] = { MAGIC, VERSION, strlen(text) };

	memcpy(packet, head, sizeof(head));
	strcpy((char *)packet + sizeof(head), text);
	send_packet(client, packet, sizeof(packet));
}

static unsigned long long now = 1;

unsigned long long host_monotonic_ns(void)
{
	return now;
}

/* Where the stopped instance waits: time passes, or a client lets it go. */
int __real_poll(struct pollfd *list, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *list, nfds_t count, int timeout)
{
	if (timeout > 0 && choose(2)) {
		now += timeout * 1000000ULL;
		return 0;
	}
	if (timeout)
		send_request(&nameless, "go");
	return __real_poll(list, count, timeout);
}

/* The rest of an answer may wait in a queue, from which a thread sends it. */
static void await_answer(unsigned int answers)
{
	struct pollfd poll_for = { .fd = reader.fd, .events = POLLIN };

	read_replies(&reader);
	while (reader.answers < answers) {
		assert(__real_poll(&poll_for, 1, PATIENCE) == 1);
		read_replies(&reader);
	}
	assert(reader.answers == answers);
}

static int is_request(const unsigned char *packet, size_t length)
{
	uint32_t head[3];

	if (length < sizeof(head))
		return 0;
	memcpy(head, packet, sizeof(head));
	return head[0] == MAGIC && head[1] == VERSION;
}

/* The packet as it is sent, in memory that ends with it. */
static unsigned char *wrap(const struct packet *packet, size_t *length)
{
	uint32_t head[3] = { MAGIC, VERSION, packet->length };
	size_t before = packet->flags & WITH_HEAD ? sizeof(head) : 0;
	unsigned char *all;

	*length = before + packet->length;
	if (packet->flags & LONG)
		*length = LONGEST;
	else if (packet->flags & PADDED && *length < 524)
		*length = 524;
	all = calloc(1, *length ? *length : 1);
	memcpy(all, head, before);
	memcpy(all + before, packet->data, before + packet->length > *length ?
	       *length - before : packet->length);
	return all;
}

/* Returns how many answers the reader gets: 1, or 0 where it is not the reader's. */
static int fuzz_datagram(const struct packet *packet)
{
	struct client *client = packet->flags & NAMELESS ? &nameless :
				packet->flags & SILENT ? &silent : &reader;
	size_t length;
	unsigned char *all = wrap(packet, &length);
	int is_right = is_request(all, length);

	send_packet(client, all, length);
	free(all);
	requests += is_right;
	refused += !is_right;
	return client == &reader;
}

/* The last packet was served alone. */
static void check_refusal(const struct packet *packet)
{
	size_t length;
	unsigned char *all = wrap(packet, &length);

	assert(is_request(all, length) ||
	       (reader.last.error && strstr(reader.last.text, "no request")));
	free(all);
}

static void fuzz_datagrams(const struct packet *packets, unsigned int count)
{
	unsigned int held = 0, answers = reader.answers, came;

	open_client(&silent, "silent");
	for (unsigned int i = 0; i < count; i++) {
		came = fuzz_datagram(&packets[i]);
		answers += came;
		if (packets[i].flags & HELD && i + 1 < count && ++held < MOST_HELD)
			continue;
		serve();
		await_answer(answers);
		if (came && !held)
			check_refusal(&packets[i]);
		held = 0;
	}
	close(silent.fd);
}

/* ---- clients of the socket exec ---- */

static struct {
	int fd;
	const struct packet *packets;	/* those that are not sent yet */
	unsigned int count, ends;	/* frames that say how it ended */
	int has_left;			/* an empty packet says so */
} stream = { .fd = -1 };

static void read_frames(void)
{
	static unsigned char frame[LONGEST];
	uint32_t kind;
	long got;

	while ((got = recv(stream.fd, frame, sizeof(frame), 0)) > 0) {
		assert(got >= (long)sizeof(kind) && got <= HOST_EXEC_FRAME);
		memcpy(&kind, frame, sizeof(kind));
		assert(kind >= HOST_EXEC_OUTPUT && kind <= HOST_EXEC_FAILURE && !stream.ends);
		stream.ends += kind == HOST_EXEC_STATUS || kind == HOST_EXEC_FAILURE;
	}
}

static void send_frames(void)
{
	while (stream.count) {
		long put = send(stream.fd, stream.packets->data, stream.packets->length,
				MSG_NOSIGNAL);

		if (put < 0 && errno == EAGAIN)
			break;
		stream.has_left |= put == 0;
		stream.packets++;
		stream.count--;
		if (choose(2))
			break;
	}
	guest_interrupt(HOST_IRQ_EXEC);
}

static void hang_up(void)
{
	if (stream.fd >= 0)
		close(stream.fd);
	stream.fd = -1;
}

void clients_turn(void)
{
	read_replies(&reader);
	if (stream.fd < 0)
		return;
	if (choose(8))
		read_frames();
	if (stream.count)
		send_frames();
	else if (!choose(100))
		hang_up();
}

static void fuzz_command(const struct packet *packets, unsigned int count)
{
	struct sockaddr_un address;
	socklen_t length = address_of(&address, "exec");

	stream.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	stream.packets = packets;
	stream.count = count;
	stream.ends = 0;
	stream.has_left = 0;
	assert(!connect(stream.fd, (void *)&address, length));
	send_frames();
	guest_work();
	if (stream.fd >= 0) {
		read_frames();
		assert(stream.ends == 1 || stream.has_left);
		commands++;
	}
	hang_up();
}

/* ---- telnet and notifications ---- */

static void fuzz_telnet(const struct packet *packets, unsigned int count)
{
	struct telnet telnet;

	telnet_init(&telnet);
	for (unsigned int i = 0; i < count; i++) {
		unsigned int length = packets[i].length;
		unsigned char *in = malloc(length + 1), *out = malloc(2 * length + 1);

		memcpy(in, packets[i].data, length);
		assert(telnet_encode(&telnet, in, length, out) <= 2 * length + 1);
		assert(telnet_decode(&telnet, in, length, in) <= length);
		assert(telnet.reply_length <= sizeof(telnet.replies));
		if (choose(2))
			telnet.reply_length = 0;
		free(in);
		free(out);
		host_mconsole_notify(HOST_NOTIFY_USER, (const char *)packets[i].data, length);
	}
}

/* ---- inputs ---- */

static unsigned int take_apart(struct packet *packets, unsigned int most,
			       const unsigned char *data, size_t size)
{
	unsigned int count = 0;

	while (size >= 3 && count < most) {
		struct packet *packet = &packets[count++];

		packet->flags = data[0];
		packet->length = data[1] | data[2] << 8;
		packet->data = data + 3;
		size -= 3;
		if (packet->length > size)
			packet->length = size;
		data = packet->data + packet->length;
		size -= packet->length;
	}
	return count;
}

static void start(void)
{
	static int is_started;

	if (is_started++)
		return;
	mconsole_length = address_of(&mconsole, "mconsole");
	host_mconsole_option = "notify:/nonexistent/listener";
	host_mconsole_init();
	host_exec_init();
	guest_start();
	open_client(&reader, "reader");
	open_client(&nameless, NULL);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct packet packets[64];
	unsigned int count;

	start();
	if (!size)
		return 0;
	choices = size;
	for (size_t i = 0; i < size && i < 256; i++)
		choices = choices * 31 + data[i];
	count = take_apart(packets, 64, data + 1, size - 1);
	if (data[0] % KINDS == COMMANDS) {
		fuzz_command(packets, count);
	} else if (data[0] % KINDS == TELNET) {
		fuzz_telnet(packets, count);
	} else {
		fuzz_datagrams(packets, count);
	}
	return 0;
}

/* ---- inputs that are made ---- */

static unsigned char input[MOST];
static size_t input_length;

static void add(const void *bytes, size_t length)
{
	memcpy(input + input_length, bytes, length);
	input_length += length;
}

static unsigned int below(unsigned int count)
{
	return random() % count;
}

/* The flags, and room for the length, which end_packet() fills in. */
static size_t begin_packet(unsigned int flags)
{
	unsigned char head[3] = { flags };

	add(head, sizeof(head));
	return input_length;
}

static void end_packet(size_t start)
{
	input[start - 2] = input_length - start;
	input[start - 1] = (input_length - start) >> 8;
}

static void damage(size_t start)
{
	for (unsigned int changes = 1 + below(8); changes; changes--) {
		size_t at = start + below(input_length - start + 1);

		if (at < input_length)
			input[at] = below(2) ? input[at] ^ 1 << below(8) : below(256);
	}
}

static void make_text(void)
{
	static const char *const words[] = {
		"version", "help", "halt", "reboot", "cad", "sysrq ", "sysrq h", "stop", "stop ",
		"go", "log ", "config ", "remove ", "proc ", "sync", "exec ", "exec -l5 ", "stack ",
		"stack 1", "config con", "config ssl", "config ubd", "config mem", "remove con",
		"remove ubd", "config ubd0r=", "config mem=+", "config mem=-", "config ssl3=fd:",
		"config con1=pts", "config con1=port:", "config con2=null", "config ubda=",
		"con", "ubd", "fd:0,fd:1", "xterm", "unix:/", "tty:/", ",", ":", "=", " ", "\n",
		"\t", "-", "+", "0", "1", "15", "16", "63", "64", "4294967296", "-1", "0x10",
		"1K", "64M", "1G", "1T", "rsdcomt", "/dev/null", "x", "\xa0", "-l", "\xff",
	};
	unsigned int count = below(4) ? 1 + below(4) : below(200);

	while (count--) {
		const char *word = words[below(sizeof(words) / sizeof(*words))];

		add(word, strlen(word));
	}
}

/* Some clients let long answers pile up, also while the instance is stopped. */
static void make_short_text(void)
{
	static const char *const words[] = { "help", "help", "stop", "stop 9", "go", "sync",
					     "exec true" };
	const char *word = words[below(sizeof(words) / sizeof(*words))];

	add(word, strlen(word));
}

static void make_datagrams(void)
{
	unsigned int all = below(4) ? 0 : SILENT | HELD;

	for (unsigned int count = 1 + below(all ? 50 : 8); count; count--) {
		unsigned int flags = all | (below(2) ? WITH_HEAD | PADDED : below(256));
		size_t start = begin_packet(flags);
		uint32_t head[3] = { MAGIC, VERSION, below(2) ? below(2000) : -below(100) };

		if (!(flags & WITH_HEAD) && below(8))
			add(head, sizeof(head));
		if (all && below(2))
			make_short_text();
		else if (below(16))
			make_text();
		if (below(4) == 0)
			damage(start);
		end_packet(start);
	}
}

static void make_start(void)
{
	struct host_exec_start head = {
		.kind = HOST_EXEC_START,
		.version = HOST_EXEC_VERSION,
		.flags = below(2),
		.groups = below(8) ? below(4) : below(40000),
		.rows = below(100),
		.columns = below(100),
		.arguments = below(8) ? 1 + below(5) : below(40000),
		.variables = below(8) ? below(5) : random(),
	};
	unsigned int group = 1000;

	add(&head, sizeof(head));
	for (unsigned int i = 0; i < head.groups % 100; i++)
		add(&group, sizeof(group));
	for (unsigned int i = 0; i < (1 + head.arguments + head.variables) % 100; i++)
		add("/bin", below(16) ? 5 : 4);
}

static void make_frame(void)
{
	uint32_t numbers[3] = { 1 + below(5), below(70), below(200) };
	unsigned int length = below(8) ? below(200) : below(40000);

	add(numbers, numbers[0] == HOST_EXEC_SIZE ? 12 : numbers[0] == HOST_EXEC_SIGNAL ? 8 : 4);
	if (numbers[0] != HOST_EXEC_INPUT)
		return;
	memset(input + input_length, 'i', length);
	input_length += length;
}

static void make_command(void)
{
	size_t start = begin_packet(0);

	make_start();
	if (below(4) == 0)
		damage(start);
	end_packet(start);
	for (unsigned int count = below(6); count && input_length < MOST - 45000; count--) {
		start = begin_packet(0);
		make_frame();
		if (below(8) == 0)
			damage(start);
		end_packet(start);
	}
}

static void make_telnet(void)
{
	for (unsigned int count = 1 + below(6); count; count--) {
		size_t start = begin_packet(0);

		for (unsigned int length = below(200); length; length--) {
			unsigned char byte = below(2) ? 236 + below(20) : below(40);

			add(&byte, 1);
		}
		end_packet(start);
	}
}

static size_t make_input(void)
{
	input_length = 0;
	add(&(unsigned char) { below(KINDS) }, 1);
	if (input[0] == COMMANDS)
		make_command();
	else if (input[0] == TELNET)
		make_telnet();
	else
		make_datagrams();
	return input_length;
}

#ifdef LIBFUZZER

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* Now and then an input that is made takes the place of one that was found. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed)
{
	size_t length;

	srandom(seed);
	if (seed % 4)
		return LLVMFuzzerMutate(data, size, most);
	length = make_input();
	if (length > most)
		length = most;
	memcpy(data, input, length);
	return length;
}

#else

int main(int argc, char **argv)
{
	time_t end = argc > 3 ? time(NULL) + atoi(argv[3]) : 0;
	unsigned long most = argc > 2 ? atol(argv[2]) : 1000, runs = 0;

	srandom(argc > 1 ? atoi(argv[1]) : 1);
	for (; end ? time(NULL) < end : runs < most; runs++)
		LLVMFuzzerTestOneInput(input, make_input());
	printf("%lu inputs: %lu requests, %lu packets that are none, %lu commands ended\n", runs,
	       requests, refused, commands);
	return 0;
}

#endif
