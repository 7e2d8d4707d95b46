// SPDX-License-Identifier: GPL-2.0-only
/*
 * A terminal line from within the guest, for consoles.t.
 *
 * "line serve DEVICE [local]": sessions, one after another. Each says "session N" and answers each
 * line with "got <line>" until it is hung up. With local it sets CLOCAL.
 *
 * "line exchange DEVICE BYTES": in raw mode it writes so many bytes of every value and reads as
 * many at the same time, and says whether they were right.
 *
 * "line size DEVICE ROWS COLUMNS" waits for a window of that size, and "line flood DEVICE LINES"
 * writes numbered lines. Without arguments it exchanges bytes with itself through a pty.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "check.h"

static unsigned char pattern(unsigned long at)
{
	return at * 7 + at / 251 + at / 65536;
}

static void set_raw(int fd)
{
	struct termios mode;

	tcgetattr(fd, &mode);
	cfmakeraw(&mode);
	tcsetattr(fd, TCSANOW, &mode);
}

static int send_pattern(int fd, unsigned long bytes)
{
	unsigned char buffer[1000];

	for (unsigned long at = 0; at < bytes;) {
		unsigned long length = bytes - at < sizeof(buffer) ? bytes - at : sizeof(buffer);
		long put;

		for (unsigned long i = 0; i < length; i++)
			buffer[i] = pattern(at + i);
		put = write(fd, buffer, length);
		if (put <= 0)
			return 0;
		at += put;
	}
	return 1;
}

static int receive_pattern(int fd, unsigned long bytes)
{
	unsigned char buffer[4096];
	unsigned long at = 0;

	while (at < bytes) {
		long got = read(fd, buffer, sizeof(buffer));

		if (got <= 0) {
			say("# end after %lu bytes\n", at);
			return 0;
		}
		for (long i = 0; i < got; i++, at++) {
			if (buffer[i] == pattern(at))
				continue;
			say("# byte %lu is %u and not %u\n", at, buffer[i], pattern(at));
			return 0;
		}
	}
	return at == bytes;
}

static int exchange(const char *device, unsigned long bytes)
{
	int fd = open(device, O_RDWR | O_NOCTTY), status;
	pid_t writer;

	set_raw(fd);
	say("raw\n");
	writer = fork();
	if (!writer)
		_exit(!send_pattern(fd, bytes));
	check(receive_pattern(fd, bytes), "the guest reads each byte");
	waitpid(writer, &status, 0);
	check(!status, "and has written each byte");
	tcdrain(fd);
	return check_failures;
}

static void session(const char *device, int number, int local)
{
	struct termios mode;
	char line[256];
	FILE *in, *out;
	int fd;

	setsid();
	fd = open(device, O_RDWR);
	if (fd < 0)
		_exit(1);
	tcgetattr(fd, &mode);
	mode.c_cflag = local ? mode.c_cflag | CLOCAL : mode.c_cflag & ~CLOCAL;
	mode.c_lflag &= ~ECHO;
	tcsetattr(fd, TCSANOW, &mode);
	in = fdopen(fd, "r");
	out = fdopen(dup(fd), "w");
	fprintf(out, "session %d\n", number);
	fflush(out);
	while (fgets(line, sizeof(line), in)) {
		fprintf(out, "got %s", line);
		fflush(out);
	}
	_exit(0);
}

static int serve(const char *device, int local)
{
	for (int number = 1;; number++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			session(device, number, local);
		waitpid(pid, &status, 0);
		say("line: session %d of %s ended by %s\n", number, device,
		    WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP ? "SIGHUP" : "itself");
		if (WIFEXITED(status) && WEXITSTATUS(status))
			return 1;
	}
}

static void on_size(int signal)
{
}

static int wait_for_size(const char *device, int rows, int columns)
{
	struct sigaction action = { .sa_handler = on_size };
	struct winsize size = { 0 };
	sigset_t block, none;
	int fd;

	setsid();
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGWINCH);
	sigprocmask(SIG_BLOCK, &block, NULL);
	sigaction(SIGWINCH, &action, NULL);
	fd = open(device, O_RDWR);
	ioctl(fd, TIOCSCTTY, 0);
	say("watching\n");
	while (!ioctl(fd, TIOCGWINSZ, &size) && (size.ws_row != rows || size.ws_col != columns)) {
		say("line: %s has %d rows and %d columns\n", device, size.ws_row, size.ws_col);
		sigsuspend(&none);
	}
	say("line: %s has the size\n", device);
	return 0;
}

static int flood(const char *device, int lines)
{
	FILE *out = fopen(device, "w");

	for (int i = 0; out && i < lines; i++)
		fprintf(out, "line %d of a flood that is longer than a reader is kept\n", i);
	return !out || fclose(out);
}

static int with_itself(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
	pid_t writer;

	grantpt(master);
	unlockpt(master);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	set_raw(slave);
	writer = fork();
	if (!writer)
		_exit(!send_pattern(master, 100000));
	check(receive_pattern(slave, 100000), "a raw pty lets all bytes pass");
	waitpid(writer, &status, 0);
	return check_failures || status;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return with_itself();
	if (!strcmp(argv[1], "serve"))
		return serve(argv[2], argc > 3);
	if (!strcmp(argv[1], "exchange"))
		return exchange(argv[2], strtoul(argv[3], NULL, 10));
	if (!strcmp(argv[1], "size"))
		return wait_for_size(argv[2], atoi(argv[3]), atoi(argv[4]));
	return flood(argv[2], atoi(argv[3]));
}
