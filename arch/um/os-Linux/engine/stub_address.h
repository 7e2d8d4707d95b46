/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where user addresses end on the host: 47 bits less a guard page
 * (Documentation/arch/x86/x86_64/mm.rst).
 */
#ifndef STUB_ADDRESS_H
#define STUB_ADDRESS_H

#define HOST_ADDRESS_END	0x7ffffffff000UL

#endif
