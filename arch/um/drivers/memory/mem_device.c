// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device mem of the management console: "config mem" says how much RAM the guest has, in bytes;
 * "config mem=<size>", "config mem=+<size>" and "config mem=-<size>" change it.
 *
 * The management console calls one function at a time, in a process.
 */
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/guest_memory.h>
#include <host/memory.h>

#include "../mconsole/mconsole.h"

static void put_size(struct seq_buf *answer, unsigned long size)
{
	if (size % SZ_1M)
		seq_buf_printf(answer, "%luK", size / SZ_1K);
	else
		seq_buf_printf(answer, "%luM", size / SZ_1M);
}

/* A number with K, M, G or T, to whole pages; fails on anything else, and from 2^48 on. */
static int parse_size(const char *text, unsigned long *size)
{
	static const char letters[] = "KMGT";
	const char *letter;
	unsigned int shift = 0;
	u64 value;
	char *end;

	if (!isdigit(*text) || strlen(text) > 16)
		return -EINVAL;
	value = simple_strtoull(text, &end, 0);
	if (*end) {
		letter = strchr(letters, toupper(*end++));
		if (!letter)
			return -EINVAL;
		shift = 10 * (letter - letters + 1);
	}
	if (*end || value >> (48 - shift))
		return -EINVAL;
	*size = PAGE_ALIGN(value << shift);
	return 0;
}

static int mem_set(const char *unit, const char *value, struct seq_buf *answer)
{
	unsigned long now = guest_memory_size(), size;
	const char *why;
	int error;

	if (*unit || parse_size(value + (*value == '+' || *value == '-'), &size)) {
		seq_buf_printf(answer,
			       "mem%s=%s: not a size: give mem=64M, mem=+64M or mem=-64M",
			       unit, value);
		return -EINVAL;
	}
	if (*value == '-' ? size >= now : !size && *value != '+') {
		seq_buf_printf(answer, "mem=%s: nothing would be left; the guest has ", value);
		put_size(answer, now);
		return -EINVAL;
	}
	if (*value == '-')
		size = now - size;
	else if (*value == '+')
		size += now;
	if (size > host_ram_most) {
		seq_buf_printf(answer, "mem=%s: the guest may have at most ", value);
		put_size(answer, host_ram_most);
		seq_buf_puts(answer, "; start it with maxmem=<size> for more");
		return -EINVAL;
	}
	error = guest_memory_resize(size, &why);
	if (error) {
		seq_buf_printf(answer, "mem=%s: %s: the guest has ", value, why);
		put_size(answer, guest_memory_size());
		seq_buf_puts(answer, " now, of ");
		put_size(answer, now);
	}
	return error;
}

static int mem_query(const char *unit, struct seq_buf *answer)
{
	if (*unit) {
		seq_buf_printf(answer, "mem%s: there is no such device; ask for mem", unit);
		return -ENODEV;
	}
	seq_buf_printf(answer, "%lu", guest_memory_size());
	return 0;
}

static struct mconsole_device mem_device = {
	.name = "mem",
	.set = mem_set,
	.query = mem_query,
};

static int __init register_device(void)
{
	mconsole_register(&mem_device);
	return 0;
}
late_initcall(register_device);
