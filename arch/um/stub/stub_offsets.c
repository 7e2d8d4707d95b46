// SPDX-License-Identifier: GPL-2.0-only
/*
 * Offsets of structure fields for the assembly of this folder. This file is compiled to assembly
 * text only, and Kbuild makes stub_offsets.h of the lines that begin with an arrow, as it makes
 * asm-offsets.h. The name of a field follows that of its structure: STATE_owner.
 */
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <stddef.h>
#include <host/regs.h>
#include "seccomp.h"

#define SAY(name, value) asm volatile("\n.ascii \"->" #name " %0 " #value "\"" : : "i" (value))

#define REQUEST(field)	SAY(REQUEST_##field, offsetof(struct stub_syscall, field))
#define STATE(field)	SAY(STATE_##field, offsetof(struct stub_state, field))
#define CONTROL(field)	SAY(CONTROL_##field, offsetof(struct stub_control, field))
#define SETUP(field)	SAY(SETUP_##field, offsetof(struct stub_setup, field))
#define REG(name)	SAY(REG_##name, offsetof(struct host_regs, name))

void requests(void)
{
	REQUEST(number);
	REQUEST(arguments);
	SAY(REQUEST_SIZE, sizeof(struct stub_syscall));
}

void state(void)
{
	STATE(owner);
	STATE(kernel_sleeps);
	STATE(stub_sleeps);
	STATE(fs_base);
	STATE(gs_base);
	STATE(ds);
	STATE(es);
	STATE(fs);
	STATE(gs);
	STATE(frame);
	STATE(called);
	STATE(kicked);
	STATE(regs);
}

void control(void)
{
	CONTROL(sequence);
	CONTROL(count);
	CONTROL(spin_loops);
	CONTROL(fsgsbase);
	CONTROL(frame);
	CONTROL(fs_base);
	CONTROL(gs_base);
	CONTROL(set_bases);
	CONTROL(back);
	CONTROL(ds);
	CONTROL(es);
	CONTROL(fs);
	CONTROL(gs);
	CONTROL(features);
	CONTROL(call_xstate);
	CONTROL(tsc);
	CONTROL(requests);
	CONTROL(setup);
}

void setup(void)
{
	SETUP(no_signals);
	SETUP(unmap);
	SETUP(guest_program);
	SETUP(mapper_program);
	SETUP(filter_flags);
}

/* In stub_state's regs, which begin as struct host_regs does. */
void registers(void)
{
	REG(r15);
	REG(r14);
	REG(r13);
	REG(r12);
	REG(bp);
	REG(bx);
	REG(r10);
	REG(r9);
	REG(r8);
	REG(ax);
	REG(dx);
	REG(si);
	REG(di);
	REG(ip);
	REG(flags);
	REG(sp);
}

/* In what the host passes to a signal handler: the instruction that the signal came at. */
void frame(void)
{
	SAY(FRAME_ip, offsetof(struct ucontext, uc_mcontext.rip));
}
