/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libmconsole: talks to the management consoles of User-Mode Linux instances on this host.
 *
 * An instance has a folder with the file `pid` and the socket `mconsole`. It answers a request in
 * one or more packets of at most 511 bytes. See libmconsole(3).
 *
 * Functions return MCONSOLE_OK or one of the other codes. They print nothing and never end the
 * program. An open console or a listener is used by one thread at a time. Different ones may be
 * used by different threads at once.
 */
#ifndef MCONSOLE_H
#define MCONSOLE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define MCONSOLE_LONGEST 511	/* bytes of a request, and of the text of a packet */
#define MCONSOLE_FOREVER (-1)	/* as a time limit: none */

enum mconsole_code {
	MCONSOLE_OK = 0,
	MCONSOLE_NOBODY = -1,	/* there is no such instance */
	MCONSOLE_DEAD = -2,	/* its folder is there, but it does not run */
	MCONSOLE_DENIED = -3,	/* it belongs to another user */
	MCONSOLE_TIMEOUT = -4,	/* no answer within the time limit */
	MCONSOLE_GONE = -5,	/* it ended before it had answered */
	MCONSOLE_TOO_LONG = -6,	/* a request over MCONSOLE_LONGEST bytes */
	MCONSOLE_STRANGE = -7,	/* a packet that is not of this protocol */
	MCONSOLE_STOPPED = -8,	/* the caller's function wanted no further packet */
	MCONSOLE_IN_USE = -9,	/* another program listens on this socket */
	MCONSOLE_SYSTEM = -10,	/* a system call failed: errno says why */
};

/* A static phrase, as "there is no such instance"; for MCONSOLE_SYSTEM that of errno. */
const char *mconsole_strerror(int code);

/* ---- which instances there are ---- */

enum mconsole_state {
	MCONSOLE_LIVES,
	MCONSOLE_IS_DEAD,	/* a folder that a killed instance left */
	MCONSOLE_UNKNOWN,	/* another user's: this one may not look */
};

struct mconsole_instance {
	char *name;			/* its umid */
	char *folder;			/* absolute */
	int pid;			/* on the host; 0: not known */
	enum mconsole_state state;
};

/*
 * Finds the socket of the instance @name: in the folder @uml_dir, or if that is NULL, in
 * $HOME/.uml, $XDG_RUNTIME_DIR/uml, /tmp/uml-<uid> and /tmp/uml. In the last two, what belongs to
 * another user is passed over. Else @name is the path of a socket, or of a folder with one. A live
 * instance goes before a dead one's folder.
 * *@path: the socket's path, to be freed; NULL unless MCONSOLE_OK or MCONSOLE_DEAD is returned.
 * Errors: MCONSOLE_NOBODY, MCONSOLE_DEAD, MCONSOLE_DENIED, MCONSOLE_SYSTEM.
 */
int mconsole_find(const char *name, const char *uml_dir, char **path);

/*
 * Lists the instances in @uml_dir, or if that is NULL, in the folders that mconsole_find() looks
 * in; by name. A folder that cannot be read is passed over.
 * *@list: @count instances, for mconsole_list_free().
 * Errors: MCONSOLE_SYSTEM (no memory).
 */
int mconsole_list(const char *uml_dir, struct mconsole_instance **list, size_t *count);
void mconsole_list_free(struct mconsole_instance *list, size_t count);

/*
 * Looks at the instance in @folder. It lives if it holds a lock on the file `pid`, or its socket
 * is served. *@instance: for mconsole_look_free().
 * Errors: MCONSOLE_NOBODY (no instance has or had this folder), MCONSOLE_SYSTEM.
 */
int mconsole_look(const char *folder, struct mconsole_instance *instance);
void mconsole_look_free(struct mconsole_instance *instance);

/* ---- requests ---- */

struct mconsole;

struct mconsole_packet {
	const char *text;	/* and a NUL; may have NULs in it; valid until the next call */
	size_t length;		/* of text, in bytes */
	unsigned int error;	/* 0; 1: see text; the exit status in the last packet of exec */
	int more;		/* other than 0: further packets follow */
};

