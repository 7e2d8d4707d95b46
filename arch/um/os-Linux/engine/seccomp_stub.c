// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stub processes of the seccomp engine as host processes.
 *
 *  1. Control pages, states and signal stacks of all stub processes are pages of one control file,
 *     a slot for each, which this process maps as a whole. A stub process maps its own slot
 *     (stub/seccomp.h says how).
 *  2. A new one is told by struct stub_setup what to do before there is guest code in it, and shows
 *     with its first trap that its handler and filter work.
 *  3. Before it is used again for another address space, its memory is unmapped by the mapper, so
 *     that its guest thread has nothing left to execute but the stub's code. Then it is given a
 *     frame of ours, with a number that it cannot know, whose first instruction traps. If it comes
 *     back with a signal frame that only the host can have written, with that number in it, then it
 *     is in the handler, with the signal mask, signal stack and registers that we gave it, whatever
 *     guest code did before.
 *
 * Runs on the thread of the virtual CPU.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host/engine.h>
#include <host/process.h>
#include <host/vcpu.h>

#include "os.h"
#include "engines.h"
#include "seccomp_filter.h"
#include "seccomp_stub.h"
#include "stub_address.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define SA_RESTORER 0x04000000
#define HWCAP2_FSGSBASE 2

extern const unsigned char host_seccomp_stub[], host_seccomp_stub_end[];

unsigned int host_frame_offset, host_frame_xstate;
struct signal_frame host_first_frame;
struct frame_sw_bytes host_frame_sw;

const struct stub_entries *seccomp_entries;
static int image_fd = -1;

/* ---- 1. slots ---- */

#define MAX_SLOTS 32768		/* Linux's default limit of process ids */

static int control_fd = -1;
static char *control;
static unsigned long slot_size, shared_size;	/* of it all; of what guest code can write */
/* of that, the signal stack; the frame of calls is behind it */
static unsigned long stack_size;
static unsigned int slots_used, freed[MAX_SLOTS], freed_count;

static int stub_take_slot(struct host_space *space)
{
	char *at;

	if (!freed_count && slots_used == MAX_SLOTS)
		return -EAGAIN;
	space->slot = freed_count ? freed[--freed_count] : slots_used++;
	at = control + space->slot * slot_size;
	memset(at, 0, slot_size);
	space->control = (void *)at;
	space->state = (void *)(at + STUB_PAGE);
	return 0;
}

static void free_slot(struct host_space *space)
{
	freed[freed_count++] = space->slot;
}

/* ---- 2. a new one ---- */

static unsigned long fixed_base;	/* stub_base= */

/* The stub's pages lie in one piece in the gap above guest memory. */
static unsigned long last_base(void)
{
	return HOST_ADDRESS_END - STUB_PAGE - slot_size;
}

static unsigned long choose_base(void)
{
	unsigned long pages = (last_base() - host_task_size) / STUB_PAGE, random = 0;

	if (fixed_base)
		return fixed_base;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		/* hosts before Linux 3.17 */
		random = (unsigned long)&random >> 4 ^ getpid();
	return host_task_size + random % pages * STUB_PAGE;
}

static void write_setup(struct host_space *space)
{
	struct stub_setup *setup = &space->control->setup;
	unsigned long control = space->base + STUB_PAGE, end = space->base + STUB_PAGE + slot_size;
	unsigned long filters = control + offsetof(struct stub_control, setup.filters);
	int by_call = !(host_hwcap2 & HWCAP2_FSGSBASE);

	setup->action.handler = setup->action.restorer = space->base + seccomp_entries->trap;
	setup->action.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER;
	setup->action.mask = setup->all_signals = ~0UL;
	setup->stack.base = control + 2 * STUB_PAGE;
	setup->stack.size = stack_size;
	setup->unmap[0][1] = space->base;
	setup->unmap[1][0] = end;
	setup->unmap[1][1] = HOST_ADDRESS_END - end;
	setup->guest_program.length = host_filter_guest((void *)setup->filters[0], seccomp_entries, space->base, by_call);
	setup->guest_program.filter = filters;
	setup->mapper_program.length = host_filter_mapper((void *)setup->filters[1], space->base);
	setup->mapper_program.filter = filters + sizeof(setup->filters[0]);
	setup->filter_flags = host_speculation_allowed ? SECCOMP_FILTER_FLAG_SPEC_ALLOW : 0;
	space->control->fsgsbase = !by_call;
}

static int spawn(struct host_space *space)
{
	char base[17], offset[17], shared[17];
	char *const arguments[] = { "linux-stub", base, offset, shared, NULL };
	const int fds[] = { host_ram_fd, host_done_fd, control_fd };
	const struct host_program program = { .image = image_fd, .fds = fds, .count = 3, .arguments = arguments };

	snprintf(base, sizeof(base), "%lx", space->base);
	snprintf(offset, sizeof(offset), "%lx", space->slot * slot_size);
	snprintf(shared, sizeof(shared), "%lx", shared_size);
	return host_spawn(&program);
}

