/* SPDX-License-Identifier: GPL-2.0-only */
/* The user's terminal in raw mode, and back. */
#ifndef RAW_TERMINAL_H
#define RAW_TERMINAL_H

/*
 * Makes the terminal @fd raw. Whatever ends the program, SIGKILL included, the terminal is as
 * before afterwards. 0, or -1 with errno set. One terminal at a time.
 */
int terminal_make_raw(int fd);
/* After a stop, when the shell may have changed the settings. Does nothing if it is not raw. */
void terminal_take_again(void);
/* Undoes that, if it was done. */
void terminal_restore(void);

#endif
