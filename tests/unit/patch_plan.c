// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder of system call sites (arch/um/x86_64/patch_plan.c): what it takes and refuses, and
 * that on any bytes it looks at no others than it says.
 */
#include "../../arch/um/x86_64/patch_plan.c"
#include "../guest/check.h"

#define BEFORE	PATCH_PLAN_BEFORE
#define BEHIND	PATCH_PLAN_BEHIND

struct site {
	const char *text;
	int start;			/* wanted; 0: refused */
	int length;
	byte code[BEFORE];		/* ends with the system call instruction */
};

#define NUMBER 39
#define LOAD 0xb8, NUMBER, 0, 0, 0	/* mov $39, %eax */
#define CALL 0x0f, 0x05

static const struct site sites[] = {
	{ "a load of the number", -7, 5, { LOAD, CALL } },
	{ "another number", 0, 0, { 0xb8, 40, 0, 0, 0, CALL } },
	{ "a load of %rax, with REX.W", 0, 0, { 0x48, LOAD, CALL } },
	{ "syscall(3)", -7, 5, { 0x4c, 0x8b, 0x4c, 0x24, 0x08, CALL } },
	{ "mov %r10, %rdx between", -10, 8, { LOAD, 0x4c, 0x89, 0xd2, CALL } },
	{ "mov %edi, %esi between", -9, 7, { LOAD, 0x89, 0xfe, CALL } },
	{ "xor %edx, %edx between", -9, 7, { LOAD, 0x31, 0xd2, CALL } },
	{ "xor %edx, %esi between", 0, 0, { LOAD, 0x31, 0xd6, CALL } },
	{ "mov %rcx, %r10 between", 0, 0, { LOAD, 0x49, 0x89, 0xca, CALL } },
	{ "mov %rcx, %r10 between, of the other form", 0, 0, { LOAD, 0x4c, 0x8b, 0xd1, CALL } },
	{ "mov %ecx, %edx between", 0, 0, { LOAD, 0x89, 0xca, CALL } },
	{ "mov %ecx, %edx between, of the other form", 0, 0, { LOAD, 0x8b, 0xd1, CALL } },
	{ "mov %r9, %r10 between, whose fields look like %rcx",
	  -10,
	  8,
	  { LOAD, 0x4d, 0x89, 0xca, CALL } },
	{ "mov %r9, %r10 between, of the other form", -10, 8, { LOAD, 0x4d, 0x8b, 0xd1, CALL } },
	{ "mov %rdx, %rcx between", -10, 8, { LOAD, 0x48, 0x89, 0xd1, CALL } },
	{ "mov (%rdi), %rsi between", 0, 0, { LOAD, 0x48, 0x8b, 0x37, CALL } },
	{ "cmpl $39, -0x48(%rbp)", 0, 0, { 0x81, 0x7d, LOAD, CALL } },
	{ "movl $39, -0x48(%rsp)", 0, 0, { 0xc7, 0x44, 0x24, LOAD, CALL } },
	{ "imul $39, -0x48(%rbp), %eax", 0, 0, { 0x69, 0x45, LOAD, CALL } },
	{ "testl $39, (%rax,%rdi,4)", 0, 0, { 0xf7, 0x04, LOAD, CALL } },
	{ "movl $39, -0x47ffff00(%rbp)", 0, 0, { 0xc7, 0x85, 0x00, 0x01, 0x00, LOAD, CALL } },
	{ "movl $39, -0x47ffff00(%rip)", 0, 0, { 0xc7, 0x05, 0x00, 0x01, 0x00, LOAD, CALL } },
	{ "movl $39, -0x47ffff00(%rsp)", 0, 0, { 0xc7, 0x84, 0x24, 0x00, 0x01, 0x00, LOAD, CALL } },
	{ "movl $39, -0x47ffff00(,%rdi,4)",
	  0,
	  0,
	  { 0xc7, 0x04, 0xbd, 0x00, 0x01, 0x00, LOAD, CALL } },
};

static int length_of(const struct site *site)
{
	int length = BEFORE;

	while (site->code[length - 2] != 0x0f || site->code[length - 1] != 0x05)
		length--;
	return length;
}

static void check_site(const struct site *site)
{
	int length = length_of(site);
	byte code[BEFORE + BEHIND];
	struct patch_plan plan;
	bool known;

	memset(code, 0x90, sizeof(code));
	memcpy(code + BEFORE - length, site->code, length);
	known = patch_plan(code + BEFORE, NUMBER, &plan);
	check(known == (site->start != 0) && (!known || (plan.start == site->start &&
	      plan.length == site->length && !plan.detour)), site->text);
}

/* read(2) of glibc: the jump does not fit and lies in a fill behind the function. */
static void check_detour(void)
{
	static const byte around[] = {
		0x31, 0xc0, CALL, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77, 0x10, 0xc3,
		0x0f, 0x1f, 0x44, 0x00, 0x00,
	};
	byte code[BEFORE + BEHIND] = { 0 };
	struct patch_plan plan;

	memcpy(code + BEFORE - 4, around, sizeof(around));
	check(patch_plan(code + BEFORE, 0, &plan) && plan.start == -4 && plan.length == 2 &&
		      plan.detour == 9,
	      "read(2) with a fill behind it");
	check(!patch_plan(code + BEFORE, 1, &plan), "but not for a number that is not 0");
	code[BEFORE + 9] = 0x55;
	check(!patch_plan(code + BEFORE, 0, &plan), "nor without the fill");
}

/* The array is as large as what may be looked at, so the sanitizers see a byte too many. */
static void check_any(void)
{
	unsigned long state = 1, known = 0;
	bool inside = true;

	for (int round = 0; round < 1000000; round++) {
		byte code[BEFORE + BEHIND];
		struct patch_plan plan;

		for (unsigned int i = 0; i < sizeof(code); i++) {
			state = state * 6364136223846793005UL + 1442695040888963407UL;
			code[i] = state >> 56;
		}
		if (round & 1)
			memcpy(code + BEFORE - 10 + (round >> 1) % 4, (byte[]){ LOAD }, 5);
		if (!patch_plan(code + BEFORE, NUMBER, &plan))
			continue;
		known++;
		inside &= plan.start >= -BEFORE && plan.length >= 2 &&
			  plan.start + plan.length == -CALL_LENGTH && plan.detour >= 0 &&
			  plan.detour + JUMP_LENGTH <= BEHIND;
	}
	say("# %lu of a million plans\n", known);
	check(known && inside, "on random bytes a plan ends at the instruction and stays near it");
}

int main(void)
{
	for (unsigned int i = 0; i < sizeof(sites) / sizeof(sites[0]); i++)
		check_site(&sites[i]);
	check_detour();
	check_any();
	return check_done();
}
