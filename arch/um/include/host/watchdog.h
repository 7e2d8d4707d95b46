/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract: the watchdog's program on the host, uml_watchdog, which ends or reports a guest
 * that stops pinging it. One at a time. vCPU threads.
 */
#ifndef HOST_WATCHDOG_H
#define HOST_WATCHDOG_H

/*
 * Starts the program, found next to ./linux or in PATH, with a time-out in seconds. *fixed: it
 * has one that cannot be chosen. Returns when it is ready. 0; -ENOENT: there is none; -ETIMEDOUT:
 * it does not become ready; -EPROTO: it ended at once; or why it could not be started. Sleeps by
 * kernel_pause().
 */
int host_watchdog_start(unsigned int timeout, int *fixed);
/* 0; -EPIPE: the program is gone; -EBADF: it was not started. Does not sleep. */
int host_watchdog_ping(void);
/* Tells it that all is well, and that it is not needed any more. Does not sleep. */
void host_watchdog_stop(void);

#endif
