/* SPDX-License-Identifier: GPL-2.0-only */
/* The counters that the vDSO can read, by the names that generic code gives them. */
#ifndef __ASM_UM_VDSO_CLOCKSOURCE_H
#define __ASM_UM_VDSO_CLOCKSOURCE_H

#define VDSO_ARCH_CLOCKMODES VDSO_CLOCKMODE_TSC

#endif
