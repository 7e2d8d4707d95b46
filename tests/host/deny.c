// SPDX-License-Identifier: GPL-2.0-only
/*
 * deny [option ...] <call>... -- <command>...: runs the command on a host that refuses some system
 * calls, as container sandboxes do.
 *
 *	-e <error>	with this errno: EPERM (else), ENOSYS, EAGAIN, ENOMEM, EMFILE, EACCES,
 *			EINVAL, EIO or EDQUOT
 *	-n <number>	only that use of the call, counted over all processes of the command
 *	-f <number>	that use and all after it
 *	-w <file>	refuses nothing; writes the names of all calls that are made to the file. One that is in no table is a number
 *	-l		prints the calls it knows
 *
 * "Always" is a filter of its own for each call. The others ask a supervisor, which is this
 * process, through a seccomp listener; a call that the command's own filters trap is not counted.
 * The status is the command's, 128 and the signal that ended it, or 127: could not begin.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL(name) { #name, SYS_##name }
static const struct name { const char *name; int number; } calls[] = {
	{ "rseq", 334 }, { "clone3", 435 }, { "close_range", 436 }, { "openat2", 437 },
	{ "faccessat2", 439 }, CALL(accept4), CALL(access), CALL(arch_prctl), CALL(bind),
	CALL(brk), CALL(chdir), CALL(clock_gettime), CALL(clock_nanosleep), CALL(clone),
	CALL(close), CALL(connect), CALL(copy_file_range), CALL(dup), CALL(dup2), CALL(dup3),
	CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_pwait), CALL(epoll_wait), CALL(eventfd2),
	CALL(execve), CALL(execveat), CALL(exit), CALL(exit_group), CALL(faccessat),
	CALL(fallocate), CALL(fchmod), CALL(fchmodat), CALL(fchown), CALL(fchownat), CALL(fcntl),
	CALL(fdatasync), CALL(fgetxattr), CALL(flock), CALL(fsetxattr), CALL(fstat),
	CALL(fstatfs), CALL(fsync), CALL(ftruncate), CALL(futex), CALL(getcwd), CALL(getdents64),
	CALL(getegid), CALL(geteuid), CALL(getgid), CALL(getpgid), CALL(getpgrp), CALL(getpid),
	CALL(getppid), CALL(getrandom), CALL(getrlimit), CALL(getsockopt), CALL(gettid),
	CALL(getuid), CALL(getxattr), CALL(inotify_add_watch), CALL(inotify_init1),
	CALL(io_uring_enter), CALL(io_uring_register), CALL(io_uring_setup), CALL(ioctl),
	CALL(kill), CALL(lgetxattr), CALL(linkat), CALL(listen), CALL(listxattr), CALL(lseek),
	CALL(lsetxattr), CALL(lstat), CALL(madvise), CALL(memfd_create), CALL(mkdir),
	CALL(mkdirat), CALL(mknodat), CALL(mmap), CALL(mprotect), CALL(mremap), CALL(munmap),
	CALL(nanosleep), CALL(newfstatat), CALL(open), CALL(openat), CALL(pause),
	CALL(personality), CALL(pipe), CALL(pipe2), CALL(poll), CALL(ppoll), CALL(prctl),
	CALL(pread64), CALL(preadv), CALL(preadv2), CALL(prlimit64), CALL(ptrace), CALL(pwrite64),
	CALL(pwritev), CALL(pwritev2), CALL(read), CALL(readlink), CALL(readlinkat), CALL(readv),
	CALL(recvfrom), CALL(recvmsg), CALL(renameat), CALL(renameat2), CALL(restart_syscall),
	CALL(rmdir), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn),
	CALL(rt_sigsuspend), CALL(rt_sigtimedwait), CALL(sched_getaffinity),
	CALL(sched_setaffinity), CALL(sched_yield), CALL(seccomp), CALL(sendmsg), CALL(sendto),
	CALL(set_robust_list), CALL(set_tid_address), CALL(setpgid), CALL(setrlimit),
	CALL(setsid), CALL(setsockopt), CALL(shutdown), CALL(sigaltstack), CALL(socket),
	CALL(socketpair), CALL(stat), CALL(statfs), CALL(statx), CALL(symlinkat), CALL(syncfs),
	CALL(sysinfo), CALL(tgkill), CALL(timer_create), CALL(timer_settime),
	CALL(timerfd_create), CALL(timerfd_settime), CALL(umask), CALL(uname), CALL(unlink),
	CALL(unlinkat), CALL(userfaultfd), CALL(utimensat), CALL(vfork), CALL(wait4),
	CALL(waitid), CALL(write), CALL(writev),
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static const struct name errors[] = {
	{ "EPERM", EPERM },   { "ENOSYS", ENOSYS }, { "EAGAIN", EAGAIN },
	{ "ENOMEM", ENOMEM }, { "EMFILE", EMFILE }, { "EACCES", EACCES },
	{ "EINVAL", EINVAL }, { "EIO", EIO },	    { "EDQUOT", EDQUOT },
};

static int number_of(const struct name *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i].name, name))
			return names[i].number;
	fprintf(stderr, "deny: %s: not a name it knows\n", name);
	exit(127);
}

static void fail(const char *what)
{
	fprintf(stderr, "deny: %s: %s\n", what, strerror(errno));
	exit(127);
}

/* call -1: all calls. */
static int filter(int call, unsigned int action, unsigned int flags)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, call < 0 ? 0 : call, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, call < 0 ? ~0U : (unsigned int)call, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog all = { sizeof(program) / sizeof(program[0]), program };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &all);
}

