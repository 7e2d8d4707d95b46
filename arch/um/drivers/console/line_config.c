// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which channels a line is joined to: by options at the start, and by the management console at
 * any time while no process has the line open.
 *
 * Options are only noted while the command line is parsed, since there is no memory then. They
 * are carried out, and complained about, when consoles start, before anything else is printed.
 */
#include <linux/console.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tty.h>

#include <host/attach.h>
#include <host/irq.h>
#include <host/process.h>
#include <host/vcpu.h>

#include "../mconsole/mconsole.h"
#include "channel.h"
#include "line.h"

/* Host functions that open and close run one at a time. Taken inside of port.mutex. */
static DEFINE_MUTEX(joining);

struct pair {
	struct channel *in, *out;
};

static void leave(struct pair *pair)
{
	mutex_lock(&joining);
	if (pair->out != pair->in)
		channel_leave(pair->out);
	channel_leave(pair->in);
	mutex_unlock(&joining);
}

/*
 * With joining held; cuts spec at its comma. Paths of sockets and devices have no comma in them.
 */
static int join_both(struct pair *pair, char *spec, const char *name, int flags, char *why)
{
	char *comma = strchr(spec, ',');

	if (!comma) {
		pair->in = channel_join(spec, name, flags | CHANNEL_IN | CHANNEL_OUT, why);
		pair->out = pair->in;
		return PTR_ERR_OR_ZERO(pair->in);
	}
	*comma = '\0';
	pair->out = channel_join(comma + 1, name, flags | CHANNEL_OUT, why);
	if (IS_ERR(pair->out))
		return PTR_ERR(pair->out);
	pair->in = channel_join(spec, name, flags | CHANNEL_IN, why);
	if (!IS_ERR(pair->in))
		return 0;
	channel_leave(pair->out);
	return PTR_ERR(pair->in);
}

static int join(struct pair *pair, struct line_set *set, unsigned int index, const char *spec,
		char *why)
{
	char *copy = kstrdup(spec, GFP_KERNEL), name[16];
	int error = -ENOMEM;

	scnprintf(name, sizeof(name), "%s%u", set->option, index);
	strscpy(why, "there is no memory for it", CHANNEL_WHY);
	if (copy) {
		mutex_lock(&joining);
		error = join_both(pair, copy, name, set->channel_flags, why);
		mutex_unlock(&joining);
	}
	kfree(copy);
	return error;
}

/*
 * A reader may have come before the line had the channel, and the interrupt for it has passed. With
 * line->lock held.
 */
static void see_readers(void)
{
	host_raise(this_vcpu(), HOST_IRQ_CONSOLE);
}

/* With port.mutex held, while the line is not open. Returns what it had. */
static struct pair replace(struct line *line, struct pair pair)
{
	struct pair before;

	console_lock();
	spin_lock_irq(&line->lock);
	before = (struct pair) { line->in, line->out };
	line->in = pair.in;
	line->out = pair.out;
	line->deferred = NULL;
	line->input = LINE_TALKS;
	line->in_midline = line->drained = false;
	see_readers();
	spin_unlock_irq(&line->lock);
	console_unlock();
	return before;
}

/* "pts:/dev/pts/7", "fd:0,fd:1"; with port.mutex held, or at the start. */
static void describe(struct line *line, char *text, size_t size)
{
	size_t length;

	if (line->deferred) {
		strscpy(text, line->deferred, size);
		return;
	}
	channel_describe(line->in, text, size);
	if (line->out == line->in)
		return;
	length = strlcat(text, ",", size);
	if (length < size)
		channel_describe(line->out, text + length, size - length);
}

/* The list of uml_console shows what there is; with port.mutex held, or at the start. */
static void list(struct line *line)
{
	int state = line->deferred ? HOST_ATTACH_DEFERRED :
		    line->in || line->out ? HOST_ATTACH_JOINED : HOST_ATTACH_NONE;
	char text[256];

	describe(line, text, sizeof(text));
	host_attach_describe(line->attach, state, text);
}

/* Where to find it, if that is not plain from the option. */
static void announce(struct line_set *set, unsigned int index)
{
	char text[256];

	list(&set->lines[index]);
	describe(&set->lines[index], text, sizeof(text));
	if (!strstarts(text, "fd:") && !strstarts(text, "n"))	/* null, none */
		pr_info("%s%u: %s\n", set->option, index, text);
}

