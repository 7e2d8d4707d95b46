/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_UM_GUEST_MEMORY_H
#define _ASM_UM_GUEST_MEMORY_H

/*
 * How much RAM the guest has, and more or less of it at run time (balloon.c, ram_hotplug.c). Sizes
 * are bytes, of pages as a whole.
 */
unsigned long guest_memory_size(void);

/*
 * Makes it @size, at most host_ram_most. 0, or -errno: it is somewhere between what it was and
 * @size, and *why says in words what it met. In a process, one at a time; takes up to some seconds.
 */
int guest_memory_resize(unsigned long size, const char **why);

#endif
