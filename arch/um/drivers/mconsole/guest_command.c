// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that the management console starts in the guest.
 *
 * A command is a child of the thread that starts it, which is one of a work queue. The child is a
 * thread of the kernel until kernel_execve(): it opens its own session, goes to init's root,
 * takes its descriptors, user and directory, and then becomes the program. It reads the struct
 * guest_command meanwhile, so that this must stay until the child was reaped.
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/kdev_t.h>
#include <linux/major.h>
#include <linux/namei.h>
#include <linux/pid_namespace.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/tty.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <linux/binfmts.h>

#include "guest_command.h"

/* ---- where commands run ---- */

static struct task_struct *get_init(void)
{
	struct task_struct *init;

	rcu_read_lock();
	init = READ_ONCE(init_pid_ns.child_reaper);
	get_task_struct(init);
	rcu_read_unlock();
	return init;
}

const char *command_obstacle(void)
{
	struct task_struct *init = get_init();
	bool has_program;

	task_lock(init);
	has_program = init->mm && init->fs;
	task_unlock(init);
	put_task_struct(init);
	if (system_state > SYSTEM_RUNNING)
		return "the guest is going down";
	return has_program ? NULL : "init does not run yet: try again when the guest has started";
}

static int get_root(struct path *root)
{
	struct task_struct *init = get_init();
	int error = -ESRCH;

	task_lock(init);
	if (init->fs) {
		get_fs_root(init->fs, root);
		error = 0;
	}
	task_unlock(init);
	put_task_struct(init);
	return error;
}

/* ---- files ---- */

void command_close(struct file *file)
{
	if (file)
		__fput_sync(file);
}

int command_pipe(struct file **of_command, struct file **ours, bool to_command)
{
	struct file *ends[2];
	int error = create_pipe_files(ends, 0);

	if (error)
		return error;
	*of_command = ends[!to_command];
	*ours = ends[to_command];
	spin_lock(&(*ours)->f_lock);
	(*ours)->f_flags |= O_NONBLOCK;
	spin_unlock(&(*ours)->f_lock);
	return 0;
}

#if defined(CONFIG_UNIX98_PTYS) && defined(CONFIG_TTY)

static struct tty_struct *tty_of(struct file *terminal)
{
	struct tty_file_private *private = terminal->private_data;

	return private->tty;
}

/* Opens it with root's rights, but so that its device belongs to the user. */
static struct file *open_as(const struct path *root, unsigned int user, unsigned int group)
{
	struct cred *cred = prepare_creds();
	const struct cred *before;
	struct file *file;

	if (!cred)
		return ERR_PTR(-ENOMEM);
	cred->fsuid = make_kuid(&init_user_ns, user);
	cred->fsgid = make_kgid(&init_user_ns, group);
	before = override_creds(cred);
	file = file_open_root(root, "dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_LARGEFILE, 0);
	revert_creds(before);
	put_cred(cred);
	return file;
}

struct file *command_terminal(unsigned int user, unsigned int group)
{
	struct path root;
	struct file *file;
	int error = get_root(&root);

	if (error)
		return ERR_PTR(error);
	file = open_as(&root, user, group);
	path_put(&root);
	if (IS_ERR(file))
		return file;
	if (!S_ISCHR(file_inode(file)->i_mode) ||
	    file_inode(file)->i_rdev != MKDEV(TTYAUX_MAJOR, 2)) {
		command_close(file);
		return ERR_PTR(-ENOTTY);
	}
	clear_bit(TTY_PTY_LOCK, &tty_of(file)->flags);
	return file;
}

void command_resize(struct file *terminal, unsigned int rows, unsigned int columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };
	struct tty_struct *tty = tty_of(terminal);

	if (tty->ops->resize)
		tty->ops->resize(tty, &size);
}

/* The child's side of the terminal becomes its controlling terminal and its descriptors. */
static int take_terminal(struct file *terminal)
{
	int fd = vfs_ioctl(terminal, TIOCGPTPEER, O_RDWR), error = 0;
	struct file *file;

	if (fd < 0)
		return fd;
	file = fget(fd);
	for (int i = 0; i < 3 && !error; i++)
		if (i != fd)
			error = min(replace_fd(i, file, 0), 0);
	fput(file);
	if (fd > 2)
		close_fd(fd);
	return error;
}

