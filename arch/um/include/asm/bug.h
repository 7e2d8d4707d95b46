/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BUG() and WARN(): an invalid instruction, and an entry in a table that says what it means. So a BUG()
 * is an oops of the task, and a WARN() costs two bytes where nothing is wrong (kernel/irq.c).
 */
#ifndef __ASM_UM_BUG_H
#define __ASM_UM_BUG_H

#ifdef CONFIG_GENERIC_BUG

#ifdef CONFIG_DEBUG_BUGVERBOSE
#define BUG_PLACE	"	.long %c[file] - .\n	.word %c[line]\n"
#else
#define BUG_PLACE
#endif

#define BUG_LENGTH	2	/* of the instruction */

/* struct bug_entry, with distances for pointers. */
#define BUG_TRAP(bug_flags)							\
	asm volatile("1:	ud2\n"						\
		     "	.pushsection __bug_table, \"aw\"\n"			\
		     "2:	.long 1b - .\n"					\
		     BUG_PLACE							\
		     "	.word %c[flags]\n"					\
		     "	.org 2b + %c[size]\n"					\
		     "	.popsection"						\
		     : : [file] "i"(__FILE__), [line] "i"(__LINE__), [flags] "i"(bug_flags),	\
			 [size] "i"(sizeof(struct bug_entry)))

#define HAVE_ARCH_BUG
#define BUG() do { BUG_TRAP(0); unreachable(); } while (0)
#define __WARN_FLAGS(flags) BUG_TRAP(BUGFLAG_WARNING | (flags))

#endif

#include <asm-generic/bug.h>

#endif
