// SPDX-License-Identifier: GPL-2.0-only
/*
 * Giving turns to guest threads and requests to mappers of the seccomp engine, and waiting for
 * them.
 *
 *  1. `owner`, a futex word in memory that guest code can write, says whose turn it is. Its value
 *     is a hint only: a guest that writes it claims a trap, or loses one, and harms itself. The
 *     side that waits for it sleeps, or spins first where that pays.
 *  2. Sleeping: the virtual CPU and its stub processes are on one host CPU, and each turn is a
 *     switch from one to the other, which costs 2 us there and many times as much across CPUs.
 *  3. Spinning: the virtual CPU is on another host CPU and both look at the word for some
 *     microseconds before they sleep (spinning.c).
 *  4. A new sequence number, a futex too, in a page that guest code cannot write, starts the
 *     mapper's requests. The report comes through an eventfd, of which the guest thread has no
 *     descriptor: so it cannot be forged, as a word in the stub's memory could.
 *  5. The end of a child process is added to the same eventfd and put in place of the turn that is
 *     awaited, whatever guest code left in it, so that neither wait outlives its stub process.
 *
 * Runs on the thread of the virtual CPU; on_child in its signal handler.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <host/process.h>
#include <host/time.h>
#include <host/vcpu.h>

#include "os.h"
#include "engines.h"
#include "seccomp_stub.h"
#include "spinning.h"

#define A_DEATH (1UL << 32)	/* in the eventfd; reports are smaller */

/* One for each virtual CPU. */
static struct handoff {
	unsigned int *awaited;		/* the word that is waited for */
	unsigned int deaths;		/* of child processes, all in all */
} handoffs[HOST_MAX_VCPUS];

int host_done_fd = -1;
unsigned long host_turns_spun, host_turns_slept;

static struct handoff *this_handoff(void)
{
	return &handoffs[this_vcpu() - host_vcpus];
}