static struct pid *foreground(struct file *terminal)
{
	return tty_get_pgrp(tty_of(terminal)->link);
}

#else

struct file *command_terminal(unsigned int user, unsigned int group)
{
	return ERR_PTR(-ENODEV);
}

void command_resize(struct file *terminal, unsigned int rows, unsigned int columns)
{
}

static int take_terminal(struct file *terminal)
{
	return -ENODEV;
}

static struct pid *foreground(struct file *terminal)
{
	return NULL;
}

#endif

/* ---- the child ---- */

static int go_to_root(void)
{
	struct path root;
	int error = get_root(&root);

	if (error)
		return error;
	set_fs_root(current->fs, &root);
	set_fs_pwd(current->fs, &root);
	path_put(&root);
	current->fs->umask = 0022;
	return 0;
}

static int take_files(struct file *files[3])
{
	int error = 0;

	for (int i = 0; i < 3; i++) {
		if (!error)
			error = min(replace_fd(i, files[i], 0), 0);
		fput(files[i]);
	}
	return error;
}

#ifdef CONFIG_MULTIUSER
static int take_groups(struct cred *cred, const struct guest_command *command)
{
	struct group_info *info = groups_alloc(command->group_count);

	if (!info)
		return -ENOMEM;
	for (unsigned int i = 0; i < command->group_count; i++) {
		info->gid[i] = make_kgid(&init_user_ns, command->groups[i]);
		if (!gid_valid(info->gid[i])) {
			put_group_info(info);
			return -EINVAL;
		}
	}
	groups_sort(info);
	set_groups(cred, info);
	put_group_info(info);
	return 0;
}
#else
static int take_groups(struct cred *cred, const struct guest_command *command)
{
	return 0;
}
#endif

static int set_user(struct cred *cred, const struct guest_command *command)
{
	kuid_t user = make_kuid(&init_user_ns, command->user);
	kgid_t group = make_kgid(&init_user_ns, command->group);
	struct user_struct *account;

	if (!uid_valid(user) || !gid_valid(group))
		return -EINVAL;
	account = alloc_uid(user);
	if (!account)
		return -ENOMEM;
	free_uid(cred->user);
	cred->user = account;
	cred->uid = cred->euid = cred->suid = cred->fsuid = user;
	cred->gid = cred->egid = cred->sgid = cred->fsgid = group;
	if (command->user) {
		cap_clear(cred->cap_permitted);
		cap_clear(cred->cap_effective);
		cap_clear(cred->cap_inheritable);
		cap_clear(cred->cap_ambient);
	}
	return set_cred_ucounts(cred);
}

static int become_user(const struct guest_command *command)
{
	struct cred *cred = prepare_kernel_cred(current);
	int error;

	if (!cred)
		return -ENOMEM;
	error = take_groups(cred, command);
	if (!error)
		error = set_user(cred, command);
	if (error) {
		abort_creds(cred);
		return error;
	}
	return commit_creds(cred);
}

static int go_to_directory(const char *name)
{
	struct path path;
	int error = kern_path(name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);

	if (error)
		return error;
	error = path_permission(&path, MAY_EXEC | MAY_CHDIR);
	if (!error)
		set_fs_pwd(current->fs, &path);
	path_put(&path);
	return error;
}

static const char *path_to_search(const char *const *environment)
{
	for (; *environment; environment++)
		if (!strncmp(*environment, "PATH=", 5))
			return *environment + 5;
	return COMMAND_PATH;
}

/* As execvp(3) does: a program that may not be executed is not the end of the search. */
static int search_and_execute(const struct guest_command *command, char *name)
{
	const char *path = path_to_search(command->environment);
	int result = -ENOENT;

	for (;;) {
		int length = strcspn(path, ":");
		int error = -ENAMETOOLONG;

		if (snprintf(name, PATH_MAX, "%.*s/%s", length, length ? path : ".",
			     command->arguments[0]) < PATH_MAX)
			error = kernel_execve(name, command->arguments, command->environment);
		if (error != -ENOENT && error != -ENOTDIR)
			result = error;
		if (result != -ENOENT && result != -EACCES)
			return result;
		if (!path[length])
			return result;
		path += length + 1;
	}
}

