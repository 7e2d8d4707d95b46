// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread's wait for any of several things. An entry in each of their wait queues sets one flag
 * and wakes the thread, which then tries everything without waiting. Events can therefore come at
 * any moment and none is lost.
 */
#include <linux/bug.h>
#include <linux/sched.h>

#include "exec_events.h"

static int happen(wait_queue_entry_t *entry, unsigned int mode, int flags, void *key)
{
	exec_events_signal(container_of(entry, struct exec_source, entry)->events);
	return 0;
}

static void add(struct exec_events *events, wait_queue_head_t *head, const void *of)
{
	for (int i = 0; i < EXEC_SOURCES; i++) {
		struct exec_source *source = &events->sources[i];

		if (source->head)
			continue;
		source->events = events;
		source->head = head;
		source->of = of;
		init_waitqueue_func_entry(&source->entry, happen);
		add_wait_queue(head, &source->entry);
		return;
	}
	WARN_ONCE(1, "a command has more sources of events than expected");
}

static void add_from_poll(struct file *file, wait_queue_head_t *head, poll_table *table)
{
	struct exec_events *events = container_of(table, struct exec_events, table);

	add(events, head, file);
}

void exec_events_init(struct exec_events *events)
{
	init_waitqueue_head(&events->queue);
	events->happened = false;
	init_poll_funcptr(&events->table, add_from_poll);
	for (int i = 0; i < EXEC_SOURCES; i++)
		events->sources[i].head = NULL;
}

void exec_events_add_file(struct exec_events *events, struct file *file)
{
	vfs_poll(file, &events->table);
}

void exec_events_add_queue(struct exec_events *events, wait_queue_head_t *queue)
{
	add(events, queue, queue);
}

void exec_events_remove(struct exec_events *events, const void *of)
{
	for (int i = 0; i < EXEC_SOURCES; i++) {
		struct exec_source *source = &events->sources[i];

		if (!source->head || source->of != of)
			continue;
		remove_wait_queue(source->head, &source->entry);
		source->head = NULL;
	}
}

void exec_events_signal(struct exec_events *events)
{
	WRITE_ONCE(events->happened, true);
	wake_up(&events->queue);
}

void exec_events_wait(struct exec_events *events, long timeout)
{
	wait_event_idle_timeout(events->queue, xchg(&events->happened, false), timeout);
}
