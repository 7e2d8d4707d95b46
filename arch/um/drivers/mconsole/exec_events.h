/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread's wait for any of several things: files that become ready, a process that exits. */
#ifndef UM_EXEC_EVENTS_H
#define UM_EXEC_EVENTS_H

#include <linux/poll.h>
#include <linux/wait.h>

#define EXEC_SOURCES	8

struct exec_events;

struct exec_source {
	struct exec_events *events;
	wait_queue_entry_t entry;
	wait_queue_head_t *head;	/* NULL: this one is not used */
	const void *of;			/* what it was added for */
};

/* Belongs to the thread that waits. */
struct exec_events {
	wait_queue_head_t queue;
	bool happened;			/* since the last wait */
	poll_table table;
	struct exec_source sources[EXEC_SOURCES];
};

void exec_events_init(struct exec_events *events);
/* From now on the file's becoming ready is an event. The caller keeps the file open. */
void exec_events_add_file(struct exec_events *events, struct file *file);
/* The same for a queue that is woken. */
void exec_events_add_queue(struct exec_events *events, wait_queue_head_t *queue);
/* Before the file or queue goes. */
void exec_events_remove(struct exec_events *events, const void *file_or_queue);
/* An event of another kind. Any context. */
void exec_events_signal(struct exec_events *events);
/* Sleeps until there has been an event since the last call, or for that many jiffies. */
void exec_events_wait(struct exec_events *events, long timeout);

#endif
