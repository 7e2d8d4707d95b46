// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminal lines: ttys whose other end is a channel on the host.
 *
 * Input: while a line is open, its channel is watched. HOST_IRQ_CONSOLE makes us read until there is no more (-EAGAIN; the watch is
 * then set again) or the reader is behind (throttle; unthrottle reads on). What nobody reads stays in the host.
 *
 * The end of the input is what a user would type there: Ctrl-D (and before it the end of an unfinished
 * line), whenever a program waits for lines then (ICANON). So a shell ends, and so does what reads in
 * it. To one that reads bytes Ctrl-D would be a byte: the line is hung up, which is an end of file and
 * SIGHUP. (The first line is the console, where that one is the editor of a shell: it gets its unfinished
 * line first.) Who waits is looked at soon after a program set the terminal's modes, as each shell does, and
 * then less and less often. When the line is hung up or closed it becomes mute: the login programs of a
 * guest that stays up wait for input that never comes, rather than end and be started again for ever. A
 * line whose input fails, or which never had one, is mute from the start.
 *
 * Output: into the port's FIFO and from there to the host at once; what the host does not take stays, and goes on its way when
 * the write watch fires. An output that fails for good swallows everything, like a terminal nobody looks at.
 *
 * line->lock covers both, from interrupts and processes; host calls made under it do not sleep.
 */
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/kfifo.h>
#include <linux/slab.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_flip.h>

#include <host/console.h>
#include <host/irq.h>
#include <host/process.h>
#include <host/vcpu.h>

#include "channel.h"
#include "line.h"

#define READ_AT_ONCE	256	/* on the stack */
#define READ_PER_TURN	4096	/* then the line discipline gets a chance to throttle us */
#define END_FIRST	(HZ / 50)	/* how soon, and how seldom at most, the end is typed */
#define END_LAST	(10UL * HZ)

/* ---- transfers; all with line->lock held ---- */

static void line_finish(struct line *line)
{
	if (line->in_midline)
		tty_insert_flip_char(&line->port, '\n', TTY_NORMAL);
	line->in_midline = false;
}

static void line_type_end(struct line *line, struct tty_struct *tty)
{
	line_finish(line);
	tty_insert_flip_char(&line->port, EOF_CHAR(tty), TTY_NORMAL);
}

static void line_end_soon(struct line *line)
{
	line->end_delay = END_FIRST;
	mod_delayed_work(system_wq, &line->end_work, END_FIRST);
}

static void line_receive(struct line *line)
{
	u8 buffer[READ_AT_ONCE];
	long got = 0, total = 0;

	while (line->in && line->active && !line->throttled && line->input == LINE_TALKS) {
		int room = tty_buffer_request_room(&line->port, sizeof(buffer));

		if (!room) {
			schedule_delayed_work(&line->work, 1);
			break;
		}
		got = total < READ_PER_TURN ? line->in->kind->read(line->in, buffer, room) : -EAGAIN;
		if (got == -EAGAIN) {
			line->in->kind->watch(line->in, CHANNEL_IN);
			break;
		}
		if (got <= 0) {
			line->input = got ? LINE_MUTE : LINE_ENDS;
			if (!got)
				line_end_soon(line);
			break;
		}
		tty_insert_flip_string(&line->port, buffer, got);
		line->in_midline = buffer[got - 1] != '\n' && buffer[got - 1] != '\r';
		total += got;
	}
	if (total)
		tty_flip_buffer_push(&line->port);
}

static void line_send(struct line *line)
{
	unsigned int length;
	u8 *data;

	while (!line->stopped && (length = kfifo_out_linear_ptr(&line->port.xmit_fifo, &data, UINT_MAX))) {
		long put = line->out ? line->out->kind->write(line->out, data, length) : length;

		if (put == -EAGAIN || put == 0) {
			line->out->kind->watch(line->out, CHANNEL_OUT);
			return;
		}
		kfifo_skip_count(&line->port.xmit_fifo, put < 0 ? length : put);
	}
}

/* ---- interrupts and what follows from them ---- */

static void line_resize(struct line *line, struct tty_struct *tty)
{
	struct winsize size = {};

	if ((line->out && !line->out->kind->size(line->out, &size)) ||
	    (line->in && !line->in->kind->size(line->in, &size)))
		tty_do_resize(tty, &size);
}

/* The window may have another size, and there may be room for input again. */
static void line_work(struct work_struct *work)
{
	struct line *line = container_of(to_delayed_work(work), struct line, work);
	struct tty_struct *tty = tty_port_tty_get(&line->port);

	if (tty) {
		line_resize(line, tty);
		tty_kref_put(tty);
	}
	spin_lock_irq(&line->lock);
	line_receive(line);
	spin_unlock_irq(&line->lock);
}

