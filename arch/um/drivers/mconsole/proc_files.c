// SPDX-License-Identifier: GPL-2.0-only
/*
 * The management console: "proc <file>" sends what a file below /proc says, of the first process's
 * namespaces, whether the guest has mounted it or not.
 *
 * Some of these files can be read to a program's memory only. So a reader has an address space,
 * with a page at READ_AT.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>
#include <host/process.h>

#include "request.h"

#define READ_AT		0x100000UL

static struct vfsmount *proc_mount(void)
{
	static DEFINE_MUTEX(lock);
	static struct vfsmount *mount;
	struct vfsmount *result;

	mutex_lock(&lock);
	if (!mount) {
		struct file_system_type *type = get_fs_type("proc");

		result = type ? kern_mount(type) : ERR_PTR(-ENODEV);
		if (type)
			put_filesystem(type);
		if (IS_ERR(result))
			goto unlock;
		mount = result;
	}
	result = mount;
unlock:
	mutex_unlock(&lock);
	return result;
}

/* Reads a page's worth at most; a file that would make its reader wait is at its end. */
static ssize_t read_part(struct file *file, char *page, loff_t *place)
{
	char __user *to = (char __user *)READ_AT;
	ssize_t got = vfs_read(file, to, PAGE_SIZE, place);

	if (got > 0 && copy_from_user(page, to, got))
		return -EFAULT;
	return got == -EAGAIN ? 0 : got;
}

static int send_file(struct mconsole_request *request, struct file *file, char *page)
{
	loff_t place = 0;
	ssize_t got;
	int error = 0;

	while (!error && (got = read_part(file, page, &place)) > 0)
		error = mconsole_part(request, page, got);
	return error ?: got;
}

/* Runs send_file() with an address space. */
static int send_from_mm(struct mconsole_request *request, struct file *file)
{
	char *page = (char *)__get_free_page(GFP_KERNEL);
	struct mm_struct *mm = page ? mm_alloc() : NULL;
	int error = -ENOMEM;

	if (mm) {
		kthread_use_mm(mm);
		error = vm_mmap(NULL, READ_AT, PAGE_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0) == READ_AT ?
			send_file(request, file, page) : -ENOMEM;
		kthread_unuse_mm(mm);
		mmput(mm);
	}
	free_page((unsigned long)page);
	return error;
}

void mconsole_proc(struct mconsole_request *request)
{
	const char *name = strim(request->arguments);
	struct vfsmount *proc = proc_mount();
	struct file *file;
	int error;

	while (*name == '/')
		name++;
	file = IS_ERR(proc) ? ERR_CAST(proc) :
	       file_open_root_mnt(proc, name, O_RDONLY | O_NONBLOCK | O_LARGEFILE, 0);
	if (IS_ERR(file)) {
		mconsole_answer(request, PTR_ERR(file), "/proc/%s: %s", name,
				host_error_text(PTR_ERR(file)));
		return;
	}
	error = send_from_mm(request, file);
	fput(file);
	if (error)
		mconsole_answer(request, error, "/proc/%s: %s", name, host_error_text(error));
	else
		mconsole_done(request);
}