static void __attribute__((noreturn)) run(char **command)
{
	execvp(command[0], command);
	fail(command[0]);
	exit(127);
}

/* ---- the supervisor ---- */

static long first, last;		/* uses that are refused */
static int error = EPERM;
static char seen[1024];

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void answer(int listener, int child)
{
	static long uses;
	struct seccomp_notif call;
	struct seccomp_notif_resp response = { 0 };
	int number;

	memset(&call, 0, sizeof(call));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
		return;		/* whoever made it is gone */
	number = call.data.nr;
	if (number >= 0 && number < (int)sizeof(seen))
		seen[number] = 1;
	response.id = call.id;
	response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	/* The command's own beginning is not counted. */
	if (!(number == SYS_execve && (int)call.pid == child) && ++uses >= first && uses <= last) {
		response.flags = 0;
		response.error = -error;
	}
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static int supervise(int listener, int child)
{
	struct pollfd waits = { .fd = listener, .events = POLLIN };
	int status;

	for (;;) {
		int ready = poll(&waits, 1, 20);

		if (ready > 0 && waits.revents & POLLIN) {
			answer(listener, child);
			continue;
		}
		if (waitpid(child, &status, ready > 0 ? 0 : WNOHANG) == child)
			return status_of(status);
	}
}

#define TAKEN (1 << 30)

static int run_supervised(int call, char **command)
{
	volatile int *theirs =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int child, listener, process, status;

	*theirs = -1;
	child = fork();
	if (child < 0)
		fail("fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		*theirs = filter(call, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
		if (*theirs < 0)
			fail("seccomp");
		while (*theirs != TAKEN)	/* without any call; exec closes it */
			__builtin_ia32_pause();
		run(command);
	}
	while (*theirs < 0) {
		if (waitpid(child, &status, WNOHANG) == child)
			return status_of(status);
		usleep(1000);
	}
	process = syscall(434 /* pidfd_open */, child, 0);
	listener = syscall(438 /* pidfd_getfd */, process, *theirs, 0);
	if (listener < 0) {
		kill(child, SIGKILL);
		fail("the listener");
	}
	*theirs = TAKEN;
	return supervise(listener, child);
}

static void write_seen(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		fail(path);
	for (int number = 0; number < (int)sizeof(seen); number++) {
		const char *name = NULL;

		for (size_t i = 0; i < CALLS; i++)
			if (calls[i].number == number)
				name = calls[i].name;
		if (seen[number] && name)
			fprintf(file, "%s\n", name);
		else if (seen[number])
			fprintf(file, "%d\n", number);
	}
	fclose(file);
}

int main(int argc, char **argv)
{
	const char *watch = NULL;
	int option, count = 0, refused[16];

	while ((option = getopt(argc, argv, "+e:n:f:w:l")) != -1) {
		switch (option) {
		case 'e':
			error = number_of(errors, sizeof(errors) / sizeof(errors[0]), optarg);
			break;
		case 'n':
			first = last = atol(optarg);
			break;
		case 'f':
			first = atol(optarg);
			last = 1L << 60;
			break;
		case 'w':
			watch = optarg;
			break;
		case 'l':
			for (size_t i = 0; i < CALLS; i++)
				puts(calls[i].name);
			return 0;
		default:
			return 127;
		}
	}
	/* getopt leaves out the first "--" if no call is named. */
	for (; optind < argc && strcmp(argv[optind], "--") &&
	       !(watch && !strcmp(argv[optind - 1], "--"));
	     optind++) {
		if (count == 16)
			return 127;
		refused[count++] = number_of(calls, CALLS, argv[optind]);
	}
	if (optind < argc && !strcmp(argv[optind], "--"))
		optind++;
	if (optind >= argc || (first && count != 1)) {
		fprintf(stderr,
			"usage: deny [-e error] [-n number | -f number] <call>... -- <command>...\n"
			"       deny -w file -- <command>...\n");
		return 127;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (watch || first) {
		int status = run_supervised(watch ? -1 : refused[0], argv + optind);

		if (watch)
			write_seen(watch);
		return status;
	}
	/* The one that stops us from adding filters comes last. */
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < count; i++)
			if ((refused[i] == SYS_seccomp) == pass &&
			    filter(refused[i], SECCOMP_RET_ERRNO | error, 0))
				fail("seccomp");
	run(argv + optind);
}
