// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does an x86-64 instruction write to memory? For hosts that report a page fault without the
 * processor's error code.
 *
 * A pure function of the instruction's bytes: prefixes are skipped, then the opcode is looked up in
 * the map that it belongs to. The maps below list what writes; everything else reads, or is not
 * known here. An instruction that is forgotten costs a second fault, so the lists hold what user
 * programs can execute, and no more.
 *
 * Compiles without the kernel for its unit test (tests/unit/insn_writes.c). Reference: Intel's
 * manual, volume 2, appendix A.
 */
#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#endif
#include "../include/asm/insn_writes.h"

enum map { ONE_BYTE, MAP_0F, MAP_0F38, MAP_0F3A, OTHER_MAP };
enum encoding { LEGACY, VEX, EVEX };
enum prefix { NONE, P66, PF3, PF2 };	/* as the pp field of VEX has it */

struct instruction {
	enum encoding encoding;
	enum map map;
	enum prefix prefix;
	bool lock;
	unsigned char opcode;
	unsigned char modrm;		/* 0xc0, a register operand, where there are no more bytes */
};

struct bytes {
	const unsigned char *at, *end;
};

static bool next(struct bytes *bytes, unsigned char *byte)
{
	if (bytes->at == bytes->end)
		return false;
	*byte = *bytes->at++;
	return true;
}

static bool in_memory(const struct instruction *in)
{
	return in->modrm < 0xc0;
}

static int reg_field(const struct instruction *in)
{
	return in->modrm >> 3 & 7;
}

/* Bit n of set: the operation that the register field n selects. */
static bool selects(const struct instruction *in, unsigned int set)
{
	return set >> reg_field(in) & 1;
}

/*
 * A legacy prefix? Of 66, F2 and F3 the last one of the latter two counts as part of the opcode,
 * then 66.
 */
static bool take_prefix(struct instruction *in, unsigned char byte)
{
	switch (byte) {
	case 0x66:
		if (in->prefix == NONE)
			in->prefix = P66;
		return true;
	case 0xf2:
		in->prefix = PF2;
		return true;
	case 0xf3:
		in->prefix = PF3;
		return true;
	case 0xf0:
		in->lock = true;
		return true;
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x67:
		return true;
	default:
		return false;
	}
}

static enum map map_number(unsigned int number)
{
	return number >= MAP_0F && number <= MAP_0F3A ? number : OTHER_MAP;
}

/* The two and three bytes of VEX, the four of EVEX; first is the byte that says which. */
static bool take_vector_prefix(struct instruction *in, struct bytes *bytes, unsigned char first)
{
	unsigned char byte, ignored;

	in->encoding = first == 0x62 ? EVEX : VEX;
	if (!next(bytes, &byte))
		return false;
	in->map = MAP_0F;
	if (first != 0xc5) {
		in->map = map_number(byte & (first == 0x62 ? 7 : 0x1f));
		if (in->map == OTHER_MAP && first == 0x62 && (byte & 7) == 5)
			in->map = MAP_0F;	/* half precision; its stores have the opcodes of map 1 */
		if (!next(bytes, &byte))
			return false;
	}
	in->prefix = byte & 3;
	if (first == 0x62 && !next(bytes, &ignored))
		return false;
	return next(bytes, &in->opcode);
}

static bool take_legacy_opcode(struct instruction *in, struct bytes *bytes, unsigned char first)
{
	in->map = ONE_BYTE;
	in->opcode = first;
	if (first != 0x0f)
		return true;
	in->map = MAP_0F;
	if (!next(bytes, &in->opcode))
		return false;
	if (in->opcode != 0x38 && in->opcode != 0x3a)
		return true;
	in->map = in->opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
	return next(bytes, &in->opcode);
}

static bool decode(struct instruction *in, struct bytes *bytes)
{
	unsigned char byte;
	bool known;

	do {
		if (!next(bytes, &byte))
			return false;
	} while (take_prefix(in, byte));
	if ((byte & 0xf0) == 0x40 && !next(bytes, &byte))
		return false;
	if (byte == 0xc4 || byte == 0xc5 || byte == 0x62)
		known = take_vector_prefix(in, bytes, byte);
	else
		known = take_legacy_opcode(in, bytes, byte);
	if (known && !next(bytes, &in->modrm))
		in->modrm = 0xc0;
	return known;
}

