/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __UM_SET_MEMORY_H
#define __UM_SET_MEMORY_H

#include <asm-generic/set_memory.h>

/*
 * kernelmap.c: these work on vmalloc space and modules; -EINVAL for other addresses. Code that
 * becomes read-only is never out of reach meanwhile.
 */
int set_memory_rox(unsigned long address, int pages);
#define set_memory_rox set_memory_rox

#endif
