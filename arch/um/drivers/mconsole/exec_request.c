// SPDX-License-Identifier: GPL-2.0-only
/*
 * The management console: "exec [-l<seconds>] <command>" has a shell of the guest run a command.
 *
 * Its output goes to the client as it comes, in packets of what a read of the pipe gave. The last
 * packet has the exit status in place of an error, and no text. When nothing comes, empty packets
 * tell the client that the command runs, and the kernel whether there is still a client. The
 * answer ends when the command has exited and what it left in the pipe is read, even if processes
 * that it left in the background have the pipe open.
 */
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <host/process.h>

#include "guest_command.h"
#include "request.h"

#define MOST_AT_ONCE	256
#define SIGN_OF_LIFE	(3 * HZ)
#define PATIENCE	(5 * HZ)	/* with a command that was killed */
#define MOST_LEFT	(1 << 20)	/* bytes that a pipe can hold */

struct run {
	struct mconsole_request *request;
	struct guest_command command;
	struct exec_events events;
	struct file *output;
	bool has_limit;
	unsigned long limit, last_packet;	/* jiffies */
	size_t left;			/* bytes to read after it has exited */
	bool is_killed, is_client_gone;
};

static atomic_t under_way = ATOMIC_INIT(0);

/* ---- what was asked for ---- */

/*
 * Takes the option from the arguments. No command begins with a dash, so that nothing that
 * clients send has another meaning without the option.
 */
static int take_options(struct run *run, char **text)
{
	unsigned long seconds;
	char *end;

	if ((*text)[0] != '-')
		return 0;
	end = *text + strcspn(*text, " \t\n");
	if ((*text)[1] != 'l' || !*end)
		return -EINVAL;
	*end = '\0';
	if (kstrtoul(*text + 2, 10, &seconds) || !seconds || seconds > MAX_JIFFY_OFFSET / HZ)
		return -EINVAL;
	run->has_limit = true;
	run->limit = jiffies + seconds * HZ;
	*text = skip_spaces(end + 1);
	return 0;
}

/* ---- while it runs ---- */

static void kill_command(struct run *run)
{
	command_signal_session(&run->command, SIGKILL);
	if (!run->is_killed)
		run->limit = jiffies + PATIENCE;
	run->has_limit = true;
	run->is_killed = true;
}

static void lose_client(struct run *run)
{
	run->is_client_gone = true;
	kill_command(run);
}

/* Whether there was something. */
static bool send_output(struct run *run)
{
	char text[HOST_MCONSOLE_TEXT - 1];
	ssize_t got = kernel_read(run->output, text, min(sizeof(text), run->left), NULL);

	if (got <= 0)
		return false;
	if (!run->is_client_gone && mconsole_part(run->request, text, got))
		lose_client(run);
	run->last_packet = jiffies;
	return true;
}

static void show_life(struct run *run)
{
	const struct host_mconsole_client *client = &run->request->client;
	int error = host_mconsole_reply(client, 0, true, "", 0, false);

	run->last_packet = jiffies;
	if (error && error != -EAGAIN)
		lose_client(run);
}

static long time_to_wait(const struct run *run)
{
	unsigned long until = run->last_packet + SIGN_OF_LIFE;

	if (run->has_limit && time_before(run->limit, until))
		until = run->limit;
	return max(1L, (long)(until - jiffies));
}

/* Whether there is no more to wait for. */
static bool look_at_clock(struct run *run)
{
	if (run->has_limit && time_after_eq(jiffies, run->limit)) {
		if (run->is_killed)
			return true;
		kill_command(run);
	} else if (!run->is_client_gone &&
		   time_after_eq(jiffies, run->last_packet + SIGN_OF_LIFE)) {
		show_life(run);
	}
	return false;
}

static void serve(struct run *run)
{
	run->left = SIZE_MAX;
	run->last_packet = jiffies;
	for (;;) {
		bool has_exited = command_has_exited(&run->command);

		if (has_exited)
			run->left = min_t(size_t, run->left, MOST_LEFT);
		while (run->left && send_output(run)) {
			if (has_exited)
				run->left -= min_t(size_t, run->left, HOST_MCONSOLE_TEXT - 1);
			else if (command_has_exited(&run->command))
				break;
			if (look_at_clock(run))
				return;
			cond_resched();
		}
		if (has_exited || look_at_clock(run))
			return;
		if (!command_has_exited(&run->command))
			exec_events_wait(&run->events, time_to_wait(run));
	}
}

/* ---- from start to end ---- */

static int start(struct run *run)
{
	struct guest_command *command = &run->command;
	struct file *no_input;
	int error = command_pipe(&command->files[0], &no_input, true);

	if (error)
		return error;
	command_close(no_input);
	error = command_pipe(&command->files[1], &run->output, false);
	if (error) {
		command_close(command->files[0]);
		return error;
	}
	command->files[2] = get_file(command->files[1]);
	error = command_start(command);
	if (error)
		command_close(run->output);
	return error;
}

static void answer(struct run *run, int status)
{
	const char *failed = run->command.failed;

	if (run->command.error && !run->is_killed)
		mconsole_answer(run->request, run->command.error, "%s: %s", failed,
				host_error_text(run->command.error));
	else
		mconsole_end(run->request, status, "", 0);
}

static void run_command(struct run *run)
{
	int error = start(run), status = COMMAND_ENDED_BY_LIMIT;
	bool is_answered;

	if (error) {
		mconsole_answer(run->request, error, "the command cannot be started: %s",
				host_error_text(error));
		return;
	}
	exec_events_init(&run->events);
	exec_events_add_file(&run->events, run->output);
	exec_events_add_queue(&run->events, command_exits(&run->command));
	serve(run);
	exec_events_remove(&run->events, run->output);
	exec_events_remove(&run->events, command_exits(&run->command));
	command_close(run->output);
	/* One that does not even obey SIGKILL yet is answered for, and reaped when it does. */
	is_answered = run->is_killed && !command_has_exited(&run->command);
	if (is_answered)
		answer(run, status);
	error = command_reap(&run->command);
	if (!run->is_killed)
		status = error;
	if (!is_answered)
		answer(run, status);
}

void mconsole_exec(struct mconsole_request *request)
{
	static const char *const environment[] = {
		"PATH=" COMMAND_PATH, "HOME=/", "TERM=linux", NULL
	};
	char *text = strim(request->arguments);
	const char *arguments[] = { "/bin/sh", "-c", NULL, NULL };
	const char *obstacle = command_obstacle();
	struct run run = {
		.request = request,
		.command = {
			.arguments = arguments,
			.environment = environment,
			.directory = "/",
		},
	};

	if (obstacle)
		mconsole_answer(request, -EAGAIN, "%s", obstacle);
	else if (take_options(&run, &text))
		mconsole_answer(request, -EINVAL,
				"exec has one option, -l<seconds>, before the command");
	else if (!*text)
		mconsole_answer(request, -EINVAL, "exec needs a command");
	else if (!atomic_add_unless(&under_way, 1, MOST_AT_ONCE))
		mconsole_answer(request, -EBUSY, "%d commands run already; try again",
				MOST_AT_ONCE);
	else {
		arguments[2] = text;
		run_command(&run);
		atomic_dec(&under_way);
	}
}
