// SPDX-License-Identifier: GPL-2.0-only
/* The management console's commands, apart from those that need a file of their own. */
#include <linux/kernel.h>
#include <linux/kmsg_dump.h>
#include <linux/pid.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/string.h>
#include <linux/syscalls.h>
#include <linux/sysrq.h>
#include <linux/utsname.h>
#include <host/time.h>

#include "request.h"

#define LONGEST_LINE	(1024 + 64)	/* of the log; longer ones are left out */
#define LONGEST_STOP	86400		/* seconds */

/* ---- what the kernel prints meanwhile is the answer ---- */

static u64 log_end(void)
{
	struct kmsg_dump_iter log;

	kmsg_dump_rewind(&log);
	return log.next_seq;
}

static void answer_with_log(struct mconsole_request *request, u64 from)
{
	struct kmsg_dump_iter log;
	char line[LONGEST_LINE], part[HOST_MCONSOLE_TEXT - 1];
	size_t length, filled = 0;

	kmsg_dump_rewind(&log);
	log.cur_seq = max(log.cur_seq, from);
	while (kmsg_dump_get_line(&log, false, line, sizeof(line), &length)) {
		if (filled + length > sizeof(part)) {
			mconsole_part(request, part, filled);
			filled = 0;
		}
		if (length > sizeof(part)) {
			mconsole_part(request, line, length);
			continue;
		}
		memcpy(part + filled, line, length);
		filled += length;
	}
	if (filled && part[filled - 1] == '\n')
		filled--;
	mconsole_end(request, 0, part, filled);
}

/* ---- commands that run in an interrupt ---- */

static void version(struct mconsole_request *request)
{
	const struct new_utsname *name = init_utsname();

	mconsole_answer(request, 0, "%s %s %s %s %s", name->sysname, name->nodename, name->release,
			name->version, name->machine);
}

static void help(struct mconsole_request *request)
{
	static const char head[] = "Commands:\n";

	mconsole_part(request, head, strlen(head));
	for (const struct mconsole_command *command = mconsole_commands; command->name; command++) {
		char line[128];
		int length =
			scnprintf(line, sizeof(line), "    %s %s\n", command->name, command->usage);

		if (command[1].name)
			mconsole_part(request, line, length);
		else
			mconsole_end(request, 0, line, length - 1);
	}
}

static void halt(struct mconsole_request *request)
{
	mconsole_done(request);
	machine_halt();
}

static void reboot(struct mconsole_request *request)
{
	mconsole_done(request);
	machine_restart(NULL);
}

static void cad(struct mconsole_request *request)
{
	ctrl_alt_del();
	mconsole_done(request);
}

/* These do not come back, so they are answered before. */
static bool is_final(char key)
{
	return key == 'b' || key == 'c' || key == 'o';
}

static void sysrq(struct mconsole_request *request)
{
	char key = request->arguments[0];
	u64 from = log_end();

	if (!IS_ENABLED(CONFIG_MAGIC_SYSRQ)) {
		mconsole_answer(request, -EOPNOTSUPP,
				"this kernel was built without CONFIG_MAGIC_SYSRQ");
		return;
	}
	if (!key || *skip_spaces(request->arguments + 1)) {
		mconsole_answer(request, -EINVAL, "sysrq needs one letter; sysrq h lists them");
		return;
	}
	if (is_final(key))
		mconsole_done(request);
	__handle_sysrq(key, false);
	if (!is_final(key))
		answer_with_log(request, from);
}

/* The last request counts, also where it makes a stop shorter or longer. */
static void stop(struct mconsole_request *request)
{
	const char *text = strim(request->arguments);
	unsigned int seconds = 0;

	if (*text && (kstrtouint(text, 10, &seconds) || !seconds || seconds > LONGEST_STOP)) {
		mconsole_answer(request, -EINVAL, "stop takes a number of seconds from 1 to %d; "
				"without it the instance is stopped until go", LONGEST_STOP);
		return;
	}
	mconsole_stopped = true;
	mconsole_stop_end = seconds ? host_monotonic_ns() + seconds * (u64)NSEC_PER_SEC : 0;
	if (seconds)
		mconsole_answer(request, 0, "stopped for %u seconds", seconds);
	else
		mconsole_answer(request, 0, "stopped");
}

static void go(struct mconsole_request *request)
{
	mconsole_stopped = false;
	mconsole_done(request);
}

/* Clients send a line of their own with the line feed alone after each text. */
static void log_text(struct mconsole_request *request)
{
	const char *text = request->arguments;

	if (text[0] && strcmp(text, "\n"))
		pr_notice("%s%s", text, text[strlen(text) - 1] == '\n' ? "" : "\n");
	mconsole_done(request);
}

/* ---- commands that run in a process ---- */

static void stack(struct mconsole_request *request)
{
	struct task_struct *task;
	u64 from = log_end();
	int pid;

	if (kstrtoint(strim(request->arguments), 10, &pid) || pid <= 0) {
		mconsole_answer(request, -EINVAL, "stack needs the number of a process");
		return;
	}
	rcu_read_lock();
	task = find_task_by_pid_ns(pid, &init_pid_ns);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();
	if (!task) {
		mconsole_answer(request, -ESRCH, "there is no process %d", pid);
		return;
	}
	sched_show_task(task);
	put_task_struct(task);
	answer_with_log(request, from);
}

static void sync_all(struct mconsole_request *request)
{
	ksys_sync();
	mconsole_done(request);
}

const struct mconsole_command mconsole_commands[] = {
	{ "version", "- version of the kernel", false, version },
	{ "help", "- this text", false, help },
	{ "halt", "- end the instance at once", false, halt },
	{ "reboot", "- start the instance again at once", false, reboot },
	{ "cad", "- what Ctrl-Alt-Del does: as a rule, shut down and start again", false, cad },
	{ "sysrq", "<letter> - a command of SysRq; h lists them", false, sysrq },
	{ "stop", "[<seconds>] - stop the instance until go, or for so long", false, stop },
	{ "go", "- go on after stop", false, go },
	{ "log", "<text> - write to the kernel's log", false, log_text },
	{ "config", "<device>[=<value>] - show or set a device's configuration", true,
	  mconsole_config },
	{ "remove", "<device> - remove a device", true, mconsole_remove },
#ifdef CONFIG_PROC_FS
	{ "proc", "<file> - contents of a file below /proc", true, mconsole_proc },
#endif
	{ "sync", "- write back all file systems", true, sync_all },
	{ "exec", "[-l<seconds>] <command> - run a command of the guest", true, mconsole_exec },
	{ "stack", "<pid> - stack of a process", true, stack },
	{}
};
