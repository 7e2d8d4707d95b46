// SPDX-License-Identifier: GPL-2.0-only
/*
 * Giving turns to guest threads and orders to mappers of the seccomp engine, and getting them back.
 *
 *  1. The turn is a futex word in memory that guest code can write. Its value is a hint only: a guest that writes it claims a trap, or
 *     loses one, and harms itself. Who waits for it sleeps, or spins first where that pays.
 *  2. Sleeping: the virtual CPU and its stub processes are on one host CPU, and each turn is a switch from one to the other, which costs
 *     2 us there and many times as much across CPUs.
 *  3. Spinning: the virtual CPU goes to another host CPU and both look at the word for some microseconds before they sleep. It is tried
 *     where traps come fast, and given up when one side waited in vain, or when the host took the CPU away from us: then not tried
 *     again for a while, twice as long each time that it was short. On a loaded host it ends up hardly ever tried.
 *  4. An order is a new sequence number, a futex too, in a page that guest code cannot write. The report comes through an eventfd, of which
 *     the guest thread has no descriptor: so it cannot be forged, as a word in the stub's memory could.
 *  5. The end of a child process is added to the same eventfd and put in place of the turn that is awaited, so that neither wait
 *     outlives its stub process.
 *
 * Runs on the thread of the virtual CPU; on_child in its signal handler.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <host/process.h>
#include <host/time.h>
#include <host/vcpu.h>

#include "os.h"
#include "seccomp_stub.h"

#define SPIN_US		20	/* how long a turn is looked for */
#define FAST_US		10	/* traps come fast: less than this between two turns given */
#define FAST_TURNS	32	/* so many times in a row */
#define LOOK_TURNS	256	/* how often it is looked whether the host took the CPU away */
#define SHORT_STINT	1024	/* spinning that ends before so many turns was not worth it */
#define FIRST_PAUSE_US	200	/* until it is tried again */
#define LAST_PAUSE_US	2000000

#define A_DEATH (1UL << 32)	/* in the eventfd; reports are smaller */

/* One for each virtual CPU. */
static struct handoff {
	unsigned int *awaited;		/* the turn that is waited for */
	unsigned int deaths;		/* of child processes, all in all */
	int spinning;
	unsigned int fast_turns, turns;	/* in a row; since spinning began */
	long switches;			/* involuntary ones of this thread, when it was last looked */
	unsigned long last_turn, not_before, pause;	/* in ticks of the TSC */
} handoffs[HOST_MAX_VCPUS];

int host_done_fd = -1;
static unsigned long ticks_per_us = 1000;
static unsigned int stub_spin;		/* turns of the stub's loop */

static struct handoff *this_handoff(void)
{
	return &handoffs[this_vcpu() - host_vcpus];
}

static unsigned long ticks(void)
{
	return __builtin_ia32_rdtsc();
}

static long futex(unsigned int *word, int operation, unsigned int value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation, value, timeout, NULL, 0) < 0 ? -errno : 0;
}

/* ---- 5. children that end ---- */

static void on_child(int signo)
{
	struct handoff *handoff = this_handoff();
	unsigned int *awaited = handoff->awaited, runs = STUB_RUNS;
	uint64_t death = A_DEATH;
	int saved = errno;

	handoff->deaths++;
	if (awaited)
		__atomic_compare_exchange_n(awaited, &runs, STUB_GONE, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	if (write(host_done_fd, &death, sizeof(death)) < 0)
		host_warn("internal error: cannot note the end of a stub process");
	errno = saved;
}

/* ---- 3. spinning ---- */

static long involuntary_switches(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nivcsw;
}

static void begin_spinning(struct handoff *handoff)
{
	if (host_pin_elsewhere())
		return;
	handoff->spinning = 1;
	handoff->turns = 0;
	handoff->switches = involuntary_switches();
}

/* here: the stubs come to this CPU; otherwise we go to theirs. */
static void end_spinning(struct handoff *handoff, int here)
{
	handoff->spinning = 0;
	if (handoff->turns >= SHORT_STINT)
		handoff->pause = FIRST_PAUSE_US * ticks_per_us;
	else if (handoff->pause < LAST_PAUSE_US * ticks_per_us)
		handoff->pause *= 2;
	handoff->not_before = ticks() + handoff->pause;
	handoff->fast_turns = 0;
	if (here)
		host_pin();
	else
		host_pin_back();
}

static int host_is_busy(struct handoff *handoff)
{
	long before = handoff->switches;

	if (++handoff->turns % LOOK_TURNS)
		return 0;
	handoff->switches = involuntary_switches();
	return handoff->switches != before;
}

static void consider_spinning(struct handoff *handoff)
{
	unsigned long now = ticks(), since = now - handoff->last_turn;

	handoff->last_turn = now;
	if (handoff->spinning) {
		if (host_is_busy(handoff)) {
			handoff->turns = 0;
			end_spinning(handoff, 0);
		}
		return;
	}
	handoff->fast_turns = since < FAST_US * ticks_per_us ? handoff->fast_turns + 1 : 0;
	if (handoff->fast_turns >= FAST_TURNS && (long)(now - handoff->not_before) > 0)
		begin_spinning(handoff);
}

static int spin(const unsigned int *turn)
{
	unsigned long end = ticks() + SPIN_US * ticks_per_us;

	do {
		if (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == STUB_TRAPPED)
			return 1;
		__builtin_ia32_pause();
	} while ((long)(ticks() - end) < 0);
	return 0;
}

/* ---- turns ---- */

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
	struct handoff *handoff = this_handoff();
	struct stub_state *state = space->state;

	consider_spinning(handoff);
	/* To wake it over there would cost more than all that spinning saves. */
	if (handoff->spinning && __atomic_load_n(&state->stub_sleeps, __ATOMIC_RELAXED))
		end_spinning(handoff, 1);
	stay_together(space);
	space->orders->spin = handoff->spinning ? stub_spin : 0;
	__atomic_store_n(&state->turn, STUB_RUNS, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&state->stub_sleeps, __ATOMIC_SEQ_CST))
		futex(&state->turn, FUTEX_WAKE, 1, NULL);
}

