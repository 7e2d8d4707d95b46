// SPDX-License-Identifier: GPL-2.0-only
/*
 * ./linux as a host program: its arguments, and the order in which the host side gets ready.
 *
 * What the host side needs of the command line (read_options()) it takes here; the whole line goes
 * to Linux, which knows these names too (options.c). Runs on the main thread, which becomes virtual
 * CPU 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <host/engine.h>
#include <host/memory.h>
#include <host/process.h>
#include <host/time.h>

#include "os.h"
#include "drivers/mconsole/instance.h"
#include "drivers/console/rawmode.h"
#include "drivers/disk/disk_backend.h"
#include "drivers/ttylog/terminal_logs.h"
#include "engine/engines.h"

#define DEFAULT_RAM	(256UL << 20)
#define LEAST_RAM	(32UL << 20)
#define MOST_RAM	(1UL << 44)	/* what fits between HOST_RAM_BASE and HOST_VMALLOC_START */
#define MOST_GROWTH	256		/* maxmem= by mem= */

char **host_argv;
int host_self_fd = -1;

static void *initrd;
static unsigned long initrd_length;

static const char help[] =
"usage: linux [option ...]\n"
"\n"
"A Linux kernel that is an ordinary program. Without options it boots its embedded initramfs.\n"
"\n"
"  mem=<n>[K|M|G]         size of guest RAM, at least 32M (default 256M)\n"
"  maxmem=<n>[K|M|G]      how much guest RAM \"config mem=\" of the management console may make\n"
"                         it (default: that of mem=)\n"
"  ubd<n><flags>=<file>[,<backing file>][,<serial number>]\n"
"                         the file is disk n, /dev/ubda for 0; with a backing file, a COW file,\n"
"                         created if it does not exist. Flags: r read-only, s synchronous, d raw\n"
"                         data (never a COW file), c shared (no lock), t no discard, o O_DIRECT,\n"
"                         m the backing file was moved to the given one\n"
"                         ubd0=<directory>: boot from that directory of the host\n"
"  root=<device>          root file system (default /dev/ubda)\n"
"  hostfs=<root>[,append] confine hostfs mounts to this directory of the host; append: nothing is\n"
"                         removed\n"
"  umid=<name>            name of this instance for uml_mconsole and others (default: six letters)\n"
"  uml_dir=<folder>       where the folders of instances are (default ~/.uml)\n"
"  mconsole=notify:<socket>\n"
"                         tell this socket of the start, a panic, a hang, and what is written to\n"
"                         /proc/mconsole\n"
"  initrd=<file>          initial file system, a cpio archive on the host\n"
"  con<n>=<in>[,<out>]    channel of console n, /dev/tty0 to tty15: fd:<n>, null, none, pts, pty,\n"
"                         tty:<device>, port:[<address>:]<port>, unix:<path>, xterm\n"
"                         (default: con0=fd:0,fd:1, the others none)\n"
"  ssl<n>=<in>[,<out>]    the same for serial line n, /dev/ttyS0 to ttyS63 (default: pts)\n"
"  ssl-non-raw            leave terminals of serial lines in the mode that they have\n"
"  xterm=<emulator>,<title switch>,<exec switch>\n"
"                         program of the channel xterm (default: xterm,-T,-e)\n"
"  tty_log_dir=<folder>   record what is typed and shown on the guest's terminals, each session\n"
"                         in a file of this folder of the host; the guest does not see it\n"
"  tty_log_fd=<n>         the same, all sessions to an inherited descriptor\n"
"  virtio_uml.device=<socket>:<virtio id>[:<platform id>]\n"
"                         a device of a vhost-user server\n"
"  clocksource=host       read the host's clock by a host call, not by the TSC\n"
"  vdso=0                 give programs no vDSO\n"
"  earlyprintk            print kernel messages from the very first one\n"
"  seccomp=auto|on|off    the engine that runs guest programs; auto (default): seccomp where its\n"
"                         self-test passes, otherwise ptrace; on: seccomp or nothing; off: ptrace\n"
"  stub_base=<address>    for tests: under seccomp, all stubs lie at this hexadecimal address\n"
"  spec=allow|mitigate    mitigate: reduce speculation of the processor in ./linux and its guest\n"
"                         programs, where the host lets a process choose\n"
"  syscall_patch=0        turn off syscall patching: each system call is a trap by a host signal\n"
"  nosysemu               ptrace: stop twice for each system call, as without PTRACE_SYSEMU\n"
"  noreboot               a panic never restarts\n"
"  panic=<seconds>        after a panic, restart after so many seconds\n"
"  --help                 print this text\n"
"  --version              print the version of the kernel\n"
"  --showconfig           print the configuration that the kernel was built with\n"
"\n"
"All other options are Linux's own: see Documentation/admin-guide/kernel-parameters.txt.\n"
"Exit status: 0 after poweroff and halt (or what was written to /proc/exitcode), 1 after an error\n"
"at the start, 134 after a panic, 135 when guest RAM is lost.\n";

