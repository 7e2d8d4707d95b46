// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminal logs: what is typed and shown on the guest's terminals goes to the host.
 *
 * Every terminal of Linux begins with the line discipline N_TTY. Ours is a copy of it that is
 * registered in its place, and its open function puts itself between the terminal and its driver:
 *
 *   shown   tty->ops becomes a copy of the driver's operations whose write functions also record.
 *           Echo, messages to users and the output of any other line discipline pass there, too.
 *   typed   the client of the terminal's port, which hands input to the line discipline, becomes
 *           one that also records what the discipline took. TIOCSTI goes by the discipline alone,
 *           and is recorded there.
 *
 * This remains until the terminal is freed, whatever discipline it gets, since a discipline can be
 * changed by programs and these two cannot. A pty pair is recorded at its slave, which sees
 * both directions.
 *
 * Without tty_log_dir= and tty_log_fd= nothing is registered and nothing differs.
 */
#include <linux/device.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_ldisc.h>
#include <linux/tty_port.h>
#include <linux/uaccess.h>
#include <asm/exec_hook.h>
#include <host/ttylog.h>

struct session {
	struct tty_operations ops;		/* tty->ops of its terminal */
	const struct tty_operations *driver;	/* those that were there before */
	struct host_ttylog *log;
};

/* Calls of the host must not overlap. Writing to a terminal may come from any context. */
static DEFINE_RAW_SPINLOCK(lock);
/* The host cannot read memory of vmalloc(), which buffers of writers may be. Under the lock. */
static u8 bounce[HOST_TTYLOG_MOST];

static struct tty_ldisc_ops n_tty, recorded_n_tty;
static struct tty_port_client_operations recorded_client;

static void tap_cleanup(struct tty_struct *tty);

/* NULL: a terminal that is not recorded, the master of a pty. */
static struct session *session_of(const struct tty_struct *tty)
{
	if (tty->ops->cleanup != tap_cleanup)
		return NULL;
	return container_of(tty->ops, struct session, ops);
}

static void record(struct session *session, int what, int direction, const void *data,
		   size_t length)
{
	unsigned long flags;

	while (length) {
		size_t part = min_t(size_t, length, sizeof(bounce));

		raw_spin_lock_irqsave(&lock, flags);
		memcpy(bounce, data, part);
		host_ttylog_record(session->log, what, direction, bounce, part);
		raw_spin_unlock_irqrestore(&lock, flags);
		data += part;
		length -= part;
	}
}

/* ---- between a terminal and its driver ---- */

static ssize_t tap_write(struct tty_struct *tty, const u8 *data, size_t length)
{
	struct session *session = session_of(tty);
	ssize_t done = session->driver->write(tty, data, length);

	if (done > 0)
		record(session, HOST_TTYLOG_DATA, HOST_TTYLOG_SHOWN, data, done);
	return done;
}

static int tap_put_char(struct tty_struct *tty, u8 byte)
{
	struct session *session = session_of(tty);
	int done = session->driver->put_char(tty, byte);

	if (done > 0)
		record(session, HOST_TTYLOG_DATA, HOST_TTYLOG_SHOWN, &byte, 1);
	return done;
}

/* The terminal is about to be freed, and nothing uses it any more. */
static void tap_cleanup(struct tty_struct *tty)
{
	struct session *session = session_of(tty);
	unsigned long flags;

	tty->ops = session->driver;
	raw_spin_lock_irqsave(&lock, flags);
	host_ttylog_close(session->log);
	raw_spin_unlock_irqrestore(&lock, flags);
	kfree(session);
	if (tty->ops->cleanup)
		tty->ops->cleanup(tty);
}

/*
 * In the work that empties the port's buffer. release_tty() clears itty, then waits for this work,
 * then lets the terminal go.
 */
