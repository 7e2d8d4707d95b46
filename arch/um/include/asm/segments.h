/* SPDX-License-Identifier: GPL-2.0-only */
/* Selectors that 64-bit programs see on Linux, and flag bits of the processor. Source: the host's registers of any program. */
#ifndef __ASM_UM_SEGMENTS_H
#define __ASM_UM_SEGMENTS_H

#include <uapi/asm/processor-flags.h>

#define USER_CS		0x33
#define USER_DS		0x2b

#endif