/* ---- the two frames ---- */

/*
 * Offsets from the state page. A stack pointer in the frame of a call must not be taken for one in
 * the signal stack, though the host leaves 128 bytes below it alone: a kick would not find its
 * frame at the top then.
 */
static unsigned long call_frame_offset(void)
{
	return STUB_PAGE + stack_size + 256;
}

static unsigned long call_xstate_offset(void)	/* as XSAVE wants it: a multiple of 64 */
{
	return call_frame_offset() + ((sizeof(struct signal_frame) + 63) & -64UL);
}

static void use_frame(struct host_space *space, unsigned long frame, unsigned long xstate)
{
	space->frame = (void *)((char *)space->state + frame);
	space->xstate = (char *)space->state + xstate;
	space->control->frame =
		space->base + 2 * STUB_PAGE + frame + sizeof(space->frame->restorer);
}

void seccomp_use_signal_frame(struct host_space *space)
{
	use_frame(space, host_frame_offset, host_frame_xstate);
}

void seccomp_use_call_frame(struct host_space *space)
{
	use_frame(space, call_frame_offset(), call_xstate_offset());
}

/* No guest code has run yet, so what the frame says can be believed. */
static int learn_frame(struct host_space *space)
{
	unsigned long state = space->base + 2 * STUB_PAGE, offset = space->state->frame - state;
	struct signal_frame *frame = (void *)((char *)space->state + offset);
	unsigned long xstate;

	if (offset >= STUB_PAGE + stack_size - sizeof(*frame))
		return -EPROTO;
	xstate = frame->context.regs.fpstate - state;
	if (frame->info.signo != SIGSYS || xstate < offset + sizeof(*frame) - 2 * sizeof(int) || xstate > STUB_PAGE + stack_size - LEGACY_SIZE)
		return -EPROTO;
	if (!host_frame_offset) {
		host_frame_offset = offset;
		host_frame_xstate = xstate;
		host_first_frame = *frame;
		memcpy(&host_frame_sw, (char *)space->state + xstate + FRAME_SW_OFFSET, sizeof(host_frame_sw));
	}
	if (host_frame_offset != offset || host_frame_xstate != xstate)
		return -EPROTO;
	seccomp_use_signal_frame(space);
	space->mapper = frame->context.regs.bp;
	space->control->features = host_frame_sw.features;
	space->control->call_xstate = space->base + 2 * STUB_PAGE + call_xstate_offset();
	return 0;
}

/*
 * Why a new one ended before its first trap: -errno, and host_refused_call. -ESRCH: that is not
 * known, and another one may do.
 */
static int why_not_ready(int status)
{
	static const struct { const char *call; int error; } reasons[] = {
		[STUB_NO_ACTION] = { "rt_sigaction", -EPERM },
		[STUB_NO_STACK] = { "sigaltstack", -EPERM },
		[STUB_NO_MASK] = { "rt_sigprocmask", -EPERM },
		[STUB_NO_MAPPER] = { "clone", -EAGAIN },
		[STUB_NO_ROOM_BELOW] = { "munmap", -EPERM },
		[STUB_NO_ROOM_ABOVE] = { "munmap", -EPERM },
		[STUB_NO_FILTER] = { "seccomp(2) in its stub process", -EPERM },
		[STUB_NO_MAPPER_FILTER] = { "seccomp(2) in its stub process", -EPERM },
	};
	unsigned int number = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

	host_refused_call = "the new process ended";
	if (number < sizeof(reasons) / sizeof(reasons[0]) && reasons[number].call) {
		host_refused_call = reasons[number].call;
		return reasons[number].error;
	}
	if (number == STUB_NO_CODE || number == STUB_NO_CONTROL)
		host_refused_call = "mmap in its stub process";
	return -ESRCH;
}

/* A host that is so slow is of no use; a stub process that so long does nothing will never do. */
#define START_LIMIT_NS 10000000000

static int start_at(struct host_space *space)
{
	int error;

	space->base = choose_base();
	write_setup(space);
	space->pid = spawn(space);
	if (space->pid < 0)
		return space->pid;
	space->cpu = space->mapper_cpu = -1;
	space->fs_base = space->gs_base = ~0UL;
	space->no_tsc = -1;
	space->gone = 0;
	error = handoff_wait(space, START_LIMIT_NS);
	if (!error)
		error = handoff_report(space);
	if (!error)
		error = learn_frame(space);
	return error;
}

