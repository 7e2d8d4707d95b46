// SPDX-License-Identifier: GPL-2.0-only
/* The management console: devices that can be configured, shown and removed. */
#include <linux/errname.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <host/process.h>

#include "mconsole.h"
#include "request.h"

/* Covers the list, and all that is done to devices. */
static DEFINE_MUTEX(lock);
static LIST_HEAD(devices);

void mconsole_register(struct mconsole_device *device)
{
	mutex_lock(&lock);
	list_add_tail(&device->list, &devices);
	mutex_unlock(&lock);
}

static struct mconsole_device *find_device(const char *spec)
{
	struct mconsole_device *device, *found = NULL;

	list_for_each_entry(device, &devices, list)
		if (!strncmp(spec, device->name, strlen(device->name)) &&
		    (!found || strlen(device->name) > strlen(found->name)))
			found = device;
	return found;
}

static void answer(struct mconsole_request *request, int error, struct seq_buf *text)
{
	if (error && !seq_buf_used(text))
		seq_buf_puts(text, error == -EOPNOTSUPP ? "this device has no such operation" :
			     host_error_text(error));
	mconsole_end(request, error ? HOST_MCONSOLE_ERROR : 0, text->buffer, seq_buf_used(text));
}

/* value: NULL for a query. */
static int configure(const struct mconsole_device *device, const char *unit, const char *value,
		     struct seq_buf *text)
{
	if (value)
		return device->set ? device->set(unit, value, text) : -EOPNOTSUPP;
	return device->query ? device->query(unit, text) : -EOPNOTSUPP;
}

void mconsole_config(struct mconsole_request *request)
{
	char *spec = strim(request->arguments), *value = strchr(spec, '=');
	struct mconsole_device *device;
	char room[HOST_MCONSOLE_TEXT];
	struct seq_buf text;
	int error = -ENODEV;

	seq_buf_init(&text, room, sizeof(room));
	if (value)
		*value++ = '\0';
	mutex_lock(&lock);
	device = find_device(spec);
	if (device)
		error = configure(device, spec + strlen(device->name), value, &text);
	else
		seq_buf_printf(&text, "%s: there is no such device", spec);
	mutex_unlock(&lock);
	answer(request, error, &text);
}

void mconsole_remove(struct mconsole_request *request)
{
	char *spec = strim(request->arguments);
	struct mconsole_device *device;
	char room[HOST_MCONSOLE_TEXT];
	struct seq_buf text;
	int error = -ENODEV;

	seq_buf_init(&text, room, sizeof(room));
	mutex_lock(&lock);
	device = find_device(spec);
	if (!device)
		seq_buf_printf(&text, "%s: there is no such device", spec);
	else if (device->remove)
		error = device->remove(spec + strlen(device->name), &text);
	else
		error = -EOPNOTSUPP;
	mutex_unlock(&lock);
	answer(request, error, &text);
}
