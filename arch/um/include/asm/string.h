/* SPDX-License-Identifier: GPL-2.0-only */
/* The processor's string instructions are fast on all that we run on; the rest is lib/string.c. See x86_64/string.S. */
#ifndef __ASM_UM_STRING_H
#define __ASM_UM_STRING_H

#include <linux/types.h>

#define __HAVE_ARCH_MEMCPY
#define __HAVE_ARCH_MEMMOVE
#define __HAVE_ARCH_MEMSET
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
void *__memcpy(void *to, const void *from, size_t n);
void *__memmove(void *to, const void *from, size_t n);
void *__memset(void *to, int value, size_t n);

#endif