/* Size with suffix; fails on anything else. */
static unsigned long parse_size(const char *option, const char *text)
{
	unsigned long long value;
	int shift = 0;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	switch (*end) {
	case 'k': case 'K': shift = 10; end++; break;
	case 'm': case 'M': shift = 20; end++; break;
	case 'g': case 'G': shift = 30; end++; break;
	case 't': case 'T': shift = 40; end++; break;
	}
	if (errno || end == text || *end || text[0] == '-' || value > (MOST_RAM >> shift))
		host_fatal("%s=%s: not a size between 32M and %luG; write a number with K, M or G", option,
			   text, MOST_RAM >> 30);
	value = (value << shift) & ~4095ULL;
	if (value < LEAST_RAM)
		host_fatal("%s=%s: too little memory; Linux needs at least 32M", option, text);
	return value;
}

static void read_initrd(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		host_fatal("initrd=%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode) || !status.st_size)
		host_fatal("initrd=%s: not a file with something in it", path);
	initrd_length = status.st_size;
	initrd = mmap(NULL, initrd_length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (initrd == MAP_FAILED)
		host_fatal("initrd=%s: %s", path, strerror(errno));
	close(fd);
}

int host_initrd(void **data, unsigned long *length)
{
	*data = initrd;
	*length = initrd_length;
	return initrd != NULL;
}

void host_initrd_free(void)
{
	if (initrd)
		munmap(initrd, initrd_length);
	initrd = NULL;
}

static int print_and_exit(const char *text)
{
	fputs(text, stdout);
	return fflush(stdout) ? 1 : 0;
}

static int print_version(void)
{
	printf("%s\n", host_release);
	return fflush(stdout) ? 1 : 0;
}

/*
 * Appends a word as Linux takes words apart: blanks are kept between double quotes, which go around
 * an option's value.
 */
static char *append(char *at, const char *word)
{
	const char *value = strchr(word, '=');

	if (!strpbrk(word, " \t\n") || strchr(word, '"'))
		return stpcpy(at, word);
	if (value)
		return at + sprintf(at, "%.*s=\"%s\"", (int)(value - word), word, value + 1);
	return at + sprintf(at, "\"%s\"", word);
}

/* Words for init, after "--", are never hidden. */
static char *join(char **words)
{
	size_t length = 1;
	char *line, *at;
	int is_ours = 1;

	for (char **word = words; *word; word++)
		length += strlen(*word) + sizeof("\"\" ");
	at = line = calloc(1, length);
	if (!line)
		host_fatal("no memory for the command line");
	for (char **word = words; *word; word++) {
		is_ours = is_ours && strcmp(*word, "--");
		if (is_ours && host_ttylog_is_hidden(*word))
			continue;
		if (at != line)
			*at++ = ' ';
		at = append(at, *word);
	}
	return line;
}

/*
 * Descriptors 0 to 2 must be something, or files that we open would be taken for them. A closed
 * input cannot be read then either, which the console knows from one that is at its end.
 */
static void fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_WRONLY);
		if (fd < 0)
			fd = host_nameless_file("null", 0);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static void find_self(void)
{
	host_self_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (host_self_fd < 0)
		host_self_fd = open(host_argv[0], O_RDONLY | O_CLOEXEC);
}

/*
 * The value in word if it is of the option name, which must have one; NULL: it is another option.
 */
static const char *value_of(const char *word, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(word, name, length) || (word[length] && word[length] != '='))
		return NULL;
	if (!word[length] || !word[length + 1])
		host_fatal("%s: the value is missing; give %s=<value>, or see --help", word, name);
	return word + length + 1;
}

