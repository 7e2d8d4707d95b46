// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's access to guest memory.
 *
 * Page by page: find the entry in the guest's tables, with its table locked so that the page stays,
 * and copy through the linear map. Where the entry does not allow the access, fault_in() makes it
 * so, as for guest code, unless page faults are disabled. Any thread with an mm.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <asm/futex.h>
#include <uapi/linux/futex.h>
#include "kernel.h"

/* What to do with each piece; returns false to stop early. */
typedef bool (*piece_fn)(void *page, unsigned long length, void *argument);

static __always_inline bool with_piece(unsigned long address, unsigned long length, unsigned long access, piece_fn fn, void *argument, bool *go_on)
{
	struct fault fault = { address, access };
	spinlock_t *lock;
	void *page;
	int code;

	while (unlikely(!(page = touch_page(current->mm, address, access, &lock))))
		if (fault_in(&fault, &code))
			return false;
	*go_on = fn(page, length, argument);
	spin_unlock(lock);
	return true;
}

/*
 * Calls fn for every piece of [address, address + n) within a page; returns how many bytes could
 * not be reached.
 */
static __always_inline unsigned long for_each_piece(unsigned long address, unsigned long n, unsigned long access, piece_fn fn, void *argument)
{
	bool go_on = true;

	if (unlikely(!current->mm))
		return n;
	while (n && go_on) {
		unsigned long length = min(n, PAGE_SIZE - offset_in_page(address));

		if (address >= TASK_SIZE || !with_piece(address, length, access, fn, argument, &go_on))
			return n;
		address += length;
		n -= length;
	}
	return n;
}

/* A word is moved as one: others may look at it at the same time. */
static void copy_piece(void *to, const void *from, unsigned long length)
{
	switch (length) {
	case 8:
		WRITE_ONCE(*(u64 *)to, READ_ONCE(*(u64 *)from));
		break;
	case 4:
		WRITE_ONCE(*(u32 *)to, READ_ONCE(*(u32 *)from));
		break;
	case 2:
		WRITE_ONCE(*(u16 *)to, READ_ONCE(*(u16 *)from));
		break;
	case 1:
		WRITE_ONCE(*(u8 *)to, READ_ONCE(*(u8 *)from));
		break;
	default:
		memcpy(to, from, length);
	}
}

static bool copy_from(void *page, unsigned long length, void *argument)
{
	char **to = argument;

	copy_piece(*to, page, length);
	*to += length;
	return true;
}

unsigned long raw_copy_from_user(void *to, const void __user *from, unsigned long n)
{
	return for_each_piece((unsigned long)from, n, 0, copy_from, &to);
}
EXPORT_SYMBOL(raw_copy_from_user);

static bool copy_to(void *page, unsigned long length, void *argument)
{
	const char **from = argument;

	copy_piece(page, *from, length);
	*from += length;
	return true;
}

unsigned long raw_copy_to_user(void __user *to, const void *from, unsigned long n)
{
	return for_each_piece((unsigned long)to, n, FAULT_WRITE, copy_to, &from);
}
EXPORT_SYMBOL(raw_copy_to_user);

static bool clear_piece(void *page, unsigned long length, void *argument)
{
	memset(page, 0, length);
	return true;
}

unsigned long __clear_user(void __user *to, unsigned long n)
{
	return for_each_piece((unsigned long)to, n, FAULT_WRITE, clear_piece, NULL);
}
EXPORT_SYMBOL(__clear_user);

struct string {
	char *to;		/* NULL: only measure */
	long length;
	bool ended;
};

static bool string_piece(void *page, unsigned long length, void *argument)
{
	struct string *string = argument;
	char *end = memchr(page, 0, length);
	long n = end ? end - (char *)page : length;

	if (string->to)
		memcpy(string->to + string->length, page, n + !!end);
	string->length += n;
	string->ended = end;
	return !end;
}

/* As the generic one: the length without the NUL, n if there is none within n bytes, -EFAULT. */
long strncpy_from_user(char *to, const char __user *from, long n)
{
	struct string string = { to };

	might_fault();
	if (n <= 0)
		return 0;
	if (for_each_piece((unsigned long)from, n, 0, string_piece, &string) && !string.ended)
		return -EFAULT;
	return string.length;
}
EXPORT_SYMBOL(strncpy_from_user);

/* The length with the NUL, more than n if there is none within n bytes, 0 on a fault. */
long strnlen_user(const char __user *from, long n)
{
	struct string string = { };

	might_fault();
	if (n <= 0)
		return 0;
	if (for_each_piece((unsigned long)from, n, 0, string_piece, &string) && !string.ended)
		return 0;
	return string.length + 1;
}
EXPORT_SYMBOL(strnlen_user);

/* ---- futex words ---- */

struct futex_op {
	int op, operand, old;
};

static bool futex_piece(void *page, unsigned long length, void *argument)
{
	struct futex_op *f = argument;
	int old = READ_ONCE(*(int *)page), new;

	for (;;) {
		switch (f->op) {
		case FUTEX_OP_SET:
			new = f->operand;
			break;
		case FUTEX_OP_ADD:
			new = old + f->operand;
			break;
		case FUTEX_OP_OR:
			new = old | f->operand;
			break;
		case FUTEX_OP_ANDN:
			new = old & ~f->operand;
			break;
		default:
			new = old ^ f->operand;
			break;
		}
		if (try_cmpxchg((int *)page, &old, new))
			break;
	}
	f->old = old;
	return true;
}

/*
 * Page faults are disabled in both of these: a word that is not there is -EFAULT and the caller
 * faults it in.
 */
int arch_futex_atomic_op_inuser(int op, int operand, int *old, u32 __user *uaddr)
{
	struct futex_op f = { op, operand };

	if (op < FUTEX_OP_SET || op > FUTEX_OP_XOR)
		return -ENOSYS;
	if (!access_ok(uaddr, sizeof(u32)))
		return -EFAULT;
	if (for_each_piece((unsigned long)uaddr, sizeof(u32), FAULT_WRITE, futex_piece, &f))
		return -EFAULT;
	*old = f.old;
	return 0;
}

struct futex_cmpxchg {
	u32 old, new;
};

static bool cmpxchg_piece(void *page, unsigned long length, void *argument)
{
	struct futex_cmpxchg *f = argument;

	f->old = cmpxchg((u32 *)page, f->old, f->new);
	return true;
}

int futex_atomic_cmpxchg_inatomic(u32 *current_value, u32 __user *uaddr, u32 old, u32 new)
{
	struct futex_cmpxchg f = { old, new };

	if (!access_ok(uaddr, sizeof(u32)) ||
	    for_each_piece((unsigned long)uaddr, sizeof(u32), FAULT_WRITE, cmpxchg_piece, &f))
		return -EFAULT;
	*current_value = f.old;
	return 0;
}
