/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 7: terminals and streams of the host, for the console. All functions run on the thread of a
 * virtual CPU.
 */
#ifndef HOST_CONSOLE_H
#define HOST_CONSOLE_H

/*
 * host_console_open - takes inherited descriptors as a terminal line
 * @in, @out: descriptors, may be equal; -1: no such direction
 * If in is a terminal it goes raw and is restored at the end of ./linux, whatever ends it.
 * Returns a handle >= 0, or -EBADF when one of them is not an inherited descriptor open for its direction. A
 * standard input that cannot be read, or is closed, is none: host_console_read() then returns -EBADF.
 */
int host_console_open(int in, int out);
/*
 * Both never sleep: -EAGAIN instead. read returns 0 at end of file. Other errors mean that the direction is dead.
 */
long host_console_read(int console, void *buffer, unsigned long length);
long host_console_write(int console, const void *buffer, unsigned long length);
/*
 * Writes kernel messages, all of them: waits in the host while the reader is slow. Newlines get a carriage return
 * where the terminal does not add it; what else a terminal would obey becomes a ?. Any context.
 */
void host_console_print(int console, const char *text, unsigned long length);
/*
 * Raises HOST_IRQ_CONSOLE once when the line is readable (or, with write set, when it is writable); call again
 * for the next time.
 */
void host_console_watch(int console, int write);
/* Rows and columns; 0 or -ENOTTY. */
int host_console_size(int console, unsigned short *rows, unsigned short *columns);
/* Counts the SIGWINCHs, that is, when to ask for the size again. HOST_IRQ_CONSOLE is raised when it changes. */
extern unsigned int host_console_resizes;

#endif
