/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_UM_SPARSEMEM_H
#define _ASM_UM_SPARSEMEM_H

#define MAX_PHYSMEM_BITS	44	/* what fits between HOST_RAM_BASE and HOST_VMALLOC_START */
/*
 * Pages are described by the section. The last one may be in part beyond the end, which costs
 * 1/64 of that, so it is small; more of them cost 8 bytes for 128 sections each.
 */
#define SECTION_SIZE_BITS	25

#endif
