// SPDX-License-Identifier: GPL-2.0-only
/*
 * deny <call>... -- <command>...: runs the command on a host that refuses some system calls (with EPERM), as container
 * sandboxes do. The calls it knows are in the table below.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct { const char *name; int number; } calls[] = {
	{ "ptrace", SYS_ptrace },
	{ "memfd_create", SYS_memfd_create },
	{ "seccomp", SYS_seccomp },
	{ "userfaultfd", SYS_userfaultfd },
	{ "close_range", SYS_close_range },
	{ "getrandom", SYS_getrandom },
	{ "io_uring_setup", SYS_io_uring_setup },
	{ "madvise", SYS_madvise },
	{ "sched_setaffinity", SYS_sched_setaffinity },
	{ "timer_create", SYS_timer_create },
	{ "openat2", SYS_openat2 },
};

static int number_of(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(calls[i].name, name))
			return calls[i].number;
	return -1;
}

static int refuse(int call)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog all = { sizeof(program) / sizeof(program[0]), program };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all);
}

int main(int argc, char **argv)
{
	int i;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* The filters that stop us from adding filters come last. */
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		int call = number_of(argv[i]);

		if (call < 0 || refuse(call)) {
			fprintf(stderr, "deny: %s: %s\n", argv[i], call < 0 ? "not a call it knows" : strerror(errno));
			return 127;
		}
	}
	if (i + 1 >= argc) {
		fprintf(stderr, "usage: deny <call>... -- <command>...\n");
		return 127;
	}
	execvp(argv[i + 1], argv + i + 1);
	fprintf(stderr, "deny: %s: %s\n", argv[i + 1], strerror(errno));
	return 127;
}