static int execute(const struct guest_command *command)
{
	const char *program = command->arguments[0];
	char *name;
	int error;

	if (strchr(program, '/'))
		return kernel_execve(program, command->arguments, command->environment);
	if (!*program)
		return -ENOENT;
	name = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	error = search_and_execute(command, name);
	kfree(name);
	return error;
}

/* Returns with an error, or as the program. */
static int become_program(struct guest_command *command, struct file *terminal)
{
	int error;

	command->failed = "the root";
	error = go_to_root();
	if (!error && terminal) {
		command->failed = "the terminal";
		error = take_terminal(terminal);
	}
	if (!error) {
		command->failed = "the user";
		error = become_user(command);
	}
	if (!error) {
		command->failed = command->directory;
		error = go_to_directory(command->directory);
	}
	if (error)
		return error;
	command->failed = command->arguments[0];
	return execute(command);
}

static int child(void *data)
{
	struct guest_command *command = data;
	struct file *terminal = command->childs_terminal;
	int error = 0;

	spin_lock_irq(&current->sighand->siglock);
	flush_signal_handlers(current, 1);
	spin_unlock_irq(&current->sighand->siglock);
	ksys_setsid();
	complete(&command->has_session);
	set_user_nice(current, 0);
	command->failed = "its descriptors";
	if (!terminal)
		error = take_files(command->files);
	if (!error)
		error = become_program(command, terminal);
	if (terminal)
		fput(terminal);
	if (!error)
		return 0;
	command->error = error;
	do_exit(127 << 8);
}

/* ---- its parent ---- */

int command_start(struct guest_command *command)
{
	pid_t number;

	command->error = 0;
	init_completion(&command->has_session);
	command->childs_terminal = command->terminal ? get_file(command->terminal) : NULL;
	kernel_sigaction(SIGCHLD, SIG_DFL);	/* or there would be nothing to reap */
	number = user_mode_thread(child, command, SIGCHLD);
	if (number < 0) {
		kernel_sigaction(SIGCHLD, SIG_IGN);
		command_close(command->childs_terminal);
		for (int i = 0; i < 3 && !command->terminal; i++)
			command_close(command->files[i]);
		return number;
	}
	command->pid = find_get_pid(number);
	/* Until then it ignores signals, SIGKILL too, as its parent does. */
	wait_for_completion(&command->has_session);
	return 0;
}

wait_queue_head_t *command_exits(struct guest_command *command)
{
	return &command->pid->wait_pidfd;
}

bool command_has_exited(struct guest_command *command)
{
	struct task_struct *task;
	bool has_exited;

	rcu_read_lock();
	task = pid_task(command->pid, PIDTYPE_PID);
	has_exited = !task || (READ_ONCE(task->exit_state) && !delay_group_leader(task));
	rcu_read_unlock();
	return has_exited;
}

void command_signal_session(struct guest_command *command, int signal)
{
	struct task_struct *task;

	/* No process can be added to the session meanwhile. */
	read_lock(&tasklist_lock);
	do_each_pid_task(command->pid, PIDTYPE_SID, task) {
		group_send_sig_info(signal, SEND_SIG_PRIV, task, PIDTYPE_SID);
	} while_each_pid_task(command->pid, PIDTYPE_SID, task);
	read_unlock(&tasklist_lock);
}

void command_signal(struct guest_command *command, int signal)
{
	struct pid *group = command->terminal ? foreground(command->terminal) : NULL;

	if (group)
		kill_pgrp(group, signal, 1);
	else
		kill_pgrp(command->pid, signal, 1);
	put_pid(group);
}

int command_reap(struct guest_command *command)
{
	int status = 0;

	while (kernel_wait(pid_nr(command->pid), &status) == -ERESTARTSYS)
		;
	kernel_sigaction(SIGCHLD, SIG_IGN);
	put_pid(command->pid);
	command->pid = NULL;
	return status & 0x7f ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
}
