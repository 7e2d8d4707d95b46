// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Linux around the kernel side of the management console, for its fuzzer. Commands do nothing
 * and exit after a while, files take and give any number of bytes, disks and channels open or do
 * not: the input chooses. A further function that the code under test calls is added here.
 */
#include <host/attach.h>
#include <host/console.h>
#include <host/disk.h>
#include <host/exec.h>
#include <host/process.h>
#include <host/vcpu.h>
#include <linux/utsname.h>

#include "../../arch/um/drivers/console/channel.h"
#include "../../arch/um/drivers/console/line.h"
#include "../../arch/um/drivers/disk/ubd.h"
#include "../../arch/um/drivers/mconsole/exec_start.h"
#include "../../arch/um/drivers/mconsole/request.h"
#include "../../arch/um/include/asm/guest_clock.h"
#include "../../arch/um/include/asm/guest_memory.h"
#include "mconsole_fuzz.h"

unsigned long jiffies;
int init_pid_ns;
static bool is_started;
static int in_interrupt;

static irqreturn_t (*handlers[HOST_IRQ_COUNT])(int, void *);
static struct work_struct *works, **works_end = &works;

/* ---- start, interrupts, time ---- */

void guest_start(void)
{
	extern const initcall __start_initcalls[], __stop_initcalls[];

	for (const initcall *call = __start_initcalls; call < __stop_initcalls; call++)
		(*call)();
	is_started = true;
}

int request_irq(unsigned int irq, irqreturn_t (*handler)(int, void *), unsigned long flags,
		const char *name, void *data)
{
	handlers[irq] = handler;
	return 0;
}

void guest_interrupt(int irq)
{
	in_interrupt++;
	handlers[irq](irq, NULL);
	in_interrupt--;
}

void queue_work(struct workqueue_struct *queue, struct work_struct *work)
{
	work->next = NULL;
	*works_end = work;
	works_end = &work->next;
}

void guest_work(void)
{
	struct work_struct *work;

	while ((work = works)) {
		works = work->next;
		if (!works)
			works_end = &works;
		work->run(work);
	}
}

static void wait(unsigned long ticks)
{
	if (in_interrupt)
		abort();
	jiffies += ticks;
	clients_turn();
}

void schedule_timeout_uninterruptible(long timeout)
{
	wait(timeout);
}

void exec_events_wait(struct exec_events *events, long timeout)
{
	wait(choose(4) ? 1 : min(timeout, 100 * HZ));
}

void exec_events_init(struct exec_events *events)
{
}

void exec_events_add_file(struct exec_events *events, struct file *file)
{
}

void exec_events_add_queue(struct exec_events *events, wait_queue_head_t *queue)
{
}

void exec_events_remove(struct exec_events *events, const void *file_or_queue)
{
}

void exec_events_signal(struct exec_events *events)
{
}

/* ---- commands and their files ---- */

struct file {
	int references;
};

/* Allocated, so that the sanitizer finds one that is not reaped, or used afterwards. */
struct pid {
	unsigned int turns;		/* until it exits */
	wait_queue_head_t wait_pidfd;
};

static struct file *new_file(void)
{
	struct file *file = malloc(sizeof(*file));

	file->references = 1;
	return file;
}

struct file *get_file(struct file *file)
{
	file->references++;
	return file;
}

void command_close(struct file *file)
{
	if (file && !--file->references)
		free(file);
}

ssize_t kernel_read(struct file *file, void *buffer, size_t count, loff_t *place)
{
	size_t length = 1 + choose(min(count, 40000UL));

	if (!file->references || choose(3))
		return choose(4) ? -EAGAIN : 0;
	memset(buffer, 'x', min(length, count));
	return min(length, count);
}

ssize_t kernel_write(struct file *file, const void *buffer, size_t count, loff_t *place)
{
	static char taken[HOST_EXEC_FRAME];

	if (!file->references || !choose(3))
		return choose(4) ? -EAGAIN : -EPIPE;
	count = choose(2) ? count : min(count, 1UL + choose(100));
	memcpy(taken, buffer, count);
	return count;
}