static const char *spec;	/* spec= */

static unsigned long ram = DEFAULT_RAM;	/* mem= */
static unsigned long most_ram;		/* maxmem=, 0 without it */

static void read_options(char **words)
{
	const char *value;

	/* What follows "--" is for init. */
	for (; *words && strcmp(*words, "--"); words++) {
		if (!strncmp(*words, "--", 2))
			host_fatal("%s: there is no such option; --help lists them", *words);
		if ((value = value_of(*words, "mem")))
			ram = parse_size("mem", value);
		else if ((value = value_of(*words, "maxmem")))
			most_ram = parse_size("maxmem", value);
		else if ((value = value_of(*words, "initrd")))
			read_initrd(value);
		else if ((value = value_of(*words, "seccomp")))
			host_seccomp_option = value;
		else if ((value = value_of(*words, "stub_base")))
			host_stub_base_option = value;
		else if ((value = value_of(*words, "spec")))
			spec = value;
		else if ((value = value_of(*words, "umid")))
			host_umid_option = value;
		else if ((value = value_of(*words, "uml_dir")))
			host_uml_dir_option = value;
		else if ((value = value_of(*words, "mconsole")))
			host_mconsole_option = value;
		else if ((value = value_of(*words, "tty_log_dir")))
			host_ttylog_dir_option = value;
		else if ((value = value_of(*words, "tty_log_fd")))
			host_ttylog_fd_option = value;
		else if (!strncmp(*words, "hostfs=", 7))
			host_ttylog_hostfs_option = *words + 7;
		else if (!strcmp(*words, "nosysemu"))
			host_no_sysemu = 1;
	}
}

/* Each page that may come costs a bit in the memory that is there. */
static void check_most_ram(void)
{
	if (!most_ram)
		most_ram = ram;
	if (most_ram < ram)
		host_fatal("maxmem=%luM: less than mem=%luM; give as much at least", most_ram >> 20,
			   ram >> 20);
	if (most_ram / MOST_GROWTH > ram)
		host_fatal("maxmem=%luM: more than %d times mem=%luM; give a larger mem=",
			   most_ram >> 20, MOST_GROWTH, ram >> 20);
	/* Both begin at whole steps. */
	if (most_ram > MOST_RAM - 2 * HOST_RAM_STEP && most_ram > ram)
		host_fatal("maxmem=%luM: memory that grows ends at %luM", most_ram >> 20,
			   (MOST_RAM - 2 * HOST_RAM_STEP) >> 20);
}

int main(int argc, char **argv)
{
	if (host_read_moment(&host_start))
		host_start.ns = 0;
	if (argc == 3 && !strcmp(argv[1], "--terminal-relay"))
		return host_terminal_relay(argv[2]);
	fill_standard_descriptors();
	signal(SIGXFSZ, SIG_IGN);	/* a limit of file sizes is an error of those who meet it */
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--help"))
			return print_and_exit(help);
		if (!strcmp(argv[i], "--version"))
			return print_version();
		if (!strcmp(argv[i], "--showconfig"))
			return print_and_exit(host_config_text);
	}
	host_panics_init();
	host_argv = argv;
	find_self();
	read_options(argv + 1);
	check_most_ram();
	host_speculation_init(spec);
	host_cpus_init();
	host_ram_init(ram, most_ram);
	host_oom_init(most_ram);
	host_signals_init();
	host_engine_init();
	host_instance_init();
	host_mconsole_init();
	host_exec_init();
	host_ttylog_init();
	kernel_start(join(argv + 1));
}