/* Neither trapped nor running: a child has died, or guest code wrote nonsense. */
static int look_after(struct host_space *space, unsigned int turn)
{
	if (turn == STUB_GONE && !seccomp_stub_lives(space))
		return -ESRCH;
	__atomic_compare_exchange_n(&space->state->turn, &turn, STUB_RUNS, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return 0;
}

static int sleep_until_trapped(struct host_space *space, const struct timespec *limit)
{
	unsigned int *word = &space->state->turn, turn;
	int error = 0;

	while (!error && (turn = __atomic_load_n(word, __ATOMIC_SEQ_CST)) != STUB_TRAPPED) {
		if (turn != STUB_RUNS)
			error = look_after(space, turn);
		else if (futex(word, FUTEX_WAIT, STUB_RUNS, limit) == -ETIMEDOUT)
			error = -ETIMEDOUT;
	}
	return error;
}

/* A child that ended before its turn was awaited. */
static int died_before(const struct handoff *handoff, struct host_space *space)
{
	unsigned int deaths = __atomic_load_n(&handoff->deaths, __ATOMIC_RELAXED);

	if (space->deaths_seen == deaths)
		return 0;
	space->deaths_seen = deaths;
	return !seccomp_stub_lives(space);
}

int handoff_wait(struct host_space *space, long limit_ns)
{
	struct timespec limit = { limit_ns / 1000000000, limit_ns % 1000000000 };
	struct handoff *handoff = this_handoff();
	struct stub_state *state = space->state;
	int error;

	if (handoff->spinning) {
		if (spin(&state->turn))
			return 0;
		end_spinning(handoff, 0);
	}
	handoff->awaited = &state->turn;
	__atomic_store_n(&state->kernel_sleeps, 1, __ATOMIC_SEQ_CST);
	error = died_before(handoff, space) ? -ESRCH : sleep_until_trapped(space, limit_ns ? &limit : NULL);
	__atomic_store_n(&state->kernel_sleeps, 0, __ATOMIC_RELAXED);
	handoff->awaited = NULL;
	return error;
}

/* ---- 4. orders ---- */

int handoff_report(struct host_space *space)
{
	uint64_t report;

	for (;;) {
		if (read(host_done_fd, &report, sizeof(report)) != sizeof(report))
			continue;	/* interrupted */
		if (report >= A_DEATH && !seccomp_stub_lives(space))
			return -ESRCH;
		report %= A_DEATH;
		if (report)
			return 1 - (int)report;
	}
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

int handoff_order(struct host_space *space, unsigned int count)
{
	struct stub_orders *orders = space->orders;

	have_mapper_near(space);
	orders->count = count;
	__atomic_store_n(&orders->sequence, orders->sequence + 1, __ATOMIC_SEQ_CST);
	futex(&orders->sequence, FUTEX_WAKE, 1, NULL);
	return handoff_report(space);
}

/* ---- once ---- */

/* How fast the TSC runs and how long the stub's loop takes, near enough. */
static void measure(void)
{
	enum { TURNS = 1000 };
	unsigned long long start_ns = host_monotonic_ns();
	unsigned long start = ticks(), us;

	for (int i = 0; i < TURNS; i++)
		__builtin_ia32_pause();
	us = (host_monotonic_ns() - start_ns) / 1000 + 1;
	ticks_per_us = (ticks() - start) / us + 1;
	stub_spin = SPIN_US * TURNS / us + 1;
}

int handoff_init(void)
{
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP | SA_ONSTACK };

	host_done_fd = eventfd(0, EFD_CLOEXEC);
	if (host_done_fd < 0)
		return -errno;
	sigfillset(&action.sa_mask);
	sigaction(SIGCHLD, &action, NULL);
	measure();
	for (int i = 0; i < HOST_MAX_VCPUS; i++)
		handoffs[i].pause = FIRST_PAUSE_US * ticks_per_us;
	return 0;
}
