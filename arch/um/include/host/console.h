/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract, part 7: terminals, streams and sockets of the host, for terminal lines.
 *
 * Each opened one is a handle. Its reader, the program or person at the host's end, is there
 * always (an inherited descriptor) or comes and goes (a pty, a socket). All functions run on the
 * thread of a virtual CPU. Calls for one handle must not overlap. The functions that open or
 * close may sleep, and only one of them may run at a time. The others never sleep.
 */
#ifndef HOST_CONSOLE_H
#define HOST_CONSOLE_H

/* Flags for opening. */
enum {
	HOST_CONSOLE_IN = 1,
	HOST_CONSOLE_OUT = 2,
	HOST_CONSOLE_AS_IS = 4,		/* a terminal stays in the mode that it has */
};

#define HOST_CONSOLE_WHY 256		/* size of an explanation */

/*
 * These return a handle >= 0, or -errno with the reason in @why, as the rest of a sentence.
 *
 * host_console_open - takes the inherited descriptor @fd for the directions in @flags
 * If it is a terminal that is read, it goes raw and is restored at the end of ./linux, whatever
 * ends it. A standard input that cannot be read, or is closed, is none: host_console_read() then
 * returns -EBADF.
 */
int host_console_open(int fd, int flags, char *why);
/* A terminal of the host by name. It goes raw as above. */
int host_console_open_tty(const char *path, int flags, char *why);
/* A new pty; with @bsd set one of the BSD pairs, where the host has them. */
int host_console_open_pty(int bsd, int flags, char *why);
/* A TCP port, "[<address>:]<port>", that speaks telnet. Several handles may share it. */
int host_console_open_port(const char *address, int flags, char *why);
/* A listening stream socket in the host's file system. Several handles may share it. */
int host_console_open_unix(const char *path, int flags, char *why);
/*
 * A terminal emulator, started by host_console_show(). @settings: "<emulator>,<title
 * switch>,<exec switch>", where empty or missing fields mean xterm, -T and -e; NULL: all of them.
 */
int host_console_open_xterm(const char *settings, const char *title, int flags, char *why);
void host_console_close(int console);

/*
 * host_console_read, host_console_write - move bytes; return how many, or -errno
 * -EAGAIN: not now; see host_console_watch(). Reading returns 0 at end of file, and -ENOTCONN
 * when the reader has left and all of its input was read. Other errors mean that the direction is
 * dead. Output without a reader is kept for the next one, the newest 64 KiB.
 */
long host_console_read(int console, void *buffer, unsigned long length);
long host_console_write(int console, const void *buffer, unsigned long length);
/*
 * Writes kernel messages. Those that the reader does not take at once are kept, the newest 64
 * KiB, and follow later. When that is full, a reader that is there is waited for, a second in all
 * until it has caught up. Newlines get a carriage return where the terminal does not add it.
 * Other characters that a terminal would obey become a ?. Any context.
 */
void host_console_print(int console, const char *text, unsigned long length);
/*
 * Raises HOST_IRQ_CONSOLE once when the line is readable (or, with write set, when it is
 * writable); call again for the next time.
 */
void host_console_watch(int console, int write);

/*
 * host_console_events - serves the host's end of a handle, after each HOST_IRQ_CONSOLE
 * It lets a reader in who waits, and sends what was kept. Returns what is new, as bits; LEFT is
 * returned until host_console_renew() is called.
 */
enum {
	HOST_CONSOLE_LEFT = 1,		/* the reader has left */
	HOST_CONSOLE_RESIZED = 2,	/* the window may have another size */
};
int host_console_events(int console);
/* The next reader may come. Raises HOST_IRQ_CONSOLE. */
void host_console_renew(int console);
/* The guest opens the line: a terminal emulator starts, if it does not run. May sleep. */
void host_console_show(int console);
/* Rows and columns; 0 or -ENOTTY. */
int host_console_size(int console, unsigned short *rows, unsigned short *columns);
/* Names the handle as a channel of an option: "pts:/dev/pts/7". */
void host_console_describe(int console, char *text, unsigned long size);
/* Counts the SIGWINCHs, that is, when to ask for the size again. */
extern unsigned int host_console_resizes;

#endif
