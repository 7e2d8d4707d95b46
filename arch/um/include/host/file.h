/* SPDX-License-Identifier: GPL-2.0-only */
/* The contract, part 7: files and terminals of the host, for the console. */
#ifndef HOST_FILE_H
#define HOST_FILE_H

/*
 * host_console_open - takes inherited descriptors as a terminal line
 * @in, @out: descriptors, may be equal
 * If in is a terminal it goes raw and is restored at the end of ./linux, whatever ends it.
 * Returns a handle >= 0, or -EBADF.
 */
int host_console_open(int in, int out);
/* Both never sleep: -EAGAIN instead. read returns 0 at end of file. */
long host_console_read(int console, void *buffer, unsigned long length);
long host_console_write(int console, const void *buffer, unsigned long length);
/*
 * Raises HOST_IRQ_CONSOLE once when the line is readable (and, with write set, when it is writable); call again
 * for the next time.
 */
void host_console_watch(int console, int write);
/* Rows and columns; 0 or -ENOTTY. HOST_IRQ_CONSOLE is raised when SIGWINCH says that they changed. */
int host_console_size(int console, unsigned short *rows, unsigned short *columns);

#endif
