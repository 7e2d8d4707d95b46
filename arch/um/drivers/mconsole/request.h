/* SPDX-License-Identifier: GPL-2.0-only */
/* The management console: requests, and the functions that carry them out. */
#ifndef UM_MCONSOLE_REQUEST_H
#define UM_MCONSOLE_REQUEST_H

#include <linux/types.h>
#include <linux/workqueue.h>
#include <host/mconsole.h>

struct mconsole_request {
	struct host_mconsole_client client;
	const struct mconsole_command *command;
	char *arguments;		/* in text: what follows the command and its blanks */
	char text[HOST_MCONSOLE_TEXT];
	bool can_wait;			/* a process answers it, and not the interrupt */
	struct work_struct work;	/* for those that run in a process */
};

struct mconsole_command {
	const char *name;
	const char *usage;		/* arguments and meaning, for help */
	/*
	 * Runs in a process, with a private request, and may sleep; else in an interrupt,
	 * whatever the guest does, and while the instance is stopped, too.
	 */
	bool in_process;
	void (*run)(struct mconsole_request *request);
};

/*
 * Answers: any number of parts of text of any length, then the end. With an error the client shows
 * what was sent as its reason. In a process they wait for a client that is slow. mconsole_part()
 * returns 0, or -errno once the client is gone or takes nothing for long. @status is the error that
 * the client sees: 0, HOST_MCONSOLE_ERROR, or the exit status of a command.
 */
int mconsole_part(struct mconsole_request *request, const char *text, size_t length);
void mconsole_end(struct mconsole_request *request, unsigned int status, const char *text,
		  size_t length);
void mconsole_done(struct mconsole_request *request);	/* an answer without text */
/* The whole answer. @error: 0 or -errno, of which the client sees that there is one. */
void __printf(3, 4) mconsole_answer(struct mconsole_request *request, int error,
				    const char *format, ...);

/* devices.c */
void mconsole_config(struct mconsole_request *request);
void mconsole_remove(struct mconsole_request *request);
/* exec_request.c */
void mconsole_exec(struct mconsole_request *request);
/* proc_files.c */
void mconsole_proc(struct mconsole_request *request);

/* commands.c; ends with a name of NULL. */
extern const struct mconsole_command mconsole_commands[];

/*
 * mconsole.c: whether the instance is stopped, and when it continues by itself, as
 * host_monotonic_ns() counts (0: it does not). The commands change both, in an interrupt.
 */
extern bool mconsole_stopped;
extern u64 mconsole_stop_end;

#endif