/* Returns 0; anything else means that no further packets are wanted. */
typedef int (*mconsole_function)(void *data, const struct mconsole_packet *packet);

/*
 * Opens the console of the instance that mconsole_find() finds for @name and @uml_dir.
 * *@console: for mconsole_close(); NULL after an error.
 * Errors: those of mconsole_find().
 */
int mconsole_open(const char *name, const char *uml_dir, struct mconsole **console);
/* Takes NULL, too. */
void mconsole_close(struct mconsole *console);

/* The path of the socket; valid until mconsole_close(). */
const char *mconsole_path(const struct mconsole *console);
/* A descriptor that is readable when a packet has come. It changes with mconsole_send(). */
int mconsole_fd(const struct mconsole *console);

/*
 * Sends a request: @text, which ends with a NUL. Packets that still came for an earlier request
 * are dropped. Waits for room in the instance's queue for at most @limit milliseconds.
 * Errors: MCONSOLE_TOO_LONG, MCONSOLE_TIMEOUT, MCONSOLE_GONE, MCONSOLE_DENIED, MCONSOLE_SYSTEM.
 */
int mconsole_send(struct mconsole *console, const char *text, int limit);

/*
 * Waits for the next packet of the answer, for at most @limit milliseconds; 0 does not wait.
 * Errors: MCONSOLE_TIMEOUT, MCONSOLE_GONE (noticed within a second), MCONSOLE_STRANGE,
 * MCONSOLE_SYSTEM.
 */
int mconsole_receive(struct mconsole *console, int limit, struct mconsole_packet *packet);

/*
 * Sends the request @text and calls @function with @data for each packet of the answer. @limit, in
 * milliseconds, is for the time between two packets: a long answer may take longer.
 * *@error: 0, or what the kernel says of the request: the error of the first packet that has one.
 * Errors: those of mconsole_send() and mconsole_receive(), and MCONSOLE_STOPPED.
 */
int mconsole_request(struct mconsole *console, const char *text, int limit,
		     mconsole_function function, void *data, unsigned int *error);

/*
 * The same with the whole answer in *@answer: @length bytes and a NUL, to be freed. NULL after an
 * error. @length may be NULL.
 */
int mconsole_ask(struct mconsole *console, const char *text, int limit, char **answer,
		 size_t *length, unsigned int *error);

/* ---- notifications (the option mconsole=notify:<socket>) ---- */

enum mconsole_kind {
	MCONSOLE_SOCKET = 0,	/* an instance starts: text is the path of its socket */
	MCONSOLE_PANIC = 1,	/* its kernel panics: the message */
	MCONSOLE_HANG = 2,	/* its watchdog expired */
	MCONSOLE_USER = 3,	/* what a guest program wrote to /proc/mconsole */
};

struct mconsole_notification {
	enum mconsole_kind kind;	/* may be another number, too */
	size_t length;			/* of text, in bytes */
	char text[MCONSOLE_LONGEST + 1];	/* followed by a NUL */
};

struct mconsole_listener;

/*
 * Listens on the socket @path, which is made with mode 0600. A socket that no program serves any
 * more is replaced.
 * *@listener: for mconsole_unlisten(), which removes the socket.
 * Errors: MCONSOLE_IN_USE, MCONSOLE_SYSTEM (ENAMETOOLONG: a path has at most 107 bytes).
 */
int mconsole_listen(const char *path, struct mconsole_listener **listener);
/* Takes NULL, too. */
void mconsole_unlisten(struct mconsole_listener *listener);
/* A descriptor that is readable when a notification has come. */
int mconsole_listener_fd(const struct mconsole_listener *listener);

/*
 * Waits for a notification, for at most @limit milliseconds. Packets of other kinds are dropped.
 * Errors: MCONSOLE_TIMEOUT, MCONSOLE_SYSTEM.
 */
int mconsole_next(struct mconsole_listener *listener, int limit,
		  struct mconsole_notification *notification);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