/* The input is at its end; is there somebody to tell? */
static void line_end_work(struct work_struct *work)
{
	struct line *line = container_of(to_delayed_work(work), struct line, end_work);
	struct tty_struct *tty = tty_port_tty_get(&line->port);
	bool hang_up = false;

	if (!tty)
		return;
	spin_lock_irq(&line->lock);
	if (line->active && line->input == LINE_ENDS) {
		if (!waitqueue_active(&tty->read_wait))
			;
		else if (L_ICANON(tty))
			line_type_end(line, tty);
		else if (line->in_midline && !tty->index)
			line_finish(line);
		else
			hang_up = kfifo_is_empty(&line->port.xmit_fifo);	/* which forgets output */
		tty_flip_buffer_push(&line->port);
		line->end_delay = min(2 * line->end_delay, END_LAST);
		schedule_delayed_work(&line->end_work, line->end_delay);
	}
	spin_unlock_irq(&line->lock);
	if (hang_up)
		tty_hangup(tty);
	tty_kref_put(tty);
}

static void line_interrupt(struct line *line, bool resized)
{
	bool sent = false;
	unsigned long flags;

	spin_lock_irqsave(&line->lock, flags);
	if (line->active) {
		line_receive(line);
		sent = !kfifo_is_empty(&line->port.xmit_fifo);
		line_send(line);
		if (resized)
			schedule_delayed_work(&line->work, 0);
	}
	spin_unlock_irqrestore(&line->lock, flags);
	if (sent)
		tty_port_tty_wakeup(&line->port);
}

static irqreturn_t line_set_interrupt(int irq, void *data)
{
	struct line_set *set = data;
	unsigned int resizes = READ_ONCE(host_console_resizes);
	bool resized = resizes != set->resizes;

	set->resizes = resizes;
	for (unsigned int i = 0; i < set->count; i++)
		line_interrupt(&set->lines[i], resized);
	return IRQ_HANDLED;
}

/* ---- the port: first open, last close ---- */

static int line_activate(struct tty_port *port, struct tty_struct *tty)
{
	struct line *line = container_of(port, struct line, port);
	int error = tty_port_alloc_xmit_buf(port);

	if (error)
		return error;
	spin_lock_irq(&line->lock);
	line->active = true;
	line->throttled = line->stopped = false;
	line_receive(line);
	spin_unlock_irq(&line->lock);
	return 0;
}

static void line_shutdown(struct tty_port *port)
{
	struct line *line = container_of(port, struct line, port);

	spin_lock_irq(&line->lock);
	line->active = false;
	if (line->input == LINE_ENDS)
		line->input = LINE_MUTE;
	kfifo_reset(&port->xmit_fifo);
	spin_unlock_irq(&line->lock);
	cancel_delayed_work_sync(&line->work);
	cancel_delayed_work_sync(&line->end_work);
}

static const struct tty_port_operations line_port_ops = {
	.activate = line_activate,
	.shutdown = line_shutdown,
};

/* ---- the tty ---- */

static int line_install(struct tty_driver *driver, struct tty_struct *tty)
{
	struct line_set *set = driver->driver_state;
	struct line *line = &set->lines[tty->index];

	if (!line->in && !line->out)
		return -ENODEV;
	tty->driver_data = line;
	return tty_port_install(&line->port, driver, tty);
}

static int line_open(struct tty_struct *tty, struct file *file)
{
	struct line *line = tty->driver_data;

	/* Later openers find what the guest may have set since. */
	if (!tty_port_initialized(&line->port))
		line_resize(line, tty);
	return tty_port_open(&line->port, tty, file);
}

static void line_close(struct tty_struct *tty, struct file *file)
{
	tty_port_close(tty->port, tty, file);
}

static void line_hangup(struct tty_struct *tty)
{
	tty_port_hangup(tty->port);
}

static ssize_t line_write(struct tty_struct *tty, const u8 *buffer, size_t length)
{
	struct line *line = tty->driver_data;
	unsigned long flags;
	size_t taken = 0;

	spin_lock_irqsave(&line->lock, flags);
	if (line->active) {
		taken = kfifo_in(&line->port.xmit_fifo, buffer, length);
		line_send(line);
	}
	spin_unlock_irqrestore(&line->lock, flags);
	return taken;
}

static int line_put_char(struct tty_struct *tty, u8 byte)
{
	struct line *line = tty->driver_data;
	unsigned long flags;
	int taken = 0;

	spin_lock_irqsave(&line->lock, flags);
	if (line->active)
		taken = kfifo_in(&line->port.xmit_fifo, &byte, 1);
	spin_unlock_irqrestore(&line->lock, flags);
	return taken;
}

static void line_flush_chars(struct tty_struct *tty)
{
	line_write(tty, NULL, 0);
}

static unsigned int line_write_room(struct tty_struct *tty)
{
	struct line *line = tty->driver_data;

	return line->active ? kfifo_avail(&line->port.xmit_fifo) : 0;
}