static size_t tap_receive(struct tty_port *port, const u8 *data, const u8 *flags, size_t length)
{
	struct tty_struct *tty = READ_ONCE(port->itty);
	struct session *session = tty ? session_of(tty) : NULL;
	size_t taken = tty_port_default_client_ops.receive_buf(port, data, flags, length);

	if (session && taken)
		record(session, HOST_TTYLOG_DATA, HOST_TTYLOG_TYPED, data, taken);
	return taken;
}

/* ---- the line discipline ---- */

/* The session of the terminal that the current program belongs to, or 0. */
static unsigned long current_session(void)
{
	struct tty_struct *tty = get_current_tty();
	struct session *session = tty ? session_of(tty) : NULL;
	unsigned long id = session ? host_ttylog_id(session->log) : 0;

	tty_kref_put(tty);
	return id;
}

static bool is_pty_master(const struct tty_struct *tty)
{
	return tty->driver->type == TTY_DRIVER_TYPE_PTY && tty->driver->subtype == PTY_TYPE_MASTER;
}

static int begin(struct tty_struct *tty)
{
	struct session *session = kzalloc(sizeof(*session), GFP_KERNEL);
	unsigned long parent = current_session(), flags;

	if (!session)
		return -ENOMEM;
	raw_spin_lock_irqsave(&lock, flags);
	session->log = host_ttylog_open(tty_devnum(tty), parent);
	raw_spin_unlock_irqrestore(&lock, flags);
	if (!session->log) {
		kfree(session);
		return -ENOMEM;
	}
	session->driver = tty->ops;
	session->ops = *tty->ops;
	session->ops.write = tap_write;
	if (session->ops.put_char)
		session->ops.put_char = tap_put_char;
	session->ops.cleanup = tap_cleanup;
	tty->ops = &session->ops;
	if (tty->port->client_ops == &tty_port_default_client_ops)
		tty->port->client_ops = &recorded_client;
	return 0;
}

/* Also when a program comes back to N_TTY, or after a hangup: the session continues. */
static int recorded_open(struct tty_struct *tty)
{
	int error = 0;

	if (!session_of(tty) && !is_pty_master(tty) && tty->ops->write)
		error = begin(tty);
	return error ?: n_tty.open(tty);
}

/* TIOCSTI; input of the driver comes by receive_buf2, and was seen before. */
static void recorded_receive(struct tty_struct *tty, const u8 *data, const u8 *flags, size_t length)
{
	struct session *session = session_of(tty);

	n_tty.receive_buf(tty, data, flags, length);
	if (session)
		record(session, HOST_TTYLOG_DATA, HOST_TTYLOG_TYPED, data, length);
}

/* ---- programs ---- */

/* Arguments that do not fit one record continue in the next, and only the last one ends with 0. */
static void record_arguments(struct session *session)
{
	unsigned long at = current->mm->arg_start, end = current->mm->arg_end;
	char *page = (char *)__get_free_page(GFP_KERNEL);

	while (page && at < end) {
		unsigned long part = min(end - at, PAGE_SIZE);

		if (copy_from_user(page, (const void __user *)at, part))
			break;
		record(session, HOST_TTYLOG_EXEC, 0, page, part);
		at += part;
	}
	free_page((unsigned long)page);
}

static void recorded_exec(void)
{
	struct tty_struct *tty = get_current_tty();
	struct session *session = tty ? session_of(tty) : NULL;

	if (session)
		record_arguments(session);
	tty_kref_put(tty);
}

/* Before any terminal is open, and after Linux has registered its N_TTY. */
static int __init tty_tap_init(void)
{
	if (!host_ttylog_wanted())
		return 0;
	n_tty_inherit_ops(&n_tty);
	recorded_n_tty = n_tty;
	recorded_n_tty.open = recorded_open;
	recorded_n_tty.receive_buf = recorded_receive;
	recorded_client = tty_port_default_client_ops;
	recorded_client.receive_buf = tap_receive;
	exec_hook = recorded_exec;
	return tty_register_ldisc(&recorded_n_tty);
}
core_initcall(tty_tap_init);
