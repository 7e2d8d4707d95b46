/* SPDX-License-Identifier: GPL-2.0-only */
/* One host call that a stub makes for the kernel, as both programs read it: mappings of its address space. */
#ifndef STUB_CALL_H
#define STUB_CALL_H

struct stub_syscall {
	long number, arguments[6];
};

#endif
