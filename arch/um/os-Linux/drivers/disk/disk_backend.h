/* SPDX-License-Identifier: GPL-2.0-only */
/* Who carries out transfers of disks, for the start and the idle loop. */
#ifndef DISK_BACKEND_H
#define DISK_BACKEND_H

#include <signal.h>

/*
 * disk_backend.c: chooses how transfers of disks are carried out. Ends with a line and status 1
 * where there is no way.
 */
void host_disk_backend_start(void);
/*
 * disk_backend.c: for host_idle(): sleeps until a disk has something for this virtual CPU, and
 * makes HOST_IRQ_BLOCK pending then, or until a signal that is not in mask comes. Returns 0 if that
 * would be no better than just to wait for a signal. All signals are blocked.
 */
int host_disk_idle(const sigset_t *mask);
/*
 * Before that, with signals let in: looks whether a disk will have something very soon, while *stop
 * is 0. Not 0: a disk has something to do.
 */
int host_disk_look(const unsigned long *stop);

#endif
