// SPDX-License-Identifier: GPL-2.0-only
/*
 * A host that gives few processes: fork, vfork and exec fail with an error where there is none
 * left, nobody is killed for it, and all is well when there are some again. hostile-host.t runs it
 * under a limit of the host; the program knows none of it, only that fork fails some time.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"

#define MOST 400

static pid_t children[MOST];
static int count;

static int start_sleepers(void)
{
	while (count < MOST) {
		pid_t child = fork();

		if (child < 0)
			return errno;
		if (!child)
			for (;;)
				pause();
		children[count++] = child;
	}
	return 0;
}

static int end_sleepers(int number)
{
	int well = 0, status;

	while (number-- && count) {
		kill(children[--count], SIGTERM);
		well += waitpid(children[count], &status, 0) == children[count] &&
			WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
	}
	return well;
}

static int all_live(void)
{
	return waitpid(-1, NULL, WNOHANG) == 0;
}

static int vfork_error(void)
{
	pid_t child = vfork();

	if (!child)
		_exit(0);
	if (child < 0)
		return errno;
	waitpid(child, NULL, 0);
	return 0;
}

static int run_program(void *unused)
{
	char *const arguments[] = { "true", NULL };

	execve("/bin/true", arguments, NULL);
	_exit(errno);
}

/* It shares our memory and is none of our threads, so exec needs an address space more. */
static int exec_error(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t child = clone(run_program, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	int status;

	need(child > 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* fork and then exec in the child needs one, not two. */
static int program_status(void)
{
	pid_t child = fork();
	int status;

	if (!child)
		run_program(NULL);
	if (child < 0)
		return 1000 + errno;
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 999;
}

static void *thread(void *result)
{
	*(int *)result = 1;
	return NULL;
}

static int thread_runs(void)
{
	pthread_t id;
	int ran = 0;

	return !pthread_create(&id, NULL, thread, &ran) && !pthread_join(id, NULL) && ran;
}

int main(void)
{
	int error;

	if (!in_guest()) {
		check_skip("fork fails where the host gives no more processes",
			   "only a guest has a host");
		return check_done();
	}
	check_equal(start_sleepers(), EAGAIN,
		    "fork fails with EAGAIN where the host gives no more processes");
	say("# after %d\n", count);
	check(count > 3, "after some that worked");
	for (int i = 0; i < 20; i++)
		if (fork() >= 0)
			break;
	check(all_live(), "no process is killed for it");
	check_equal(vfork_error(), EAGAIN, "vfork fails with EAGAIN, too");
	error = exec_error();
	check(error == EAGAIN || error == ENOMEM,
	      "exec by a child that shares its parent's memory fails with an error");
	check(thread_runs(), "a thread can be made: it needs no process of the host");
	check(all_live(), "still no process is killed");
	check_equal(end_sleepers(1), 1, "one of the processes ends as it was told to");
	check_equal(program_status(), 0, "then there is one for another program");
	check_equal(exec_error(), 0, "also for a child that shares its parent's memory");
	check_equal(vfork_error(), 0, "also for vfork");
	error = count;
	check_equal(end_sleepers(MOST), error, "all others end as they are told to");
	for (int i = 0; i < 20; i++)
		if (program_status())
			return check(0, "a program can be started again and again"), check_done();
	check(1, "a program can be started again and again");
	return check_done();
}
