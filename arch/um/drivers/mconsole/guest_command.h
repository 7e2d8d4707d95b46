/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs that the management console starts in the guest, as children of the calling thread. */
#ifndef UM_GUEST_COMMAND_H
#define UM_GUEST_COMMAND_H

#include <linux/completion.h>
#include <linux/file.h>
#include <linux/pid.h>
#include <linux/types.h>

#include "exec_events.h"

#define COMMAND_PATH	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define COMMAND_ENDED_BY_LIMIT	124	/* as timeout(1) has it */

struct guest_command {
	/* The program; all of it stays until the command was reaped. The lists end with NULL. */
	const char *const *arguments;	/* a first one without a slash is looked for in PATH */
	const char *const *environment;
	const char *directory;
	unsigned int user, group;
	const unsigned int *groups;
	unsigned int group_count;
	/*
	 * Its terminal (the side of the kernel), or else its descriptors 0, 1 and 2; the same file
	 * may be there twice, with a reference for each. command_start() takes the descriptors.
	 */
	struct file *terminal;
	struct file *files[3];

	/* Set by command_start(). */
	struct pid *pid;
	struct completion has_session;
	struct file *childs_terminal;	/* a reference that the child gives up */
	/* Set by the child: why it could not become the program; 0: it did. */
	int error;
	const char *failed;		/* what the error is about */
};

/* NULL: guest programs can be run now; or why not. */
const char *command_obstacle(void);
/*
 * A pipe: from the command to the caller, or (to_command) the other way. The caller's end does not
 * wait.
 */
int command_pipe(struct file **of_command, struct file **ours, bool to_command);
/* A terminal of the guest for that user, or an error. Reads and writes of it do not wait. */
struct file *command_terminal(unsigned int user, unsigned int group);
void command_resize(struct file *terminal, unsigned int rows, unsigned int columns);
/* Closes a file of the kernel's side at once. NULL will do. */
void command_close(struct file *file);

/*
 * Starts the command in a new session, in the first mount namespace with init's root. The caller
 * then reaps it. 0 or -errno.
 */
int command_start(struct guest_command *command);
/* The queue that is woken when it may have exited. */
wait_queue_head_t *command_exits(struct guest_command *command);
bool command_has_exited(struct guest_command *command);
/* To the command and all other processes of its session. */
void command_signal_session(struct guest_command *command, int signal);
/* To the foreground of its terminal, or to its process group. */
void command_signal(struct guest_command *command, int signal);
/*
 * Waits until it has exited. Returns its status as a shell's: 0 to 255, 128 and the number of the
 * signal that killed it.
 */
int command_reap(struct guest_command *command);

#endif
