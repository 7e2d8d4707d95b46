// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the host's main() to Linux's start_kernel(), and what start_kernel() asks of an architecture
 * first.
 *
 * The command line is the one that the host side joined from its arguments. Guest RAM is already
 * mapped. Runs on virtual CPU 0, interrupts off.
 */
#include <linux/console.h>
#include <linux/delay.h>
#include <linux/cpu.h>
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/memblock.h>
#include <linux/module.h>
#include <linux/panic_notifier.h>
#include <linux/root_dev.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/start_kernel.h>
#include <linux/utsname.h>
#include <asm/sections.h>
#include <asm/setup.h>
#include <generated/utsrelease.h>
#include "kernel.h"
#include <host/engine.h>
#include <host/memory.h>
#include <host/process.h>

char command_line[COMMAND_LINE_SIZE];
const char host_release[] = UTS_RELEASE;

DEFINE_PER_CPU(struct task_struct *, current_task) = &init_task;
EXPORT_PER_CPU_SYMBOL(current_task);

extern char builtin_initramfs[], builtin_initramfs_end[];

static void first_console_write(struct console *console, const char *text, unsigned int length)
{
	host_early_write(text, length);
}

/*
 * With earlyprintk: speaks from the first line on, until the real console is there. Without, it is
 * kept for a panic before that: bad options are to be answered with one line, not with one below
 * the start of a kernel log.
 */
static struct console first_console = {
	.name = "early",
	.write = first_console_write,
	.flags = CON_PRINTBUFFER | CON_BOOT | CON_ANYTIME,
	.index = -1,
};

static int __init speak_early(char *value)
{
	option_flag("earlyprintk", value);
	register_console(&first_console);
	return 0;
}
early_param("earlyprintk", speak_early);

/* A panic: if nothing has been said yet, say it all now. */
void speak_at_last(void)
{
	int cookie = console_srcu_read_lock();
	struct console *console;
	bool spoken = false;

	for_each_console_srcu(console)
		spoken = true;
	console_srcu_read_unlock(cookie);
	if (!spoken)
		register_console(&first_console);
}

/* kernel_start() in x86_64/entry.S comes here, on the initial stack. */
void __ref __noreturn start_linux(const char *line)
{
	if (strscpy(boot_command_line, line, COMMAND_LINE_SIZE) < 0)
		host_fatal("the command line is longer than %d characters", COMMAND_LINE_SIZE - 1);
	start_kernel();
	host_exit(1);
}

static bool __init names_option(const char *name)
{
	const char *at = boot_command_line;
	size_t length = strlen(name);

	while ((at = strstr(at, name))) {
		if (at == boot_command_line || at[-1] == ' ')
			return true;
		at += length;
	}
	return false;
}

/* The built-in file system is booted when the command line names nothing else to boot from. */
static void __init choose_initrd(void)
{
	void *data;
	unsigned long length;

	if (!IS_ENABLED(CONFIG_BLK_DEV_INITRD))
		return;
	if (host_initrd(&data, &length) > 0) {
		initrd_start = (unsigned long)data;
		initrd_end = initrd_start + length;
		return;
	}
	if (names_option("root=") || names_option("ubd0") || names_option("ubda") || names_option("rootfstype=hostfs"))
		return;
	initrd_start = (unsigned long)builtin_initramfs;
	initrd_end = (unsigned long)builtin_initramfs_end;
	if (initrd_start == initrd_end)
		initrd_start = initrd_end = 0;
}

/* Neither kind of initrd lies in memory that Linux could use. */
void free_initrd_mem(unsigned long start, unsigned long end)
{
	host_initrd_free();
}

/* An option, name and "=", that Linux is to have unless the command line has it. */
static void __init default_option(const char *name, const char *value)
{
	if (names_option(name) ||
	    strlen(boot_command_line) + strlen(name) + strlen(value) + 2 > COMMAND_LINE_SIZE)
		return;
	strlcat(boot_command_line, " ", COMMAND_LINE_SIZE);
	strlcat(boot_command_line, name, COMMAND_LINE_SIZE);
	strlcat(boot_command_line, value, COMMAND_LINE_SIZE);
}

static void __init default_options(void)
{
	/*
	 * Compaction ahead of demand looks at memory twice a second, which an idle guest must not.
	 */
	if (IS_ENABLED(CONFIG_COMPACTION))
		default_option("sysctl.vm.compaction_proactiveness=", "0");
	if (IS_ENABLED(CONFIG_MEMORY_HOTPLUG) && host_ram_size > host_ram_start_size)
		default_option("memory_hotplug.memmap_on_memory=", "1");	/* ram_hotplug.c */
}

void __init setup_arch(char **line)
{
	default_options();
	strscpy(command_line, boot_command_line, COMMAND_LINE_SIZE);
	*line = command_line;
	parse_early_param();
	pr_info("Host: %s; engine: %s (%s)\n", host_description(), host_engine->name, host_engine_reason);
	setup_initial_init_mm(_stext, _etext, _edata, _end);
	memory_setup();
	vdso_data_setup();
	ROOT_DEV = MKDEV(98, 0);
	choose_initrd();
}

void __init trap_init(void)
{
}

static int show_cpuinfo(struct seq_file *file, void *v)
{
	unsigned int a = 0x80000002, out[12], i;
	char model[49] = "";

	for (i = 0; i < 3; i++, a++)
		asm("cpuid" : "=a"(out[4 * i]), "=b"(out[4 * i + 1]), "=c"(out[4 * i + 2]), "=d"(out[4 * i + 3])
		    : "a"(a), "c"(0));
	memcpy(model, out, 48);
	seq_printf(file, "processor\t: 0\nvendor_id\t: User-Mode Linux\nmodel name\t: %s\nmode\t\t: %s\nhost\t\t: %s\n",
		   strim(model), host_engine->name, host_description());
	seq_printf(file, "bogomips\t: %lu.%02lu\n\n", loops_per_jiffy / (500000 / HZ), (loops_per_jiffy / (5000 / HZ)) % 100);
	return 0;
}

static void *cpuinfo_start(struct seq_file *file, loff_t *at)
{
	return *at ? NULL : file;
}

static void *cpuinfo_next(struct seq_file *file, void *v, loff_t *at)
{
	++*at;
	return NULL;
}

static void cpuinfo_stop(struct seq_file *file, void *v)
{
}

const struct seq_operations cpuinfo_op = {
	.start = cpuinfo_start,
	.next = cpuinfo_next,
	.stop = cpuinfo_stop,
	.show = show_cpuinfo,
};