static void wake(unsigned int *word)
{
	if (syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
		host_fatal("the host refuses futex now (%s), which it allowed before: allow it, "
			   "in a container by a seccomp profile that has it", strerror(errno));
}

/* ---- 5. children that end ---- */

static void on_child(int signo)
{
	struct handoff *handoff = this_handoff();
	unsigned int *awaited = handoff->awaited, owner;
	uint64_t death = A_DEATH;
	int saved = errno;

	handoff->deaths++;
	owner = awaited ? __atomic_load_n(awaited, __ATOMIC_SEQ_CST) : STUB_TRAPPED;
	while (owner != STUB_TRAPPED &&
	       !__atomic_compare_exchange_n(awaited, &owner, STUB_GONE, 0, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
	if (write(host_done_fd, &death, sizeof(death)) < 0)
		host_warn("internal error: cannot note the end of a stub process");
	errno = saved;
}

/* ---- turns ---- */

int handoff_guest_owns(void)
{
	unsigned int *awaited = this_handoff()->awaited;

	return awaited && __atomic_load_n(awaited, __ATOMIC_SEQ_CST) != STUB_TRAPPED;
}

static void stay_together(struct host_space *space)
{
	int cpu = this_vcpu()->host_cpu;

	if (space->cpu != cpu) {
		host_pin_process(space->pid);
		space->cpu = cpu;
	}
}

void handoff_give(struct host_space *space)
{
	struct stub_state *state = space->state;

	this_handoff()->awaited = &state->owner;
	space->control->spin_loops =
		spinning_give(__atomic_load_n(&state->stub_sleeps, __ATOMIC_RELAXED) != 0);
	stay_together(space);
	__atomic_store_n(&state->owner, STUB_RUNS, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&state->stub_sleeps, __ATOMIC_SEQ_CST))
		wake(&state->owner);
}

/* Neither trapped nor running: a child has died, or guest code wrote nonsense. */
static int look_after(struct host_space *space, unsigned int owner)
{
	if (!seccomp_stub_lives(space))
		return -ESRCH;
	__atomic_compare_exchange_n(&space->state->owner, &owner, STUB_RUNS, 0, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
	return 0;
}

/* end: on the monotonic clock, since interrupts begin the wait anew; NULL: none. */
static long wait_while_runs(unsigned int *word, const struct timespec *end)
{
	return syscall(SYS_futex, word, FUTEX_WAIT_BITSET, STUB_RUNS, end, NULL, FUTEX_BITSET_MATCH_ANY) < 0 ? -errno : 0;
}

static int sleep_until_trapped(struct host_space *space, const struct timespec *end)
{
	unsigned int *word = &space->state->owner, owner;
	int error = 0;

	while (!error && (owner = __atomic_load_n(word, __ATOMIC_SEQ_CST)) != STUB_TRAPPED) {
		if (owner != STUB_RUNS)
			error = look_after(space, owner);
		else if (wait_while_runs(word, end) == -ETIMEDOUT)
			error = -ETIMEDOUT;
	}
	return error;
}

/* A child that ended before it was waited for. */
static int died_before(const struct handoff *handoff, struct host_space *space)
{
	unsigned int deaths = __atomic_load_n(&handoff->deaths, __ATOMIC_RELAXED);

	if (space->deaths_seen == deaths)
		return 0;
	if (!seccomp_stub_lives(space))
		return 1;
	space->deaths_seen = deaths;
	return 0;
}

int handoff_wait(struct host_space *space, long limit_ns)
{
	unsigned long long end_ns = limit_ns ? host_monotonic_ns() + limit_ns : 0;
	struct timespec end = { end_ns / 1000000000, end_ns % 1000000000 };
	struct handoff *handoff = this_handoff();
	struct stub_state *state = space->state;
	int error;

	/* of a new stub process, too, which was given no turn */
	handoff->awaited = &state->owner;
	if (spinning_poll(&state->owner, STUB_TRAPPED, space->pid)) {
		handoff->awaited = NULL;
		host_turns_spun++;
		spinning_trapped(space->pid, 0);
		return 0;
	}
	host_turns_slept++;
	space->control->spin_loops = spinning_answer();
	__atomic_store_n(&state->kernel_sleeps, 1, __ATOMIC_SEQ_CST);
	error = died_before(handoff, space) ? -ESRCH : sleep_until_trapped(space, limit_ns ? &end : NULL);
	__atomic_store_n(&state->kernel_sleeps, 0, __ATOMIC_RELAXED);
	handoff->awaited = NULL;
	spinning_trapped(space->pid, 1);
	return error;
}

/* ---- 4. requests ---- */

int handoff_report(struct host_space *space)
{
	uint64_t report;
	ssize_t length;

	for (;;) {
		spinning_sleeps();
		length = read(host_done_fd, &report, sizeof(report));
		spinning_woke();
		if (length != sizeof(report)) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (report >= A_DEATH && !seccomp_stub_lives(space))
			return -ESRCH;
		report %= A_DEATH;
		if (report)
			return 1 - (int)report;
	}
}

/*
 * For a stub process that was killed before its report was read: it would be taken for another
 * one's.
 */
void handoff_forget_reports(void)
{
	uint64_t report;
	struct pollfd poll_done = { .fd = host_done_fd, .events = POLLIN };

	if (poll(&poll_done, 1, 0) == 1 && read(host_done_fd, &report, sizeof(report)) < 0)
		host_warn("internal error: cannot read the reports of mappers");
}

/* The mapper works while this thread sleeps, so it is best on the same CPU. */
static void have_mapper_near(struct host_space *space)
{
	int cpu = host_cpu_now();

	if (space->mapper_cpu != cpu) {
		host_pin_to(space->mapper, cpu);
		space->mapper_cpu = cpu;
	}
}

int handoff_request(struct host_space *space, unsigned int count)
{
	struct stub_control *control = space->control;

	if (died_before(this_handoff(), space))
		return -ESRCH;
	have_mapper_near(space);
	control->count = count;
	__atomic_store_n(&control->sequence, control->sequence + 1, __ATOMIC_SEQ_CST);
	wake(&control->sequence);
	return handoff_report(space);
}

/* ---- once ---- */

int handoff_init(void)
{
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP | SA_ONSTACK };

	unsigned int word = 0;

	host_refused_call = "futex";
	if (syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0) < 0)
		return -errno;
	host_refused_call = "eventfd2";
	host_done_fd = eventfd(0, EFD_CLOEXEC);
	if (host_done_fd < 0)
		return -errno;
	sigfillset(&action.sa_mask);
	host_refused_call = "rt_sigaction";
	if (sigaction(SIGCHLD, &action, NULL))
		return -errno;
	spinning_init();
	return 0;
}