int line_join_deferred(struct line_set *set, unsigned int index)
{
	struct line *line = &set->lines[index];
	struct pair pair = {};
	char why[CHANNEL_WHY];
	int error;

	if (!line->deferred)
		return 0;
	error = join(&pair, set, index, line->deferred, why);
	if (error) {
		pr_warn("%s%u=%s: %s\n", set->option, index, line->deferred, why);
		return error;
	}
	spin_lock_irq(&line->lock);
	line->in = pair.in;
	line->out = pair.out;
	line->deferred = NULL;
	see_readers();
	spin_unlock_irq(&line->lock);
	announce(set, index);
	return 0;
}

/* ---- options ---- */

int __init line_option(struct line_set *set, const char *option)
{
	const char *value = strchr(option, '=');
	unsigned int index;
	char *end;

	if (*option == '=') {
		set->option_of_all = option + 1;
		return 1;
	}
	if (!value || memchr(option, '.', value - option))
		return 0;
	index = simple_strtoul(option, &end, 10);
	if (!isdigit(*option) || end != value || index >= set->count)
		host_fatal("%s%.*s: there is no such %s; there are %s0 to %s%d", set->option,
			   (int)(value - option), option, set->kind, set->option, set->option,
			   set->count - 1);
	set->option_of[index] = value + 1;
	return 1;
}

void __init line_configure(struct line_set *set, unsigned int index, const char *spec,
			   bool deferred)
{
	struct line *line = &set->lines[index];
	char why[CHANNEL_WHY];
	struct pair pair = {};

	if (deferred) {
		line->deferred = spec;
		list(line);
		return;
	}
	if (join(&pair, set, index, spec, why))
		host_fatal("%s%u=%s: %s", set->option, index, spec, why);
	line->in = pair.in;
	line->out = pair.out;
	announce(set, index);
}

/* ---- the management console ---- */

static struct line *find(struct line_set *set, const char *unit, unsigned int *index,
			 struct seq_buf *answer)
{
	if (!isdigit(*unit) || kstrtouint(unit, 10, index) || *index >= set->count) {
		seq_buf_printf(answer, "%s%s: there is no such %s; there are %s0 to %s%d",
			       set->option, unit, set->kind, set->option, set->option,
			       set->count - 1);
		return NULL;
	}
	return &set->lines[*index];
}

static bool is_open(struct line *line)
{
	bool open;

	spin_lock_irq(&line->port.lock);
	open = line->port.count || tty_port_initialized(&line->port);
	spin_unlock_irq(&line->port.lock);
	return open;
}

static int change(struct line_set *set, unsigned int index, const char *spec,
		  struct seq_buf *answer)
{
	struct line *line = &set->lines[index];
	char why[CHANNEL_WHY];
	struct pair pair = {};
	int error;

	mutex_lock(&line->port.mutex);
	if (is_open(line)) {
		mutex_unlock(&line->port.mutex);
		seq_buf_puts(answer, MCONSOLE_BUSY);
		return -EBUSY;
	}
	error = join(&pair, set, index, spec, why);
	if (!error) {
		pair = replace(line, pair);
		list(line);
	}
	mutex_unlock(&line->port.mutex);
	if (error) {
		seq_buf_printf(answer, "%s%u=%s: %s", set->option, index, spec, why);
		return error;
	}
	leave(&pair);
	return 0;
}

int line_set_channels(struct line_set *set, const char *unit, const char *spec,
		      struct seq_buf *answer)
{
	unsigned int index;

	return find(set, unit, &index, answer) ? change(set, index, spec, answer) : -ENODEV;
}

int line_remove(struct line_set *set, const char *unit, struct seq_buf *answer)
{
	return line_set_channels(set, unit, "none", answer);
}

int line_query(struct line_set *set, const char *unit, struct seq_buf *answer)
{
	unsigned int index;
	struct line *line = find(set, unit, &index, answer);
	char text[256];

	if (!line)
		return -ENODEV;
	mutex_lock(&line->port.mutex);
	describe(line, text, sizeof(text));
	mutex_unlock(&line->port.mutex);
	seq_buf_puts(answer, text);
	return 0;
}
