/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_SMP_H
#define __ASM_UM_SMP_H
#endif