static int x87_writes(const struct instruction *in)
{
	static const unsigned char writing[8] = {
		[1] = 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7,		/* fst fstp fnstenv fnstcw */
		[3] = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7,		/* fisttp fist fistp fstp */
		[5] = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7,	/* fisttp fst fstp fnsave fnstsw */
		[7] = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7,	/* fisttp fist fistp fbstp fistp */
	};

	return in_memory(in) && selects(in, writing[in->opcode & 7]);
}

/*
 * Group 5: inc, dec, call, call far, jmp, jmp far, push. The calls and push also write the stack.
 */
static int group5_writes(const struct instruction *in)
{
	switch (reg_field(in)) {
	case 0: case 1:
		return in_memory(in);
	case 2: case 3: case 6:
		return in_memory(in) ? ACCESS_BOTH : ACCESS_WRITES;
	default:
		return 0;
	}
}

/*
 * Opcodes 00 to 3F: eight operations of eight opcodes each; in each the first two have memory as
 * destination.
 */
static int alu_writes(const struct instruction *in)
{
	return (in->opcode & 7) < 2 && in->opcode < 0x38 && in_memory(in);
}

static int one_byte_writes(const struct instruction *in)
{
	switch (in->opcode) {
	case 0x00 ... 0x3f:
		return alu_writes(in);
	case 0x50 ... 0x57: case 0x68: case 0x6a: case 0x9c: case 0xc8: case 0xe8:	/* push, pushf, enter, call */
	case 0x6c: case 0x6d: case 0xa2: case 0xa3: case 0xaa: case 0xab:	/* ins, mov to an absolute address, stos */
		return ACCESS_WRITES;
	case 0xa4: case 0xa5:						/* movs */
		return ACCESS_BOTH;
	case 0x80: case 0x81: case 0x83:				/* all but cmp */
		return in_memory(in) && reg_field(in) != 7;
	case 0x86: case 0x87: case 0x88: case 0x89: case 0x8c:		/* xchg, mov */
	case 0xc0: case 0xc1: case 0xd0 ... 0xd3:			/* shifts */
		return in_memory(in);
	case 0x8f:							/* pop; otherwise AMD's XOP, which stores nothing */
		return in_memory(in) && reg_field(in) == 0 ? ACCESS_BOTH : 0;
	case 0xc6: case 0xc7:						/* mov immediate */
		return in_memory(in) && reg_field(in) == 0;
	case 0xd8 ... 0xdf:
		return x87_writes(in);
	case 0xf6: case 0xf7:						/* not, neg */
		return in_memory(in) && selects(in, 1 << 2 | 1 << 3);
	case 0xfe:							/* inc, dec */
		return in_memory(in) && reg_field(in) < 2;
	case 0xff:
		return group5_writes(in);
	default:
		return 0;
	}
}

/*
 * Group 15: fxsave, stmxcsr, xsave, xsaveopt; with a prefix some of these are others that do not
 * write.
 */
static int group15_writes(const struct instruction *in)
{
	if (!in_memory(in))
		return 0;
	if (in->prefix == NONE)
		return selects(in, 1 << 0 | 1 << 3 | 1 << 4 | 1 << 6);
	return in->prefix == PF3 && reg_field(in) == 6;		/* clrssbsy */
}

/* What is in the 0F map of all three encodings: stores of vector registers. */
static int vector_store_writes(const struct instruction *in)
{
	switch (in->opcode) {
	case 0x11: case 0x29: case 0x2b: case 0x7f: case 0xe7:
		return in_memory(in);
	case 0x13: case 0x17:
		return in_memory(in) && in->prefix <= P66;
	case 0x7e:							/* F3: a load */
		return in_memory(in) && in->prefix <= P66;
	case 0xd6:
		return in_memory(in) && in->prefix == P66;
	case 0xf7:							/* maskmov: to (rdi), both operands are registers */
		return in->encoding != EVEX && !in_memory(in) && in->prefix <= P66;
	default:
		return 0;
	}
}