/*
 * Exec puts the program's stack somewhere near the top; where it is in the way of the base, another
 * base may do.
 */
#define TRIES 4

int seccomp_stub_start(struct host_space *space)
{
	int status, error = stub_take_slot(space);

	if (error)
		return error;
	for (int tries = 0; tries < TRIES; tries++) {
		error = start_at(space);
		if (!error)
			return 0;
		if (space->pid < 0)
			break;
		status = seccomp_stub_kill(space);
		handoff_forget_reports();
		if (error == -ESRCH)
			error = why_not_ready(status);
		if (error != -ESRCH)
			break;
		free_slot(space);
		stub_take_slot(space);
	}
	free_slot(space);
	return error;
}

int seccomp_stub_lives(const struct host_space *space)
{
	siginfo_t info = { .si_pid = 0 };

	return !space->gone && !waitid(P_PID, space->pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) && !info.si_pid;
}

int seccomp_stub_kill(struct host_space *space)
{
	int status = 0;

	if (space->gone)
		return 0;
	space->runaway.suspect = 0;	/* its id is not ours any more below */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	host_kill_stub(space->pid);
	while (wait4(space->pid, &status, __WALL, NULL) < 0 && errno == EINTR)
		;
	space->gone = 1;
	return status;
}

void seccomp_stub_end(struct host_space *space)
{
	seccomp_stub_kill(space);
	free_slot(space);
}

/* ---- 3. used again ---- */

#define PROBE_LIMIT_NS 20000000

int seccomp_stub_clean(struct host_space *space)
{
	unsigned long nonce = 0;
	int error;

	if (space->gone)
		return -ESRCH;
	space->called = space->xstate_set = 0;
	space->control->back = BACK_HANDLER;
	seccomp_use_signal_frame(space);
	memset((char *)space->state + STUB_PAGE, 0, shared_size - STUB_PAGE);
	memset(&space->state->owner + 1, 0, STUB_PAGE - sizeof(space->state->owner));
	space->state->owner = STUB_TRAPPED;	/* it may be looking at it */
	space->state->stub_sleeps = 1;
	getrandom(&nonce, sizeof(nonce), 0);
	*space->frame = host_first_frame;
	space->frame->context.stack[0] = space->base + 3 * STUB_PAGE;
	space->frame->context.regs.fpstate = space->base + 2 * STUB_PAGE + host_frame_xstate;
	space->frame->context.regs.ip = space->base + seccomp_entries->probe;
	space->frame->context.regs.r15 = nonce;
	memset(&space->frame->info, 0, sizeof(space->frame->info));
	space->fs_base = space->gs_base = ~0UL;
	space->no_tsc = -1;
	space->control->tsc = 0;
	seccomp_xstate_init(space);
	handoff_give(space);
	error = handoff_wait(space, PROBE_LIMIT_NS);
	if (error)
		return error;
	if (space->frame->info.signo != SIGSYS || space->frame->context.regs.r15 != nonce)
		return -EPERM;
	return 0;
}

/* ---- once ---- */

static unsigned long whole_pages(unsigned long size)
{
	return (size + STUB_PAGE - 1) & -(unsigned long)STUB_PAGE;
}

/* A signal frame of the host, and room to spare. */
static unsigned long frame_size(void)
{
	unsigned long least = getauxval(AT_MINSIGSTKSZ);
	unsigned int a = 13, b = 0, c = 0, d;

	if (!least) {
		asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		least = b + 2048;
	}
	return least + 1024;
}

static void read_stub_base(void)
{
	const char *text = host_stub_base_option;
	char *end;

	if (!text)
		return;
	fixed_base = strtoul(text, &end, 16);
	if (*end || fixed_base % STUB_PAGE || fixed_base < host_task_size || fixed_base > last_base())
		host_fatal("stub_base=%s: must be the hexadecimal address of a page from %lx to %lx", text, host_task_size, last_base());
}

int seccomp_stub_init(void)
{
	const unsigned char *image = host_seccomp_stub;

	seccomp_entries = (const void *)(image + STUB_CODE_OFFSET);
	stack_size = whole_pages(frame_size());
	shared_size = STUB_PAGE + 2 * stack_size;
	slot_size = STUB_PAGE + shared_size;
	read_stub_base();
	host_refused_call = "a file for the program";
	image_fd = host_program_image(image, host_seccomp_stub_end - image);
	if (image_fd < 0)
		return image_fd;
	host_refused_call = "a file for what is shared with it";
	control_fd = host_nameless_file("linux-control", MAX_SLOTS * slot_size);
	if (control_fd < 0)
		return control_fd;
	host_refused_call = "mmap";
	control = mmap(NULL, MAX_SLOTS * slot_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, control_fd, 0);
	return control == MAP_FAILED ? -errno : 0;
}
