/* SPDX-License-Identifier: GPL-2.0-only */
/* Stub processes as host processes: made, found in their places, ended. stub_process.c */
#ifndef STUB_PROCESS_H
#define STUB_PROCESS_H

#include <sys/user.h>

#include "stub_address.h"
#include "../../stub/call.h"

/*
 * Guest addresses end where the stub's two pages begin: its code, then the page of requests, which
 * it can only read. They lie at the very top of what the host gives a process.
 */
#define STUB_CODE		(HOST_ADDRESS_END - 2 * 4096)
#define STUB_REQUESTS		(HOST_ADDRESS_END - 4096)

#define STUB_MAX_REQUESTS (4096 / sizeof(struct stub_syscall))

/*
 * Starts a traced stub process, stopped, with an empty address space but for its two pages. Its
 * pid, or -errno.
 */
int stub_start(unsigned long page_offset);
/* Empties a stopped stub for another address space. 0 or -errno. */
int stub_adopt(int pid, unsigned long page_offset);
/* Where in its code page the batch loop begins. */
unsigned long stub_batch_offset(void);
/* Ends it and waits for it. */
void stub_end(int pid);
/* Waits until pid stops; the status as of wait4(), or -1: it is gone. */
int stub_wait(int pid);
/*
 * Lets a stopped stub perform count requests that lie in its page. 0; the -errno of the one that
 * failed; -ESRCH: the stub is gone. Changes its registers.
 */
int stub_perform(int pid, int count);

#endif
