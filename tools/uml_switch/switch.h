/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uml_switch: an Ethernet switch between instances. One thread; everything that it waits for is a
 * struct source of one epoll set.
 *
 * Each port has a data socket, connected to the client's. So the kernel lets no other program send
 * to it, tells when a full client reads again, and takes and gives frames in batches. Frames are
 * read into one pool, and each port that is to get some has a list of them. Those that a client has
 * no room for wait in the port's backlog. Beyond its bounds they are dropped and counted.
 */
#ifndef SWITCH_H
#define SWITCH_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "switch_request.h"

#define UNUSED		__attribute__((unused))
#define BATCH		64	/* frames that are read at once */
#define HEADER		14	/* bytes of an Ethernet header */
#define TAG		4	/* bytes of a VLAN tag, beyond the MTU */
#define LEAST_MTU	68
#define MOST_MTU	65520
#define BACKLOG_FRAMES	256	/* of a port */
#define BACKLOG_BYTES	(64UL << 20)	/* of all ports together */

struct options {
	const char *control;		/* path of the control socket */
	const char *data;		/* -compat-v0: path of the data socket; NULL: not that */
	const char *tap;		/* interface, or NULL */
	const char *pid_file, *capture;	/* or NULL */
	int mode;			/* of the control socket; -1: by the umask */
	int group;			/* of the control socket; -1: unchanged */
	unsigned int mtu;		/* bytes */
	int hub, vlan, daemon, stats, json;
};
extern struct options options;

/* uml_switch.c */

/* A descriptor that is waited for. @ready gets the events of epoll_wait(). */
struct source {
	int fd;
	void (*ready)(struct source *source, uint32_t events);
	struct source *next;		/* of those that are to be freed */
};
/* -errno */
int watch(struct source *source, uint32_t events);
/* Closes it, and frees what it is the first member of when no event of it can be pending. */
void forget(struct source *source);
void watch_for(struct source *source, uint32_t events);
uint32_t now_seconds(void);
/* A line on standard output, unless that would have to be waited for, or -daemon. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* switch_ports.c */

struct counters {
	uint64_t in_frames, in_bytes, out_frames, out_bytes;
	uint64_t in_short, in_long, in_source;	/* dropped: see switch_report.c */
	uint64_t own;			/* for the port that they came from */
	uint64_t out_full, out_error;	/* dropped on the way out */
};

struct frame {
	unsigned char *bytes;
	unsigned int length;
};

struct port {
	struct source source;		/* the data socket, or the TAP device */
	int number;
	int is_tap;
	struct sockaddr_un address;	/* version 0: the sender of its frames */
	socklen_t address_length;	/* 0: the data socket is the port's own */
	unsigned int count;
	unsigned short out[BATCH];	/* frames of this batch for the port, by number */
	struct frame backlog[BACKLOG_FRAMES];	/* a ring */
	unsigned int first, waiting;
	struct counters counters;
	struct port *next;
};

extern struct port *ports;
extern struct counters all_counters;	/* of ports that are gone */
extern unsigned int port_count;

void ports_init(void);
/* -errno, and the descriptor is still the caller's. */
int port_add(int fd, int is_tap, struct port **result);
void port_remove(struct port *port);
/* Frames wait at the socket that clients of version 0 share. */
void ports_receive_shared(int fd);

/* switch_control.c */
void control_init(void);
void control_serve(void);	/* clients can come */
unsigned int connection_count(void);

/* switch_socket.c: the names of sockets in the file system */
/*
 * The descriptor of a socket bound to @path with the mode and group asked for; ends with a line
 * where that fails. It is removed when the program ends.
 */
int socket_bound(const char *path, int type, int mode, int group);
/* Lets clients come. Before, no other switch takes the sockets for those of a dead one. */
void sockets_serve(int fd);
void sockets_remove(void);

/* switch_tap.c */
/* Opens the interface; ends with a line where that fails. */
int tap_open(const char *name);

/* switch_report.c */
void report(void);
void capture_open(const char *path);
void capture_frame(const void *bytes, unsigned int length);
void capture_flush(void);

#endif
