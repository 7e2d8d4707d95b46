// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands that are run over the socket exec in the instance's folder: see docs/reference/exec.md.
 *
 * Each connection is one work, which is the command's parent. It moves frames to the command's
 * input and output to frames, never waits in a read or a write, and sleeps until one of its files,
 * its command or its client has something. A frame that cannot be passed on is kept, and no further
 * one is accepted in that direction. So a client that does not read stops its own command, by a
 * full pipe, and nothing else.
 *
 * HOST_IRQ_EXEC makes streams and wakes them. A stream is in the table from its connection's
 * host_exec_accept() until before its host_exec_close(), and the lock covers the table.
 */
#include <linux/err.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <host/exec.h>
#include <host/irq.h>
#include <host/mconsole.h>
#include <host/process.h>

#include "exec_start.h"

#define READ_SIZE	16384
#define MOST_LEFT	(1 << 20)	/* bytes that are read after the command has exited */
#define FIRST_FRAME	(10 * HZ)	/* for a client to say what to run */
#define LAST_FRAME	(30 * HZ)	/* for it to read how that ended */
#define HANG_UP		(5 * HZ)	/* from SIGHUP to SIGKILL, when the client has gone */

struct frame {
	unsigned int kind;
	char data[HOST_EXEC_FRAME - sizeof(unsigned int)];
};

struct exec_stream {
	int connection;
	struct work_struct work;
	struct exec_events events;
	struct exec_start start;
	struct guest_command command;

	/* NULL: there is none (any more). With a terminal it is output[0], and has no others. */
	struct file *input, *output[2];
	bool at_end[2];

	struct frame *in, *out;
	size_t input_at, input_left;	/* bytes of in->data for the command's input */
	size_t out_length;		/* of out, which waits to be sent */
	size_t left;			/* bytes to read from a command that has exited */
	bool is_gone;			/* the client */
	const char *mistake;		/* of the client */
};

static DEFINE_SPINLOCK(lock);
static struct exec_stream *streams[HOST_EXEC_MOST];
static struct workqueue_struct *queue;

/* ---- the client ---- */

/* Whether there is room for the next frame. */
static bool send_out(struct exec_stream *stream)
{
	int error;

	if (!stream->out_length)
		return true;
	error = host_exec_send(stream->connection, stream->out, stream->out_length);
	if (error == -EAGAIN)
		return false;
	if (error)
		stream->is_gone = true;
	stream->out_length = 0;
	return true;
}

/* The last frame of the connection. */
static void send_last(struct exec_stream *stream, const void *frame, size_t length)
{
	unsigned long deadline = jiffies + LAST_FRAME;

	memcpy(stream->out, frame, length);
	stream->out_length = length;
	while (!stream->is_gone && !send_out(stream)) {
		if (time_after(jiffies, deadline))
			return;
		exec_events_wait(&stream->events, LAST_FRAME);
		stream->is_gone = host_exec_is_gone(stream->connection);
	}
}

static void __printf(3, 4) fail(struct exec_stream *stream, int error, const char *format, ...)
{
	struct host_exec_failure frame = { .kind = HOST_EXEC_FAILURE, .error = -error };
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vscnprintf(frame.text, sizeof(frame.text), format, arguments);
	va_end(arguments);
	send_last(stream, &frame, offsetof(struct host_exec_failure, text) + length);
}

/* ---- input ---- */

/* With a file that is both, the terminal, output is left. */
static void close_input(struct exec_stream *stream)
{
	if (!stream->input)
		return;
	exec_events_remove(&stream->events, stream->input);
	command_close(stream->input);
	stream->input = NULL;
}

/* Whether there is no more of the last frame to write. */
static bool write_input(struct exec_stream *stream)
{
	struct file *to = stream->input ?: stream->command.terminal;
	ssize_t put;

	while (stream->input_left) {
		put = to ? kernel_write(to, stream->in->data + stream->input_at,
					stream->input_left, NULL) : -EPIPE;
		if (put == -EAGAIN || put == 0)
			return false;
		if (put < 0) {		/* the command has closed it */
			close_input(stream);
			stream->input_left = 0;
			break;
		}
		stream->input_at += put;
		stream->input_left -= put;
	}
	return true;
}

static void end_input(struct exec_stream *stream)
{
	if (!stream->command.terminal) {
		close_input(stream);
		return;
	}
	stream->in->data[0] = 'D' & 0x1f;	/* what ends input that is typed */
	stream->input_at = 0;
	stream->input_left = 1;
}

static const unsigned int *numbers(const struct frame *frame)
{
	return (const unsigned int *)frame->data;
}

