// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminal lines: ttys whose other end is a channel on the host.
 *
 * Input: while a line is open, its channel is watched. HOST_IRQ_CONSOLE makes us read until there
 * is no more (-EAGAIN; the watch is then set again) or the reader is behind (throttle; unthrottle
 * continues). What is not read stays in the host.
 *
 * A reader on the host who leaves hangs the line up, as the carrier of a modem does, unless the
 * tty has CLOCAL set. The channel lets no other one in before that. What was typed just before
 * has a moment to reach its program.
 *
 * The end of the input of a channel whose reader stays is what a user would type there: Ctrl-D
 * (and before it the end of an unfinished line), whenever a program waits for lines then
 * (ICANON). So a shell ends, and so does what reads in it. To one that reads bytes Ctrl-D would
 * be a byte: the line is hung up, which is an end of file and SIGHUP. (The first line is the
 * console, where that one is the editor of a shell: it gets its unfinished line first.) Who waits
 * is looked at soon after a program set the terminal's modes, as each shell does, and then less
 * and less often. When the line is hung up or closed it becomes mute: the login programs of a
 * guest that stays up wait for input that never comes, rather than end and be started again for
 * ever. A line whose input fails, or which never had one, is mute from the start.
 *
 * Output: into the port's FIFO and from there to the host at once. The rest stays, and continues
 * when the write watch fires. An output that fails for good swallows everything. Kernel messages
 * take another way, past the FIFO and this lock: they must not wait for either (channel.c).
 *
 * Attached clients: what the channel took, or was swallowed, they are shown, and what their writer
 * types is read before the channel's input (host/attach.h). They are no reader in the sense above:
 * they come and go without a hang-up, also where the channel has no input or is at its end.
 *
 * line->lock covers both directions, from interrupts and processes. Host calls made under it do
 * not sleep.
 */
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/kfifo.h>
#include <linux/slab.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_flip.h>

#include <host/attach.h>
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
#define HANGUP_DELAY	(HZ / 10)	/* for what was typed before it */

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

static void line_insert(struct line *line, const u8 *bytes, long length)
{
	tty_insert_flip_string(&line->port, bytes, length);
	line->in_midline = bytes[length - 1] != '\n' && bytes[length - 1] != '\r';
}

/* Of attached clients. Returns how many bytes that were. */
static long line_receive_attached(struct line *line)
{
	u8 buffer[READ_AT_ONCE];
	long total = 0;

	while (line->active && !line->throttled) {
		int room = tty_buffer_request_room(&line->port, sizeof(buffer));
		long got;

		if (!room || total >= READ_PER_TURN) {
			schedule_delayed_work(&line->work, !room);
			break;
		}
		got = host_attach_read(line->attach, buffer, room);
		if (got <= 0)
			break;
		line_insert(line, buffer, got);
		total += got;
	}
	return total;
}

static void line_receive(struct line *line)
{
	u8 buffer[READ_AT_ONCE];
	long got = 0, total = 0, typed = line_receive_attached(line);

	while (line->in && line->active && !line->throttled && line->input == LINE_TALKS) {
		int room = tty_buffer_request_room(&line->port, sizeof(buffer));

		if (!room) {
			schedule_delayed_work(&line->work, 1);
			break;
		}
		got = total < READ_PER_TURN ? channel_read(line->in, buffer, room) : -EAGAIN;
		if (got == -EAGAIN) {
			channel_watch(line->in, CHANNEL_IN);
			break;
		}
		line->drained = got == -ENOTCONN;
		if (line->drained)
			break;
		if (got <= 0) {
			line->input = got ? LINE_MUTE : LINE_ENDS;
			if (!got)
				line_end_soon(line);
			break;
		}
		line_insert(line, buffer, got);
		total += got;
	}
	if (total || typed)
		tty_flip_buffer_push(&line->port);
}

/*
 * Whether the FIFO has more room than before: then tty_port_tty_wakeup() must follow, without the
 * lock, or a program that waits for room never notices.
 */
static bool line_send(struct line *line)
{
	unsigned int length;
	bool sent = false;
	u8 *data;

	while (!line->stopped &&
	       (length = kfifo_out_linear_ptr(&line->port.xmit_fifo, &data, UINT_MAX))) {
		long put = channel_write(line->out, data, length);

		if (put == -EAGAIN || put == 0) {
			channel_watch(line->out, CHANNEL_OUT);
			break;
		}
		if (put < 0)
			put = length;
		host_attach_output(line->attach, data, put);
		kfifo_skip_count(&line->port.xmit_fifo, put);
		sent = true;
	}
	return sent;
}

/* ---- interrupts and what follows from them ---- */

