// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filters of the two threads of a stub process (stub/seccomp.S), as classic BPF over struct
 * seccomp_data.
 *
 *  - The guest thread may make the system calls at the stub's own labels and nowhere else, each
 *    with the arguments that it has there:
 *    wake the kernel, wait for the turn, return from the signal; say whether its own rdtsc faults;
 *    and, where the processor has no instruction for it, set the bases of its own fs and gs. All
 *    else is a trap (SIGSYS), whatever the number, also in 32-bit code.
 *  - The mapper may wait for requests, change mappings of guest RAM, and report. All else kills the
 *    process.
 *
 * A filter is written once for each stub process, since the addresses differ.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <host/process.h>

#include "seccomp_filter.h"

#define SET_GS 0x1001	/* arch_prctl(2) */
#define SET_FS 0x1002

/*
 * A program is a list of cases. A case is a chain of tests that each go on or leave for the next
 * case; at its end it allows. What no case allows gets the default.
 */
struct program {
	struct sock_filter *code;
	int length;
	int case_start;
};

static void filter_emit(struct program *program, struct sock_filter instruction)
{
	if (program->length == STUB_FILTER_MAX)
		host_fatal("internal error: a filter has more than %d instructions", STUB_FILTER_MAX);
	program->code[program->length++] = instruction;
}

static void filter_load(struct program *program, unsigned int offset)
{
	filter_emit(program, (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

/* Goes on if what was loaded is value; where else to is filled in by end_case. */
static void expect(struct program *program, unsigned int value)
{
	filter_emit(program, (struct sock_filter)
		    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0xff));
}

static void expect_word(struct program *program, unsigned int offset, unsigned int value)
{
	filter_load(program, offset);
	expect(program, value);
}

#define LOW(argument)	(offsetof(struct seccomp_data, args) + 8 * (argument))
#define HIGH(argument)	(LOW(argument) + 4)

static void expect_argument(struct program *program, int argument, unsigned long value)
{
	expect_word(program, LOW(argument), value);
	expect_word(program, HIGH(argument), value >> 32);
}

/* For arguments of type int, whose upper half the host ignores. */
static void expect_int(struct program *program, int argument, unsigned int value)
{
	expect_word(program, LOW(argument), value);
}

static void end_case(struct program *program)
{
	filter_emit(program, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	for (int i = program->case_start; i < program->length; i++)
		if (BPF_CLASS(program->code[i].code) == BPF_JMP && program->code[i].jf == 0xff)
			program->code[i].jf = program->length - i - 1;
	program->case_start = program->length;
}

static void begin_call(struct program *program, unsigned int number)
{
	expect_word(program, offsetof(struct seccomp_data, nr), number);
}

/*
 * The default for everything that is not x86-64 or, if address is not 0, does not come from that
 * page.
 */
static void preamble(struct program *program, unsigned long address, unsigned int otherwise)
{
	if (address) {
		filter_load(program, offsetof(struct seccomp_data, instruction_pointer) + 4);
		filter_emit(program, (struct sock_filter)
			    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, address >> 32, 1, 0));
		filter_emit(program, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, otherwise));
	}
	filter_load(program, offsetof(struct seccomp_data, arch));
	filter_emit(program, (struct sock_filter)
		    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	filter_emit(program, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, otherwise));
	program->case_start = program->length;
}

static int filter_finish(struct program *program, unsigned int otherwise)
{
	filter_emit(program, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, otherwise));
	return program->length;
}

/* The call must come from the system call instruction at base + offset. */
static void begin_call_at(struct program *program, unsigned long base, unsigned int offset, unsigned int number)
{
	const unsigned int syscall_length = 2;

	expect_word(program, offsetof(struct seccomp_data, instruction_pointer), base + offset + syscall_length);
	begin_call(program, number);
}

static void may_set_base(struct program *program, unsigned long base, unsigned int offset, int which)
{
	begin_call_at(program, base, offset, SYS_arch_prctl);
	expect_int(program, 0, which);
	end_case(program);
}

static void may_set_tsc(struct program *program, unsigned long base, unsigned int offset, int mode)
{
	begin_call_at(program, base, offset, SYS_prctl);
	expect_int(program, 0, PR_SET_TSC);
	expect_int(program, 1, mode);
	end_case(program);
}

int host_filter_guest(struct sock_filter *code, const struct stub_entries *entries, unsigned long base, int bases_by_call)
{
	unsigned long owner = base + 2 * STUB_PAGE + offsetof(struct stub_state, owner);
	struct program program = { .code = code };

	preamble(&program, base, SECCOMP_RET_TRAP);
	begin_call_at(&program, base, entries->sys_return, SYS_rt_sigreturn);
	end_case(&program);
	begin_call_at(&program, base, entries->sys_wait, SYS_futex);
	expect_argument(&program, 0, owner);
	expect_int(&program, 1, FUTEX_WAIT);
	expect_int(&program, 2, STUB_TRAPPED);
	expect_argument(&program, 3, 0);
	end_case(&program);
	begin_call_at(&program, base, entries->sys_wake, SYS_futex);
	expect_argument(&program, 0, owner);
	expect_int(&program, 1, FUTEX_WAKE);
	expect_int(&program, 2, 1);
	end_case(&program);
	may_set_tsc(&program, base, entries->sys_tsc, PR_TSC_ENABLE);
	may_set_tsc(&program, base, entries->sys_tsc, PR_TSC_SIGSEGV);
	if (bases_by_call) {
		may_set_base(&program, base, entries->sys_fs, SET_FS);
		may_set_base(&program, base, entries->sys_gs, SET_GS);
	}
	return filter_finish(&program, SECCOMP_RET_TRAP);
}

int host_filter_mapper(struct sock_filter *code, unsigned long base)
{
	struct program program = { .code = code };

	preamble(&program, 0, SECCOMP_RET_KILL_PROCESS);
	begin_call(&program, SYS_futex);
	expect_argument(&program, 0, base + STUB_PAGE + offsetof(struct stub_control, sequence));
	expect_int(&program, 1, FUTEX_WAIT);
	expect_argument(&program, 3, 0);
	end_case(&program);
	begin_call(&program, SYS_write);
	expect_int(&program, 0, STUB_FD_DONE);
	end_case(&program);
	begin_call(&program, SYS_mmap);
	expect_int(&program, 3, MAP_SHARED | MAP_FIXED | MAP_POPULATE);
	expect_int(&program, 4, STUB_FD_RAM);
	end_case(&program);
	begin_call(&program, SYS_munmap);
	end_case(&program);
	begin_call(&program, SYS_mprotect);
	end_case(&program);
	return filter_finish(&program, SECCOMP_RET_KILL_PROCESS);
}
