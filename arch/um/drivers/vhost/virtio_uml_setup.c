// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_uml.device=<socket>:<virtio id>[:<platform id>], which may be given many times, and the
 * same at run time, by the management console: virtio_uml<platform id>=<socket>:<virtio id>.
 *
 * Each makes a platform device, which virtio_uml.c drives. Those of the command line exist before
 * the driver does, and a server that cannot be used ends ./linux. At run time it is the answer to
 * the request, and nothing of the device stays.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <host/process.h>

#include "../mconsole/mconsole.h"
#include "virtio_uml.h"

#define DEVICES		32
#define LAST_ID		65535

/* Covers next_id and devices, and is held while one of them comes or goes. */
static DEFINE_MUTEX(lock);
static int next_id;
static struct platform_device *devices[DEVICES];

/* The device with that platform id, or NULL. With lock held, as all below that name a slot. */
static struct platform_device **find_slot(int id)
{
	for (int slot = 0; slot < DEVICES; slot++)
		if (devices[slot] && devices[slot]->id == id)
			return &devices[slot];
	return NULL;
}

static struct platform_device **free_slot(void)
{
	for (int slot = 0; slot < DEVICES; slot++)
		if (!devices[slot])
			return &devices[slot];
	return NULL;
}

static int add_device(int id, const struct virtio_uml_server *server)
{
	struct platform_device **slot = free_slot(), *platform;

	if (!slot)
		return -ENOSPC;
	if (find_slot(id))
		return -EEXIST;
	platform = platform_device_register_data(NULL, "virtio-uml", id, server,
						 struct_size(server, socket,
							     strlen(server->socket) + 1));
	if (IS_ERR(platform))
		return PTR_ERR(platform);
	*slot = platform;
	next_id = max(next_id, id + 1);
	return 0;
}

static void remove_device(struct platform_device **slot)
{
	platform_device_unregister(*slot);
	*slot = NULL;
}

/* ---- what is asked for ---- */

/* Takes a number off the end of text, behind a colon; the text gets shorter. */
static bool take_number(char *text, unsigned int *number)
{
	char *colon = strrchr(text, ':');

	if (!colon || kstrtouint(colon + 1, 10, number))
		return false;
	*colon = 0;
	return true;
}

/*
 * <socket>:<virtio id>[:<platform id>]; a colon in the socket's name is fine as long as no number
 * follows it. Without a platform id, *@id stays.
 */
static int virtio_parse(struct virtio_uml_server *server, unsigned int *id)
{
	unsigned int last, before;

	if (!take_number(server->socket, &last))
		return -EINVAL;
	server->virtio_id = last;
	if (take_number(server->socket, &before)) {
		server->virtio_id = before;
		*id = last;
	}
	return *server->socket && server->virtio_id && *id <= LAST_ID ? 0 : -EINVAL;
}

/* To be freed, or an error. */
static struct virtio_uml_server *server_of(const char *text, unsigned int *id)
{
	size_t room = strlen(text) + 1;
	struct virtio_uml_server *server = kzalloc(struct_size(server, socket, room), GFP_KERNEL);
	int error;

	if (!server)
		return ERR_PTR(-ENOMEM);
	memcpy(server->socket, text, room);
	error = virtio_parse(server, id);
	if (!error)
		return server;
	kfree(server);
	return ERR_PTR(error);
}

/* ---- the option ---- */

static int add_by_option(const char *option)
{
	unsigned int id = next_id;
	struct virtio_uml_server *server = server_of(option, &id);
	int error;

	if (IS_ERR(server))
		return PTR_ERR(server);
	error = add_device(id, server);
	kfree(server);
	return error;
}

static const char *why_not(int error)
{
	return error == -ENOSPC ? "there are 32 devices already" :
	       error == -EEXIST ? "another device has that platform id" :
	       "give <socket>:<virtio id>[:<platform id>], with virtio id 2 for a disk";
}

static int set_device(const char *option, const struct kernel_param *parameter)
{
	int error;

	mutex_lock(&lock);
	error = add_by_option(option);
	mutex_unlock(&lock);
	if (error)
		host_fatal("virtio_uml.device=%s: %s", option, why_not(error));
	return error;
}

static int get_devices(char *page, const struct kernel_param *parameter)
{
	int length = 0;

	mutex_lock(&lock);
	for (int slot = 0; slot < DEVICES; slot++)
		if (devices[slot]) {
			const struct virtio_uml_server *server =
				dev_get_platdata(&devices[slot]->dev);

			length += scnprintf(page + length, PAGE_SIZE - length, "%s:%u:%d\n",
					    server->socket, server->virtio_id, devices[slot]->id);
		}
	mutex_unlock(&lock);
	return length;
}

/*
 * Root in the guest can read it and not write it, by no change of rights either. To write it would
 * be to connect ./linux to any socket of the user on the host, and to give all of guest RAM to it.
 */
