/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the host side offer each other. The kernel side does not see this; it has <host/...>. */
#ifndef OS_H
#define OS_H

/* process.c: calls function, last one first, when ./linux ends or restarts in an orderly way. */
void host_at_exit(void (*function)(void));

/* thread.c: a detached host thread that receives no signals. 0 or -errno. */
int host_thread(void *(*body)(void *), void *argument);

/*
 * watch.c: raises interrupt irq on virtual CPU 0 once, when descriptor fd can be read (or, with write set, written)
 * without waiting, or is at its end. What cannot be waited for (regular files, /dev/null) is always ready. One direction per
 * descriptor: duplicate it to watch both. Descriptors must be taken out with unwatch before they are closed.
 */
void host_watch(int fd, int write, int irq);
void host_unwatch(int fd);

/*
 * drivers/rawmode.c: switches the terminal fd to raw mode. It is as it was before when ./linux ends, whatever ends it, and
 * raw again when ./linux goes on after a stop. Does nothing for what is no terminal.
 */
void host_terminal_raw(int fd);

#endif
