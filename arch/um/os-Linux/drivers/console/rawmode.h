/* SPDX-License-Identifier: GPL-2.0-only */
/* The settings of terminals, which are as they were before when ./linux ends. */
#ifndef RAWMODE_H
#define RAWMODE_H

/* rawmode.c: whether the terminal is another process group's now. */
int host_in_background(int fd);
/*
 * rawmode.c: makes terminals raw that came to the foreground; whether there are some in the
 * background.
 */
int host_terminals_follow(void);
void host_terminals_continued(void);	/* after a stop, in a signal handler */
/* terminal.c: lets its thread do that. */
void host_terminals_look(void);

/*
 * rawmode.c: switches the terminal fd to raw mode. It is as it was before when ./linux ends,
 * whatever ends it, and raw again when ./linux continues after a stop. Does nothing and returns 0
 * if fd is no terminal or is raw already. Restore is for one that it returned 1 for.
 */
int host_terminal_raw(int fd);
void host_terminal_restore(int fd);
/* relay.c: ./linux inside a terminal emulator, for xterm.c; its exit status. */
int host_terminal_relay(const char *name);

#endif