static int map_0f_writes(const struct instruction *in)
{
	switch (in->opcode) {
	case 0x00:							/* sldt, str */
		return in_memory(in) && reg_field(in) < 2;
	case 0x01:							/* sgdt, sidt, smsw */
		return in_memory(in) && selects(in, 1 << 0 | 1 << 1 | 1 << 4);
	case 0x90 ... 0x9f:						/* setcc */
	case 0xa4: case 0xa5: case 0xac: case 0xad:			/* shld, shrd */
	case 0xab: case 0xb3: case 0xbb:				/* bts, btr, btc */
	case 0xb0: case 0xb1: case 0xc0: case 0xc1: case 0xc3:		/* cmpxchg, xadd, movnti */
		return in_memory(in);
	case 0xa0: case 0xa8:						/* push fs, push gs */
		return ACCESS_WRITES;
	case 0xae:
		return group15_writes(in);
	case 0xba:							/* bts, btr, btc; not bt */
		return in_memory(in) && reg_field(in) > 4;
	case 0xc7:							/* cmpxchg8b, xsavec, xsaves */
		return in_memory(in) && selects(in, 1 << 1 | 1 << 4 | 1 << 5);
	default:
		return vector_store_writes(in);
	}
}

static int map_0f38_writes(const struct instruction *in)
{
	if (!in_memory(in))
		return 0;
	switch (in->opcode) {
	case 0xf1:							/* movbe; F2: crc32 */
		return in->prefix != PF2;
	case 0xf5:							/* wruss */
		return in->prefix == P66;
	case 0xf6:							/* wrss; 66 and F3: adcx, adox */
		return in->prefix == NONE;
	case 0xf8:							/* movdir64b, enqcmd: from memory to memory */
		return ACCESS_BOTH;
	case 0xf9: case 0xfc:						/* movdiri; aadd and its like */
		return ACCESS_WRITES;
	default:
		return 0;
	}
}

/* pextrb, pextrw, pextrd, extractps */
static int extract_writes(const struct instruction *in)
{
	return in->opcode >= 0x14 && in->opcode <= 0x17 && in_memory(in);
}

static int vex_0f_writes(const struct instruction *in)
{
	if (in->opcode == 0x91)						/* kmov */
		return in_memory(in);
	if (in->opcode == 0xae)						/* vstmxcsr */
		return in_memory(in) && reg_field(in) == 3;
	return vector_store_writes(in);
}

static int vex_0f38_writes(const struct instruction *in)
{
	switch (in->opcode) {
	case 0x2e: case 0x2f: case 0x8e:				/* vmaskmov, vpmaskmov */
	case 0xe0 ... 0xef:						/* cmpccxadd */
		return in_memory(in);
	case 0x49:							/* sttilecfg; without 66: ldtilecfg */
		return in_memory(in) && in->prefix == P66;
	case 0x4b:							/* tilestored; others: tileloadd */
		return in_memory(in) && in->prefix == PF3;
	default:
		return 0;
	}
}

static int vex_0f3a_writes(const struct instruction *in)
{
	switch (in->opcode) {
	case 0x19: case 0x1d: case 0x39:				/* vextractf128, vcvtps2ph, vextracti128 */
		return in_memory(in);
	default:
		return extract_writes(in);
	}
}

static int evex_0f38_writes(const struct instruction *in)
{
	switch (in->opcode) {
	case 0x63: case 0x8a: case 0x8b:				/* compress */
	case 0xa0 ... 0xa3:						/* scatter */
		return in_memory(in);
	case 0x10 ... 0x15: case 0x20 ... 0x25: case 0x30 ... 0x35:	/* narrowing vpmov; otherwise widening ones and shifts */
		return in_memory(in) && in->prefix == PF3;
	default:
		return 0;
	}
}

static int evex_0f3a_writes(const struct instruction *in)
{
	if (in->opcode == 0x1b || in->opcode == 0x3b)			/* vextract of 256 bits */
		return in_memory(in);
	return vex_0f3a_writes(in);
}

static int (*const writes[3][OTHER_MAP])(const struct instruction *) = {
	[LEGACY] = { one_byte_writes, map_0f_writes, map_0f38_writes, extract_writes },
	[VEX] = { 0, vex_0f_writes, vex_0f38_writes, vex_0f3a_writes },
	[EVEX] = { 0, vector_store_writes, evex_0f38_writes, evex_0f3a_writes },
};

int instruction_writes(const unsigned char *code, int length)
{
	struct instruction in = { .encoding = LEGACY };
	struct bytes bytes = { code, code + length };

	if (!decode(&in, &bytes) || in.map == OTHER_MAP)
		return ACCESS_READS;
	if (in.lock)
		return ACCESS_WRITES;
	return writes[in.encoding][in.map](&in);
}