static void handle_frame(struct exec_stream *stream, size_t length)
{
	const struct frame *frame = stream->in;

	if (length < sizeof(frame->kind)) {
		stream->mistake = "a frame is shorter than its kind";
		return;
	}
	length -= sizeof(frame->kind);
	if (frame->kind == HOST_EXEC_INPUT) {
		stream->input_at = 0;
		stream->input_left = length;
	} else if (frame->kind == HOST_EXEC_INPUT_END && !length) {
		end_input(stream);
	} else if (frame->kind == HOST_EXEC_SIZE && length == 2 * sizeof(*numbers(frame))) {
		if (stream->command.terminal)
			command_resize(stream->command.terminal, numbers(frame)[0],
				       numbers(frame)[1]);
	} else if (frame->kind == HOST_EXEC_SIGNAL && length == sizeof(*numbers(frame)) &&
		   valid_signal(*numbers(frame)) && *numbers(frame)) {
		command_signal(&stream->command, *numbers(frame));
	} else {
		stream->mistake = "a frame is of an unknown kind or has a wrong length or value";
	}
}

/* Takes one frame, unless the one before is still to be written. Whether it did. */
static bool take_frame(struct exec_stream *stream)
{
	long got;

	if (!write_input(stream)) {
		if (host_exec_is_gone(stream->connection))
			stream->is_gone = true;
		return false;
	}
	got = host_exec_receive(stream->connection, stream->in, sizeof(*stream->in));
	if (got == -EAGAIN)
		return false;
	if (got == -EMSGSIZE)
		stream->mistake = "a frame is longer than 32768 bytes";
	else if (got < 0)
		stream->is_gone = true;
	else
		handle_frame(stream, got);
	return true;
}

/* ---- output ---- */

static bool read_from(struct exec_stream *stream, int which)
{
	ssize_t got;

	if (!stream->output[which] || stream->at_end[which])
		return false;
	got = kernel_read(stream->output[which], stream->out->data,
			  min_t(size_t, READ_SIZE, stream->left), NULL);
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		stream->at_end[which] = true;
		return false;
	}
	stream->out->kind = which ? HOST_EXEC_ERRORS : HOST_EXEC_OUTPUT;
	stream->out_length = sizeof(stream->out->kind) + got;
	return true;
}

/* Sends a frame of what there is from each. Whether there was something. */
static bool pass_output(struct exec_stream *stream)
{
	bool has_read = false;

	for (int which = 0; which < 2; which++) {
		if (!send_out(stream))
			return false;
		has_read |= read_from(stream, which);
	}
	return send_out(stream) && has_read;
}

/* ---- while the command runs ---- */

static bool is_over(const struct exec_stream *stream)
{
	return stream->is_gone || stream->mistake;
}

/*
 * Moves what can be moved. Whether the command has exited and all that it has written was sent. A
 * process that it left behind may write to its pipes for ever, and is not listened to that long.
 */
static bool move(struct exec_stream *stream)
{
	bool has_exited, has_moved;

	do {
		has_exited = command_has_exited(&stream->command);
		has_moved = pass_output(stream);
		if (has_exited && has_moved)
			stream->left -= min_t(size_t, stream->left, READ_SIZE);
		has_moved |= take_frame(stream);
		cond_resched();
	} while (has_moved && stream->left && !is_over(stream));
	return has_exited && !stream->out_length;
}

static void serve(struct exec_stream *stream)
{
	stream->left = MOST_LEFT;
	while (!is_over(stream) && !move(stream))
		if (!is_over(stream))
			exec_events_wait(&stream->events, MAX_SCHEDULE_TIMEOUT);
}

static void close_files(struct exec_stream *stream)
{
	struct file *terminal = stream->command.terminal;

	close_input(stream);
	for (int which = 0; which < 2; which++) {
		struct file *file = stream->output[which];

		if (!file)
			continue;
		exec_events_remove(&stream->events, file);
		stream->output[which] = NULL;
		if (file != terminal)
			command_close(file);
	}
	stream->command.terminal = NULL;
	command_close(terminal);
}

/* The client has gone, or is out of step: as with a terminal that was hung up. */
static void hang_up(struct exec_stream *stream)
{
	struct guest_command *command = &stream->command;
	unsigned long deadline = jiffies + HANG_UP;

	close_files(stream);
	command_signal_session(command, SIGHUP);
	command_signal_session(command, SIGCONT);
	while (!command_has_exited(command)) {
		if (time_after_eq(jiffies, deadline)) {
			command_signal_session(command, SIGKILL);
			return;
		}
		exec_events_wait(&stream->events, max(1L, (long)(deadline - jiffies)));
	}
}

/* ---- from start to end ---- */

static bool take_start(struct exec_stream *stream)
{
	unsigned long deadline = jiffies + FIRST_FRAME;
	const char *mistake;
	long got;

	for (;;) {
		got = host_exec_receive(stream->connection, stream->in, sizeof(*stream->in));
		if (got != -EAGAIN || time_after_eq(jiffies, deadline))
			break;
		exec_events_wait(&stream->events, max(1L, (long)(deadline - jiffies)));
	}
	if (got == -EPIPE)
		return false;
	if (got == -EAGAIN)
		mistake = "no request came";
	else if (got < 0)
		mistake = "a frame is longer than 32768 bytes";
	else
		mistake = exec_start_parse(&stream->start, &stream->command, stream->in, got);
	if (mistake)
		fail(stream, -EINVAL, "%s", mistake);
	return !mistake;
}

