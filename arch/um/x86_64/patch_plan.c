// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which instructions before a system call instruction can become a jump (syscall_patch.c).
 *
 * A pure function of the bytes around it. A trampoline does what the replaced instructions did,
 * then loads %rcx, then enters the stub; a kick in between makes it begin again. So each of them
 * may be done twice, the second time with another %rcx.
 *
 * Compiles without the kernel for its unit test (tests/unit/patch_plan.c). Reference for the
 * encodings: Intel's manual, volume 2, chapter 2 and appendix A.
 */
#ifdef __KERNEL__
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <string.h>
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif
#include "patch_plan.h"

typedef unsigned char byte;

static bool is_prefix(byte code)
{
	return (code & 0xf0) == 0x40 || code == 0x66;	/* REX, operand size */
}

/* No-operations of five bytes and more, as compilers fill up with, begin so. */
static bool is_long_nop(const byte *code)
{
	static const byte nops[][5] = {
		{ 0x0f, 0x1f, 0x44, 0, 0 }, { 0x66, 0x0f, 0x1f, 0x44, 0 }, { 0x0f, 0x1f, 0x80, 0, 0 },
		{ 0x0f, 0x1f, 0x84, 0, 0 }, { 0x66, 0x0f, 0x1f, 0x84, 0 },
		{ 0x66, 0x2e, 0x0f, 0x1f, 0x84 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(nops); i++)
		if (!memcmp(code, nops[i], sizeof(nops[i])))
			return true;
	return false;
}

enum { RCX = 1 };			/* a register */
enum { EXTENDS_RM = 1, EXTENDS_REG = 4 };	/* bits of REX */

/* The fields of a ModRM byte. */
static int mod(byte modrm)
{
	return modrm >> 6;
}

static int reg(byte modrm)
{
	return modrm >> 3 & 7;
}

static int rm(byte modrm)
{
	return modrm & 7;
}

/*
 * One instruction that may be done twice: a move between registers, not out of %rcx, or the
 * exclusive or of one with itself.
 */
static bool is_harmless(const byte *code, int length)
{
	bool extended = length == 3;
	byte rex = extended ? code[0] : 0, opcode = code[extended], operands = code[extended + 1];

	if (extended && (rex & 0xf0) != 0x40)
		return false;
	if (mod(operands) != 3)
		return false;		/* memory */
	switch (opcode) {
	case 0x89:
		return (rex & EXTENDS_REG) || reg(operands) != RCX;
	case 0x8b:
		return (rex & EXTENDS_RM) || rm(operands) != RCX;
	case 0x31:
		return !extended && reg(operands) == rm(operands);
	default:
		return false;
	}
}

/* Has a memory operand and then a number of 32 bits. */
static bool takes_number(byte opcode)
{
	return opcode == 0xc7 || opcode == 0x81 || opcode == 0x69 || opcode == 0xf7;
}

static bool has_sib(byte modrm)
{
	return mod(modrm) != 3 && rm(modrm) == 4;
}

/* What looks like the opcode of a load may be the end of a memory operand before a number. */
static bool is_operand(const byte *at)
{
	if (takes_number(at[-2]))	/* a SIB byte, or a displacement of 8 bits */
		return (mod(at[-1]) == 0 && has_sib(at[-1])) || (mod(at[-1]) == 1 && !has_sib(at[-1]));
	if (takes_number(at[-3]) && mod(at[-2]) == 1 && has_sib(at[-2]))
		return true;
	/* The last byte of a displacement of 32 bits. */
	if (takes_number(at[-5]) && (mod(at[-4]) == 2 ? !has_sib(at[-4]) : mod(at[-4]) == 0 && rm(at[-4]) == 5))
		return true;
	return takes_number(at[-6]) && has_sib(at[-5]) &&
	       (mod(at[-5]) == 2 || (mod(at[-5]) == 0 && rm(at[-4]) == 5));
}

static bool loads_number(const byte *at, unsigned long number)
{
	const byte load = 0xb8;		/* mov $number, %eax */
	unsigned int loaded;

	memcpy(&loaded, at + 1, sizeof(loaded));
	return *at == load && loaded == number && !is_prefix(at[-1]) && !is_operand(at);
}

bool patch_plan(const byte *code, unsigned long number, struct patch_plan *plan)
{
	/* mov 8(%rsp), %r9: in syscall(3) */
	static const byte load_sixth[] = { 0x4c, 0x8b, 0x4c, 0x24, 0x08 };
	/* xor %eax, %eax: in read(2) */
	static const byte load_0[] = { 0x31, 0xc0 };
	/* cmp $-4096, %rax; ja */
	static const byte test[] = { 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77 };
	const byte ret = 0xc3;

	for (int between = 3; between > 1; between--) {
		plan->start = -CALL_LENGTH - between - JUMP_LENGTH;
		plan->length = JUMP_LENGTH + between;
		plan->detour = 0;
		if (loads_number(code + plan->start, number) &&
		    is_harmless(code - CALL_LENGTH - between, between))
			return true;
	}
	plan->start = -CALL_LENGTH - JUMP_LENGTH;
	plan->length = JUMP_LENGTH;
	if (loads_number(code + plan->start, number))
		return true;
	if (!memcmp(code + plan->start, load_sixth, sizeof(load_sixth)))
		return true;
	plan->start = -CALL_LENGTH - SHORT_LENGTH;
	plan->length = SHORT_LENGTH;
	plan->detour = sizeof(test) + 2;
	return !number && !memcmp(code + plan->start, load_0, sizeof(load_0)) &&
	       !memcmp(code, test, sizeof(test)) && code[plan->detour - 1] == ret &&
	       is_long_nop(code + plan->detour);
}
