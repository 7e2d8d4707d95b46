/* SPDX-License-Identifier: GPL-2.0-only */
/* What a change of an address space is as a host call of its stub. */
#ifndef OS_STUB_SYSCALL_H
#define OS_STUB_SYSCALL_H

#include <sys/mman.h>
#include <sys/syscall.h>

#include <host/engine.h>

#include "../../stub/call.h"

/* ram: the stub's descriptor of guest RAM. */
static inline struct stub_syscall stub_syscall_for(const struct host_map *change, int ram)
{
	switch (change->op) {
	case HOST_MAP:
		return (struct stub_syscall) { SYS_mmap, {
			change->start, change->length, change->prot,
			MAP_SHARED | MAP_FIXED | MAP_POPULATE, ram, change->offset } };
	case HOST_UNMAP:
		return (struct stub_syscall) { SYS_munmap, { change->start, change->length } };
	default:
		return (struct stub_syscall) { SYS_mprotect, {
			change->start, change->length, change->prot } };
	}
}

#endif