static int make_pipes(struct exec_stream *stream)
{
	struct file **files = stream->command.files;
	int error = command_pipe(&files[0], &stream->input, true);

	for (int i = 0; i < 2 && !error; i++)
		error = command_pipe(&files[i + 1], &stream->output[i], false);
	if (error)
		for (int i = 0; i < 3; i++)
			command_close(files[i]);
	return error;
}

static int make_terminal(struct exec_stream *stream)
{
	struct guest_command *command = &stream->command;
	struct file *terminal = command_terminal(command->user, command->group);

	if (IS_ERR(terminal))
		return PTR_ERR(terminal);
	command->terminal = terminal;
	stream->output[0] = terminal;
	command_resize(terminal, stream->start.rows, stream->start.columns);
	return 0;
}

static bool start(struct exec_stream *stream)
{
	int error = stream->start.wants_terminal ? make_terminal(stream) : make_pipes(stream);

	if (error && stream->start.wants_terminal) {
		fail(stream, error, "the guest has no terminal for it, /dev/ptmx: %s; mount devpts "
		     "on /dev/pts, or do without -t", host_error_text(error));
		return false;
	}
	if (!error)
		error = command_start(&stream->command);
	if (error) {
		fail(stream, error, "the command cannot be started: %s", host_error_text(error));
		return false;
	}
	exec_events_add_queue(&stream->events, command_exits(&stream->command));
	if (stream->input)
		exec_events_add_file(&stream->events, stream->input);
	for (int which = 0; which < 2; which++)
		if (stream->output[which])
			exec_events_add_file(&stream->events, stream->output[which]);
	return true;
}

static void report(struct exec_stream *stream, int status)
{
	const struct guest_command *command = &stream->command;
	unsigned int frame[2] = { HOST_EXEC_STATUS, status };

	if (stream->mistake)
		fail(stream, -EINVAL, "%s", stream->mistake);
	else if (command->error)
		fail(stream, command->error, "%s: %s", command->failed,
		     host_error_text(command->error));
	else
		send_last(stream, frame, sizeof(frame));
}

static void run(struct exec_stream *stream)
{
	const char *obstacle;
	int status;

	if (!take_start(stream))
		return;
	obstacle = command_obstacle();
	if (obstacle) {
		fail(stream, -EAGAIN, "%s", obstacle);
		return;
	}
	if (start(stream)) {
		serve(stream);
		if (is_over(stream))
			hang_up(stream);
		exec_events_remove(&stream->events, command_exits(&stream->command));
		status = command_reap(&stream->command);
		report(stream, status);
	}
	close_files(stream);
}

static void stream_end(struct exec_stream *stream)
{
	spin_lock_irq(&lock);
	streams[stream->connection] = NULL;
	spin_unlock_irq(&lock);
	host_exec_close(stream->connection);
	exec_start_free(&stream->start);
	kfree(stream->in);
	kfree(stream->out);
	kfree(stream);
}

static void stream_run(struct work_struct *work)
{
	struct exec_stream *stream = container_of(work, struct exec_stream, work);

	stream->in = kmalloc(sizeof(*stream->in), GFP_KERNEL);
	stream->out = kmalloc(sizeof(*stream->out), GFP_KERNEL);
	if (stream->in && stream->out)
		run(stream);
	stream_end(stream);
}

/* ---- the interrupt ---- */

static void stream_new(int connection)
{
	struct exec_stream *stream = kzalloc(sizeof(*stream), GFP_ATOMIC);

	if (!stream) {
		host_exec_close(connection);
		return;
	}
	stream->connection = connection;
	exec_events_init(&stream->events);
	INIT_WORK(&stream->work, stream_run);
	spin_lock(&lock);
	streams[connection] = stream;
	spin_unlock(&lock);
	queue_work(queue, &stream->work);
}

static void stream_wake(int connection)
{
	spin_lock(&lock);
	if (streams[connection])
		exec_events_signal(&streams[connection]->events);
	spin_unlock(&lock);
}

static irqreturn_t exec_interrupt(int irq, void *data)
{
	int connection;

	while ((connection = host_exec_accept()) >= 0)
		stream_new(connection);
	while ((connection = host_exec_ready()) >= 0)
		stream_wake(connection);
	return IRQ_HANDLED;
}

static int __init exec_init(void)
{
	int error;

	if (!*host_mconsole_path())
		return 0;
	queue = alloc_workqueue("mconsole_exec", WQ_UNBOUND, HOST_EXEC_MOST);
	if (!queue)
		return -ENOMEM;
	error = request_irq(HOST_IRQ_EXEC, exec_interrupt, 0, "exec", NULL);
	if (error)
		pr_err("exec: no interrupt: %pe\n", ERR_PTR(error));
	else
		host_raise(&host_vcpus[0], HOST_IRQ_EXEC);
	return error;
}
core_initcall(exec_init);