static unsigned int line_chars_in_buffer(struct tty_struct *tty)
{
	struct line *line = tty->driver_data;

	return line->active ? kfifo_len(&line->port.xmit_fifo) : 0;
}

static void line_flush_buffer(struct tty_struct *tty)
{
	struct line *line = tty->driver_data;
	unsigned long flags;

	spin_lock_irqsave(&line->lock, flags);
	if (line->active)
		kfifo_reset(&line->port.xmit_fifo);
	spin_unlock_irqrestore(&line->lock, flags);
	tty_wakeup(tty);
}

static void line_set_flag(struct tty_struct *tty, bool *flag, bool value)
{
	struct line *line = tty->driver_data;
	unsigned long flags;

	spin_lock_irqsave(&line->lock, flags);
	*flag = value;
	if (line->active) {
		line_receive(line);
		line_send(line);
	}
	spin_unlock_irqrestore(&line->lock, flags);
}

static void line_throttle(struct tty_struct *tty)
{
	line_set_flag(tty, &((struct line *)tty->driver_data)->throttled, true);
}

static void line_unthrottle(struct tty_struct *tty)
{
	line_set_flag(tty, &((struct line *)tty->driver_data)->throttled, false);
}

static void line_stop(struct tty_struct *tty)
{
	line_set_flag(tty, &((struct line *)tty->driver_data)->stopped, true);
}

static void line_start(struct tty_struct *tty)
{
	line_set_flag(tty, &((struct line *)tty->driver_data)->stopped, false);
}

/* No hardware, so any speed and format will do; without this function the old ones would stay. */
static void line_set_termios(struct tty_struct *tty, const struct ktermios *old)
{
	struct line *line = tty->driver_data;
	unsigned long flags;

	spin_lock_irqsave(&line->lock, flags);
	if (line->active && line->input == LINE_ENDS)
		line_end_soon(line);
	spin_unlock_irqrestore(&line->lock, flags);
}

static const struct tty_operations line_ops = {
	.install = line_install,
	.open = line_open,
	.close = line_close,
	.hangup = line_hangup,
	.write = line_write,
	.put_char = line_put_char,
	.flush_chars = line_flush_chars,
	.write_room = line_write_room,
	.chars_in_buffer = line_chars_in_buffer,
	.flush_buffer = line_flush_buffer,
	.throttle = line_throttle,
	.unthrottle = line_unthrottle,
	.stop = line_stop,
	.start = line_start,
	.set_termios = line_set_termios,
};

/* ---- configuration ---- */

static struct channel *join_or_die(const char *option, unsigned int index, const char *spec, int directions)
{
	const char *why = "";
	struct channel *channel = channel_join(spec, directions, &why);

	if (IS_ERR(channel))
		host_fatal("%s%u=%s: %s", option, index, spec, why);
	return channel;
}

void line_configure(struct line_set *set, unsigned int index, const char *spec)
{
	struct line *line = &set->lines[index];
	char *in = kstrdup(spec, GFP_KERNEL), *out = in ? strchr(in, ',') : NULL;

	if (!in)
		host_fatal("%s%u: out of memory", set->option, index);
	if (out) {
		*out++ = '\0';
		line->out = join_or_die(set->option, index, out, CHANNEL_OUT);
		line->in = join_or_die(set->option, index, in, CHANNEL_IN);
	} else {
		line->in = line->out = join_or_die(set->option, index, in, CHANNEL_IN | CHANNEL_OUT);
	}
	kfree(in);
}

static void line_init(struct line *line, struct tty_driver *driver, unsigned int index)
{
	tty_port_init(&line->port);
	line->port.ops = &line_port_ops;
	spin_lock_init(&line->lock);
	INIT_DELAYED_WORK(&line->work, line_work);
	INIT_DELAYED_WORK(&line->end_work, line_end_work);
	tty_port_link_device(&line->port, driver, index);
}

int line_set_register(struct line_set *set)
{
	struct tty_driver *driver = tty_alloc_driver(set->count, TTY_DRIVER_REAL_RAW | TTY_DRIVER_RESET_TERMIOS);
	int error;

	if (IS_ERR(driver))
		return PTR_ERR(driver);
	driver->driver_name = set->option;
	driver->name = set->name;
	driver->major = set->major;
	driver->minor_start = set->minor;
	driver->type = set->type;
	driver->subtype = set->subtype;
	driver->init_termios = tty_std_termios;
	driver->driver_state = set;
	tty_set_operations(driver, &line_ops);
	for (unsigned int i = 0; i < set->count; i++)
		line_init(&set->lines[i], driver, i);
	error = tty_register_driver(driver);
	if (error)
		goto put;
	error = request_irq(HOST_IRQ_CONSOLE, line_set_interrupt, IRQF_SHARED, set->option, set);
	if (error)
		goto unregister;
	set->driver = driver;
	return 0;
unregister:
	tty_unregister_driver(driver);
put:
	tty_driver_kref_put(driver);
	return error;
}
