// SPDX-License-Identifier: GPL-2.0-only
/*
 * The management console: requests of uml_mconsole and others on the host.
 *
 * HOST_IRQ_MCONSOLE says that there are some. Those that must work whatever state the guest is in
 * are answered in the interrupt; the others become work of their own, as many at once as there
 * are.
 *
 * Stopped, the virtual CPU stays in the interrupt and waits on the host for requests: no guest
 * code runs, no timer and no interrupt of a device is served, and the guest's clock stands still.
 * A stop with a limit is for clients that may die before they send go.
 */
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/guest_clock.h>
#include <host/irq.h>
#include <host/process.h>
#include <host/time.h>

#include "mconsole.h"
#include "request.h"

#define MOST_AT_ONCE	512		/* requests that run in processes */
#define STOPPED_TICK	300		/* milliseconds */
#define PATIENCE	(30 * HZ)	/* with a client that reads nothing */

bool mconsole_stopped;
u64 mconsole_stop_end;
void (*mconsole_while_stopped)(void);
EXPORT_SYMBOL_GPL(mconsole_while_stopped);
static struct workqueue_struct *queue;
static atomic_t under_way = ATOMIC_INIT(0);

/* ---- answers ---- */

static int send(struct mconsole_request *request, unsigned int status, bool more, const char *text,
		size_t length)
{
	unsigned long deadline = jiffies + PATIENCE;
	int result;

	for (;;) {
		result = host_mconsole_reply(&request->client, status, more, text, length,
					     !request->can_wait);
		if (result != -EAGAIN || !request->can_wait || time_after(jiffies, deadline))
			return result;
		schedule_timeout_uninterruptible(1);
	}
}

int mconsole_part(struct mconsole_request *request, const char *text, size_t length)
{
	int error = 0;

	while (length && !error) {
		size_t part = min_t(size_t, length, HOST_MCONSOLE_TEXT - 1);

		error = send(request, 0, true, text, part);
		text += part;
		length -= part;
	}
	return error;
}

void mconsole_end(struct mconsole_request *request, unsigned int status, const char *text,
		  size_t length)
{
	while (length >= HOST_MCONSOLE_TEXT) {
		send(request, status, true, text, HOST_MCONSOLE_TEXT - 1);
		text += HOST_MCONSOLE_TEXT - 1;
		length -= HOST_MCONSOLE_TEXT - 1;
	}
	send(request, status, false, text, length);
}

void mconsole_done(struct mconsole_request *request)
{
	mconsole_end(request, 0, "", 0);
}

void mconsole_answer(struct mconsole_request *request, int error, const char *format, ...)
{
	char text[HOST_MCONSOLE_TEXT];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vscnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	mconsole_end(request, error ? HOST_MCONSOLE_ERROR : 0, text, length);
}

/* ---- requests ---- */

static const struct mconsole_command *find_command(struct mconsole_request *request)
{
	char *text = skip_spaces(request->text);
	size_t length = strcspn(text, " \t\n");

	for (const struct mconsole_command *command = mconsole_commands; command->name; command++) {
		if (strlen(command->name) != length || memcmp(command->name, text, length))
			continue;
		request->arguments = text + length;
		if (isspace(*request->arguments))	/* "log" keeps further ones */
			request->arguments++;
		return command;
	}
	return NULL;
}

static void run_in_process(struct work_struct *work)
{
	struct mconsole_request *request = container_of(work, struct mconsole_request, work);

	request->command->run(request);
	kfree(request);
	atomic_dec(&under_way);
}

/* Copies the request, which then belongs to the work. */
static void start_in_process(struct mconsole_request *request)
{
	struct mconsole_request *own;

	if (mconsole_stopped) {
		mconsole_answer(request, -EBUSY, "the instance is stopped: send go first");
		return;
	}
	if (!atomic_add_unless(&under_way, 1, MOST_AT_ONCE)) {
		mconsole_answer(request, -EBUSY, "%d requests are under way; try again",
				MOST_AT_ONCE);
		return;
	}
	own = queue ? kmemdup(request, sizeof(*request), GFP_ATOMIC) : NULL;
	if (!own) {
		atomic_dec(&under_way);
		mconsole_answer(request, -ENOMEM, "the kernel has no memory for the request");
		return;
	}
	own->can_wait = true;
	own->arguments = own->text + (request->arguments - request->text);
	INIT_WORK(&own->work, run_in_process);
	queue_work(queue, &own->work);
}

static void handle(struct mconsole_request *request)
{
	request->command = find_command(request);
	if (!request->command)
		mconsole_answer(request, -EINVAL, "no such command; help lists them");
	else if (request->command->in_process)
		start_in_process(request);
	else
		request->command->run(request);
}

static void handle_all(void)
{
	static struct mconsole_request request;		/* the handler does not nest */

	while (host_mconsole_receive(&request.client, request.text) >= 0)
		handle(&request);
}

/* How many milliseconds to wait for requests; 0: no limit. */
static int time_to_wait(int tick)
{
	u64 now = host_monotonic_ns();
	int left;

	if (!mconsole_stop_end)
		return tick;
	if (now >= mconsole_stop_end)
		return 1;
	left = DIV_ROUND_UP_ULL(mconsole_stop_end - now, NSEC_PER_MSEC);
	return tick ? min(tick, left) : left;
}

/* Returns whether the instance continues because its time is over. */
static bool stay_stopped(void)
{
	while (mconsole_stopped) {
		void (*while_stopped)(void) = READ_ONCE(mconsole_while_stopped);

		host_mconsole_wait(time_to_wait(while_stopped ? STOPPED_TICK : 0));
		if (while_stopped)
			while_stopped();
		handle_all();
		if (mconsole_stopped && mconsole_stop_end &&
		    host_monotonic_ns() >= mconsole_stop_end) {
			mconsole_stopped = false;
			return true;
		}
	}
	return false;
}

static irqreturn_t mconsole_interrupt(int irq, void *data)
{
	bool by_itself;

	handle_all();
	if (!mconsole_stopped)
		return IRQ_HANDLED;
	guest_clock_stop();
	by_itself = stay_stopped();
	guest_clock_go();
	if (by_itself)
		pr_notice("mconsole: the time of stop is over: the instance continues\n");
	return IRQ_HANDLED;
}

static int __init mconsole_init(void)
{
	int error;

	if (!*host_mconsole_path())
		return 0;
	queue = alloc_workqueue("mconsole", WQ_UNBOUND, WQ_UNBOUND_MAX_ACTIVE);
	error = request_irq(HOST_IRQ_MCONSOLE, mconsole_interrupt, 0, "mconsole", NULL);
	if (error) {
		pr_err("mconsole: no interrupt: %pe\n", ERR_PTR(error));
		return error;
	}
	pr_info("mconsole: this instance is %s, its socket %s\n", host_umid(),
		host_mconsole_path());
	host_raise(&host_vcpus[0], HOST_IRQ_MCONSOLE);
	return 0;
}
/* Soon: a start that hangs can be looked at. */
core_initcall(mconsole_init);
