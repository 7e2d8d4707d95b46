/* SPDX-License-Identifier: GPL-2.0-only */
/* What hostfs offers to the rest of the kernel. */
#ifndef ASM_UM_HOSTFS_H
#define ASM_UM_HOSTFS_H

#include <linux/types.h>

/*
 * Makes a directory of the host the root file system. For option parsers; the string stays. False if there is no hostfs in this
 * kernel.
 */
#ifdef CONFIG_HOSTFS
bool hostfs_boot_from(const char *dir);
#else
static inline bool hostfs_boot_from(const char *dir)
{
	return false;
}
#endif

#endif
