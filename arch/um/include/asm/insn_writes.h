/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_INSN_WRITES_H
#define __ASM_UM_INSN_WRITES_H

enum {
	ACCESS_READS,		/* its memory operand is read only, or it has none, or it is not known */
	ACCESS_WRITES,		/* its memory operand, or the stack, is written */
	ACCESS_BOTH,		/* it reads one place and writes another: movs, push and call with memory, pop to memory */
};

/*
 * instruction_writes - classifies the x86-64 instruction at code
 * @length: bytes that may be looked at; 15 are always enough, with fewer the answer may be ACCESS_READS
 * Returns ACCESS_, so that 0 means that a fault of it is no write.
 */
int instruction_writes(const unsigned char *code, int length);

#endif