const char *command_obstacle(void)
{
	return choose(40) ? NULL : "there is no init yet";
}

int command_pipe(struct file **of_command, struct file **ours, bool to_command)
{
	if (!choose(40)) {
		*of_command = *ours = NULL;
		return -EMFILE;
	}
	*of_command = new_file();
	*ours = new_file();
	return 0;
}

struct file *command_terminal(unsigned int user, unsigned int group)
{
	return choose(8) ? new_file() : ERR_PTR(-ENODEV);
}

void command_resize(struct file *terminal, unsigned int rows, unsigned int columns)
{
	terminal->references += 0 * (rows + columns);
}

static size_t read_strings(const char *const *list)
{
	size_t length = 0;

	for (; *list; list++)
		length += strlen(*list);
	return length;
}

int command_start(struct guest_command *command)
{
	size_t length = read_strings(command->arguments) + read_strings(command->environment) +
			strlen(command->directory);
	int error = choose(10) ? 0 : -EAGAIN;

	for (unsigned int i = 0; i < command->group_count; i++)
		length += command->groups[i];
	for (int i = 0; i < 3 && !command->terminal; i++)
		command_close(command->files[i]);
	command->error = length == 1 || !choose(10) ? -ENOENT : 0;
	command->failed = choose(2) ? command->arguments[0] : command->directory;
	if (error)
		return error;
	command->pid = malloc(sizeof(*command->pid));
	command->pid->turns = choose(2) * choose(100);
	return 0;
}

wait_queue_head_t *command_exits(struct guest_command *command)
{
	return &command->pid->wait_pidfd;
}

bool command_has_exited(struct guest_command *command)
{
	if (command->pid->turns)
		command->pid->turns--;
	return !command->pid->turns;
}

void command_signal_session(struct guest_command *command, int signal)
{
	if (choose(2))
		command->pid->turns /= 4;
}

void command_signal(struct guest_command *command, int signal)
{
	command_signal_session(command, signal);
}

int command_reap(struct guest_command *command)
{
	free(command->pid);
	command->pid = NULL;
	return choose(256);
}

/* ---- other commands of the console ---- */

void mconsole_proc(struct mconsole_request *request)
{
	static const char text[5000] = "x";

	mconsole_part(request, text, choose(sizeof(text)));
	mconsole_done(request);
}

struct task_struct *find_task_by_pid_ns(int pid, void *namespace)
{
	return pid < 1000 ? (struct task_struct *)&init_pid_ns : NULL;
}

static u64 log_length;

void sched_show_task(struct task_struct *task)
{
	log_length += choose(40);
}

void __handle_sysrq(u8 key, bool check)
{
	log_length += choose(40);
}

void kmsg_dump_rewind(struct kmsg_dump_iter *log)
{
	log->cur_seq = log_length > 1000 ? log_length - 1000 : 0;
	log->next_seq = log_length;
}

bool kmsg_dump_get_line(struct kmsg_dump_iter *log, bool syslog, char *line, size_t size,
			size_t *length)
{
	if (log->cur_seq >= log->next_seq)
		return false;
	log->cur_seq++;
	*length = 1 + choose(choose(8) ? 80 : size);
	memset(line, 'l', *length);
	line[*length - 1] = '\n';
	return true;
}

struct new_utsname *init_utsname(void)
{
	static struct new_utsname name;

	memset(&name, 'n', sizeof(name) - 1);
	name.sysname[64] = name.nodename[64] = name.release[64] = name.version[64] =
		name.machine[64] = '\0';
	return &name;
}

void machine_halt(void)
{
}

void machine_restart(char *command)
{
}

void ctrl_alt_del(void)
{
}

void ksys_sync(void)
{
}

void guest_clock_stop(void)
{
}

void guest_clock_go(void)
{
}

/* ---- devices ---- */

unsigned long host_ram_most = 1UL << 32;
static unsigned long ram = 1UL << 28;