static void line_resize(struct line *line, struct tty_struct *tty)
{
	struct winsize size = {};

	if (!host_attach_size(line->attach, &size.ws_row, &size.ws_col) ||
	    !channel_size(line->out, &size) || !channel_size(line->in, &size))
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

static void line_renew(struct line *line)
{
	channel_renew(line->in);
	if (line->out != line->in)
		channel_renew(line->out);
}

/*
 * The host's reader has left. With CLOCAL set the line does not care, and the next one may come
 * as soon as all that was typed has been read. A hang-up lets the next one in by line_shutdown().
 */
static void line_hangup_work(struct work_struct *work)
{
	struct line *line = container_of(to_delayed_work(work), struct line, hangup_work);
	struct tty_struct *tty = tty_port_tty_get(&line->port);

	if (!tty)
		return;
	spin_lock_irq(&line->lock);
	line_receive(line);
	if (!line->active || !C_CLOCAL(tty))
		;
	else if (line->throttled && !line->drained)
		schedule_delayed_work(&line->hangup_work, HANGUP_DELAY);
	else
		line_renew(line);
	spin_unlock_irq(&line->lock);
	if (!C_CLOCAL(tty))
		tty_hangup(tty);
	tty_kref_put(tty);
}

static void line_follow_reader(struct line *line, bool resized)
{
	int events = channel_events(line->in);

	if (line->out != line->in)
		events |= channel_events(line->out);
	if (host_attach_resized(line->attach))
		events |= CHANNEL_RESIZED;
	if ((events & CHANNEL_LEFT) && line->active)
		schedule_delayed_work(&line->hangup_work, HANGUP_DELAY);
	else if (events & CHANNEL_LEFT)
		line_renew(line);
	if (line->active && (resized || (events & CHANNEL_RESIZED)))
		schedule_delayed_work(&line->work, 0);
}

static void line_interrupt(struct line *line, bool resized)
{
	bool sent = false;
	unsigned long flags;

	spin_lock_irqsave(&line->lock, flags);
	line_follow_reader(line, resized);
	if (line->active) {
		line_receive(line);
		sent = line_send(line);
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

static void open_channel(struct channel *channel)
{
	if (channel && channel->kind->open)
		channel->kind->open(channel);
}

/* Later openers find the window's size that the guest may have set since. */
static int line_activate(struct tty_port *port, struct tty_struct *tty)
{
	struct line *line = container_of(port, struct line, port);
	int error = line_join_deferred(tty->driver->driver_state, tty->index);

	if (!error && !line->in && !line->out)
		error = -ENODEV;
	if (!error)
		error = tty_port_alloc_xmit_buf(port);
	if (error)
		return error;
	line_resize(line, tty);
	open_channel(line->in);
	if (line->out != line->in)
		open_channel(line->out);
	spin_lock_irq(&line->lock);
	line->active = true;
	line->throttled = line->stopped = false;
	line_receive(line);
	spin_unlock_irq(&line->lock);
	host_attach_set_open(line->attach, 1);
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
	line->drained = false;
	spin_unlock_irq(&line->lock);
	host_attach_set_open(line->attach, 0);
	cancel_delayed_work_sync(&line->work);
	cancel_delayed_work_sync(&line->end_work);
	cancel_delayed_work_sync(&line->hangup_work);
	spin_lock_irq(&line->lock);
	line_renew(line);
	spin_unlock_irq(&line->lock);
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

	/* Seen without a lock, so that line_activate() looks again. */
	if (!READ_ONCE(line->in) && !READ_ONCE(line->out) && !READ_ONCE(line->deferred))
		return -ENODEV;
	tty->driver_data = line;
	return tty_port_install(&line->port, driver, tty);
}

static int line_open(struct tty_struct *tty, struct file *file)
{
	return tty_port_open(tty->port, tty, file);
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
	bool others_wait = false;
	size_t taken = 0;

	spin_lock_irqsave(&line->lock, flags);
	if (line->active) {
		others_wait = !kfifo_is_empty(&line->port.xmit_fifo);
		taken = kfifo_in(&line->port.xmit_fifo, buffer, length);
		others_wait &= line_send(line);
	}
	spin_unlock_irqrestore(&line->lock, flags);
	if (others_wait)
		tty_port_tty_wakeup(&line->port);
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
	bool sent = false;

	spin_lock_irqsave(&line->lock, flags);
	*flag = value;
	if (line->active) {
		line_receive(line);
		sent = line_send(line);
	}
	spin_unlock_irqrestore(&line->lock, flags);
	if (sent)
		tty_port_tty_wakeup(&line->port);
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

/* ---- the set ---- */

void line_set_init(struct line_set *set)
{
	for (unsigned int i = 0; i < set->count; i++) {
		struct line *line = &set->lines[i];
		char name[HOST_ATTACH_NAME];

		scnprintf(name, sizeof(name), "%s%u", set->option, i);
		line->attach = host_attach_line(name);
		tty_port_init(&line->port);
		line->port.ops = &line_port_ops;
		spin_lock_init(&line->lock);
		INIT_DELAYED_WORK(&line->work, line_work);
		INIT_DELAYED_WORK(&line->end_work, line_end_work);
		INIT_DELAYED_WORK(&line->hangup_work, line_hangup_work);
	}
}

int line_set_register(struct line_set *set)
{
	struct tty_driver *driver;
	int error;

	driver = tty_alloc_driver(set->count, TTY_DRIVER_REAL_RAW | TTY_DRIVER_RESET_TERMIOS);
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
		tty_port_link_device(&set->lines[i].port, driver, i);
	error = tty_register_driver(driver);
	if (error)
		goto put;
	error = request_irq(HOST_IRQ_CONSOLE, line_set_interrupt, IRQF_SHARED, set->option, set);
	if (error)
		goto unregister;
	set->driver = driver;
	/* Readers may have come before there was a handler. */
	host_raise(this_vcpu(), HOST_IRQ_CONSOLE);
	return 0;
unregister:
	tty_unregister_driver(driver);
put:
	tty_driver_kref_put(driver);
	return error;
}
