/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_EXEC_HOOK_H
#define __ASM_UM_EXEC_HOOK_H

/*
 * Called when the current task has become another program, whose arguments are in place; NULL: no
 * caller. Set once, before there are programs. May sleep.
 */
extern void (*exec_hook)(void);

#endif