unsigned long guest_memory_size(void)
{
	return ram;
}

int guest_memory_resize(unsigned long size, const char **why)
{
	ram = choose(2) ? ram : size;
	*why = "there is not so much that is free";
	return ram == size ? 0 : -ENOMEM;
}

/* A reason of any length up to the longest. */
static int explain(char *why, size_t size)
{
	size_t length = choose(2) ? size - 1 : choose(size);

	memset(why, 'w', length);
	why[length] = '\0';
	return -EINVAL;
}

int host_disk_open(struct host_disk **disk, const char *path, const char *backing, int flags,
		   struct host_disk_info *info)
{
	static const int errors[] = {
		ENOENT, EISDIR, ELOOP, ENOTDIR, ENAMETOOLONG, ENOTBLK, EACCES, EREMCHG,
		EMEDIUMTYPE, EAGAIN, EIO,
	};

	memset(info, 0, sizeof(*info));
	if (strlen(path) + strlen(backing) && choose(2)) {
		if (choose(2))
			explain(info->why, sizeof(info->why));
		info->cow = choose(2);
		return -errors[choose(sizeof(errors) / sizeof(*errors))];
	}
	*disk = malloc(1);
	info->size = choose(4) ? 1 << 20 : choose(1000);
	info->sector_size = 512;
	return 0;
}

int host_disk_has_file(const struct host_disk *disk, const char *path)
{
	return *(const char *)path == 'x';
}

void host_disk_close(struct host_disk *disk)
{
	free(disk);
}

struct mutex ubds_lock;

int ubd_add(unsigned int index)
{
	if (!choose(8))
		return -ENOMEM;
	ubds[index].gendisk = (void *)&ubds[index];
	return 0;
}

int ubd_remove(unsigned int index)
{
	struct ubd *ubd = &ubds[index];

	if (ubd->gendisk && !choose(4))
		return -EBUSY;
	host_disk_close(ubd->disk);
	free(ubd->value);
	memset(ubd, 0, sizeof(*ubd));
	return 0;
}

bool ubd_is_open(const struct ubd *ubd)
{
	return choose(2);
}

void ubd_look_at_sizes(void)
{
}

void line_set_init(struct line_set *set)
{
}

int line_set_register(struct line_set *set)
{
	return 0;
}

/* ---- channels ---- */

static int open_handle(const char *argument, char *why)
{
	if (is_started && argument && strlen(argument) && choose(2))
		return explain(why, HOST_CONSOLE_WHY);
	return choose(100);
}

int host_console_open(int fd, int flags, char *why)
{
	return open_handle("fd", why);
}

int host_console_open_tty(const char *path, int flags, char *why)
{
	return open_handle(path, why);
}

int host_console_open_pty(int bsd, int flags, char *why)
{
	return open_handle("pty", why);
}

int host_console_open_port(const char *address, int flags, char *why)
{
	return open_handle(address, why);
}

int host_console_open_unix(const char *path, int flags, char *why)
{
	return open_handle(path, why);
}

int host_console_open_xterm(const char *settings, const char *title, int flags, char *why)
{
	return open_handle(settings, why);
}

void host_console_close(int console)
{
}

void host_attach_describe(int line, int state, const char *channel)
{
}

void host_console_describe(int console, char *text, unsigned long size)
{
	size_t length = choose(size);

	memset(text, 'd', length);
	text[length] = '\0';
}

long host_console_read(int console, void *buffer, unsigned long length)
{
	return -EAGAIN;
}

long host_console_write(int console, const void *buffer, unsigned long length)
{
	return length;
}

void host_console_print(int console, const char *text, unsigned long length)
{
}

void host_console_watch(int console, int direction)
{
}

int host_console_events(int console)
{
	return 0;
}

void host_console_renew(int console)
{
}

void host_console_show(int console)
{
}

int host_console_size(int console, unsigned short *rows, unsigned short *columns)
{
	return -ENOTTY;
}
