/* SPDX-License-Identifier: GPL-2.0-only */
/* The generic entry code needs no more from us than its defaults. */
#ifndef __ASM_UM_ENTRY_COMMON_H
#define __ASM_UM_ENTRY_COMMON_H
#endif
