// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking the virtual CPU back from guest code.
 *
 * A kick is a signal to the guest thread, which traps by it. Under an engine where guest code can
 * block host signals (seccomp: it can return from a signal frame of its own making), or wait in the
 * stub's own futex call, a kick may stay without effect. Then it comes again, and a thread that has
 * run for RUN_LIMIT since the first, or that sleeps without having trapped, is ended with its
 * process. A thread that the host merely has not let run is waited for.
 *
 * Runs in the signal handler of the virtual CPU.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <host/vcpu.h>

#include "os.h"
#include "engines.h"

#define AGAIN_NS	10000000
#define RUN_LIMIT_NS	30000000
#define SLEEP_KICKS	5
#define MOST_KICKS	100	/* where the host does not tell who sleeps */

int host_kick_insists;

/* One for each virtual CPU. */
static struct {
	/* kicks since in_guest was last set; host_kick_over() when it is no more */
	unsigned int count;
	/* CPU time of the stub process at the first of them */
	unsigned long long ran_before;
} kicks[HOST_MAX_VCPUS];

/* The clock of a process's CPU time, by its id (Linux: clock_getcpuclockid(3)). */
unsigned long long host_cpu_time(int pid)
{
	struct timespec ran = { 0, 0 };

	clock_gettime((clockid_t)(~(unsigned int)pid << 3 | 2), &ran);
	return ran.tv_sec * 1000000000ULL + ran.tv_nsec;
}

/* -1: the host does not show it. */
static int sleeps(int pid)
{
	char text[512], *end;
	int fd, length;

	snprintf(text, sizeof(text), "/proc/%d/stat", pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return 0;
	text[length] = 0;
	end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == 'S';
}

static int is_stubborn(struct vcpu *vcpu)
{
	unsigned long long ran = host_cpu_time(vcpu->in_guest);
	int n = vcpu - host_vcpus, asleep;

	if (++kicks[n].count == 1)
		kicks[n].ran_before = ran;
	/*
	 * This handler may run many times before the thread below it has given the turn, or sees
	 * that it came back.
	 */
	if (!handoff_guest_owns())
		return 0;
	if (ran - kicks[n].ran_before > RUN_LIMIT_NS)
		return 1;
	if (kicks[n].count <= SLEEP_KICKS)
		return 0;
	asleep = sleeps(vcpu->in_guest);
	return asleep > 0 || (asleep < 0 && kicks[n].count > MOST_KICKS);
}

void host_kick(struct vcpu *vcpu)
{
	int pid = vcpu->in_guest;

	if (!host_kick_insists) {
		syscall(SYS_tgkill, pid, pid, SIGUSR1);
		return;
	}
	if (is_stubborn(vcpu))
		kill(pid, SIGKILL);
	else
		syscall(SYS_tgkill, pid, pid, SIGUSR1);
	host_retry_after(AGAIN_NS);
}

void host_kick_over(struct vcpu *vcpu)
{
	if (!kicks[vcpu - host_vcpus].count)
		return;
	kicks[vcpu - host_vcpus].count = 0;
	host_retry_after(0);
}
