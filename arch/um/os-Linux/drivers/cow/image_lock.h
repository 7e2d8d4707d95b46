/* SPDX-License-Identifier: GPL-2.0-only */
/* Locks on images, for ./linux and the tools. */
#ifndef IMAGE_LOCK_H
#define IMAGE_LOCK_H

struct stat;

/*
 * image_lock.c: takes a lock for reading or writing on the open file. 0, also where the host has no
 * locks, or -errno. -EAGAIN: *owner is the process that has it (-1: this one, 0: not known), and
 * why, of COW_WHY bytes, says so.
 */
int image_lock(int fd, const char *path, int write, int *owner, char *why);
/*
 * Before the file is closed: a transfer that has completed may release the open file a little
 * later, and with it the lock. Does nothing for -1.
 */
void image_unlock(int fd);

/* lock_owner.c: process id of who holds a lock on the file, or 0 when the host does not tell. */
int lock_owner(const struct stat *file);

#endif