static const struct kernel_param_ops device_ops = { .set = set_device, .get = get_devices };
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "virtio_uml."
device_param_cb(device, &device_ops, NULL, 0400);

/* ---- the management console ---- */

/* Whether a disk that is @dev, or below it, is open. */
static int is_open(struct device *dev, void *unused)
{
	if (IS_ENABLED(CONFIG_BLOCK) && dev->class == &block_class)
		return disk_openers(dev_to_disk(dev)) > 0;
	return device_for_each_child(dev, NULL, is_open);
}

/*
 * A program that opens the disk after this has one that was pulled out: Linux ends its requests
 * with errors.
 */
static bool device_is_open(struct platform_device *platform)
{
	flush_delayed_fput();		/* a kernel thread may have closed it just now */
	return is_open(&platform->dev, NULL);
}

static int parse_unit(const char *unit, unsigned int *id, struct seq_buf *answer)
{
	if (*unit >= '0' && *unit <= '9' && !kstrtouint(unit, 10, id) && *id <= LAST_ID)
		return 0;
	seq_buf_printf(answer, "virtio_uml%s: give a number, as in virtio_uml0", unit);
	return -EINVAL;
}

/* A device whose server cannot be used goes again. */
static int judge(unsigned int id, struct seq_buf *answer)
{
	struct platform_device **slot = find_slot(id);
	struct virtio_uml_server *server = dev_get_platdata(&(*slot)->dev);
	const char *fault = virtio_uml_fault(*slot);

	server->why = NULL;
	if (!fault)
		return 0;
	if (!seq_buf_used(answer))
		seq_buf_printf(answer, "virtio_uml%u=%s: the server %s", id, server->socket, fault);
	remove_device(slot);
	return -EIO;
}

static int add_by_request(unsigned int id, const struct virtio_uml_server *server,
			  struct seq_buf *answer)
{
	int error = add_device(id, server);

	if (!error)
		return judge(id, answer);
	if (error == -EEXIST && device_is_open(*find_slot(id)))
		seq_buf_puts(answer, MCONSOLE_BUSY);
	else if (error == -EEXIST)
		seq_buf_printf(answer, "virtio_uml%u has a server; remove virtio_uml%u first", id,
			       id);
	else if (error == -ENOSPC)
		seq_buf_printf(answer, "virtio_uml%u: there are %d devices already; remove one", id,
			       DEVICES);
	return error;
}

static int virtio_set(const char *unit, const char *value, struct seq_buf *answer)
{
	struct virtio_uml_server *server;
	unsigned int id, named;
	int error = parse_unit(unit, &id, answer);

	if (error)
		return error;
	named = id;
	server = server_of(value, &named);
	if (PTR_ERR(server) == -EINVAL || (!IS_ERR(server) && named != id))
		seq_buf_printf(answer,
			       "virtio_uml%u=%s: give <socket>:<virtio id>, with 2 for a disk", id,
			       value);
	if (IS_ERR(server))
		return PTR_ERR(server);
	error = -EINVAL;
	if (named == id) {
		server->why = answer;
		mutex_lock(&lock);
		error = add_by_request(id, server, answer);
		mutex_unlock(&lock);
	}
	kfree(server);
	return error;
}

/* Both run with lock held. */
static int show(struct platform_device **slot, struct seq_buf *answer)
{
	const struct virtio_uml_server *server = dev_get_platdata(&(*slot)->dev);

	seq_buf_printf(answer, "%s:%u", server->socket, server->virtio_id);
	return 0;
}

static int take_away(struct platform_device **slot, struct seq_buf *answer)
{
	if (device_is_open(*slot)) {
		seq_buf_puts(answer, MCONSOLE_BUSY);
		return -EBUSY;
	}
	remove_device(slot);
	return 0;
}

static int with_device(const char *unit, struct seq_buf *answer,
		       int (*action)(struct platform_device **slot, struct seq_buf *answer))
{
	struct platform_device **slot;
	unsigned int id;
	int error = parse_unit(unit, &id, answer);

	if (error)
		return error;
	mutex_lock(&lock);
	slot = find_slot(id);
	if (slot) {
		error = action(slot, answer);
	} else {
		seq_buf_printf(answer, "virtio_uml%u: there is no such device", id);
		error = -ENODEV;
	}
	mutex_unlock(&lock);
	return error;
}

static int virtio_query(const char *unit, struct seq_buf *answer)
{
	return with_device(unit, answer, show);
}

static int virtio_take_away(const char *unit, struct seq_buf *answer)
{
	return with_device(unit, answer, take_away);
}

static struct mconsole_device virtio_device = {
	.name = "virtio_uml",
	.set = virtio_set,
	.query = virtio_query,
	.remove = virtio_take_away,
};

static int __init register_device(void)
{
	mconsole_register(&virtio_device);
	return 0;
}
late_initcall(register_device);
