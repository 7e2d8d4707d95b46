/* SPDX-License-Identifier: GPL-2.0-only */
/* Caches are coherent. New kernel mappings are made known to the host here (kernel/kernelmap.c). */
#ifndef __ASM_UM_CACHEFLUSH_H
#define __ASM_UM_CACHEFLUSH_H

void flush_cache_vmap(unsigned long start, unsigned long end);
#define flush_cache_vmap flush_cache_vmap
#define flush_cache_vmap_early flush_cache_vmap

#include <asm-generic/cacheflush.h>

#endif
