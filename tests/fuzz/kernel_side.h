/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names of Linux that the kernel side of the management console uses, natively, so that it is
 * compiled as it is, with sanitizers. One thread runs all of it: locks are nothing. Time passes
 * in a wait. Functions that have no body here are in pretend_guest.c.
 *
 * Included before the first line of each source file. Its own includes of Linux's headers find
 * those of the host's programming interface, or empty files.
 */
#ifndef KERNEL_SIDE_H
#define KERNEL_SIDE_H

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <host/vcpu.h>		/* as asm/irqflags.h does */

#define CONFIG_PROC_FS 1
#define IS_ENABLED(option) (!strcmp(#option, "CONFIG_MAGIC_SYSRQ"))

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#define static_assert _Static_assert
#define __user
#define __init
#define __initdata
#define __refdata
#define __printf(text, first) __attribute__((format(printf, text, first)))
#define EXPORT_SYMBOL_GPL(name) extern typeof(name) name
#define READ_ONCE(place) (*(const volatile typeof(place) *)&(place))
#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))
#define min(a, b) ({ typeof(a) a_ = (a); typeof(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b) ({ typeof(a) a_ = (a); typeof(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define min_t(type, a, b) min((type)(a), (type)(b))

#define ERESTARTSYS 512

/* ---- start: what is registered, in the order in which the files are linked ---- */

typedef int (*initcall)(void);
#define core_initcall(function) \
	static initcall initcall_##function __attribute__((section("initcalls"), used)) = function
#define console_initcall core_initcall
#define device_initcall core_initcall
#define late_initcall core_initcall
#define early_param __setup
#define __setup(word, function) \
	static int (*const option_##function)(char *) __attribute__((used)) = function

/* ---- errors in pointers ---- */

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline bool IS_ERR(const void *pointer)
{
	return (unsigned long)pointer >= -4095UL;
}

static inline long PTR_ERR(const void *pointer)
{
	return (long)pointer;
}

static inline int PTR_ERR_OR_ZERO(const void *pointer)
{
	return IS_ERR(pointer) ? PTR_ERR(pointer) : 0;
}

/* ---- memory ---- */

#define GFP_KERNEL 0
#define GFP_ATOMIC 0
#define kmalloc(size, flags) malloc(size)
#define kzalloc(size, flags) calloc(1, size)
#define kvmalloc_array(count, size, flags) reallocarray(NULL, count, size)
#define kstrdup(text, flags) strdup(text)
#define kfree(pointer) free((void *)(pointer))
#define kvfree(pointer) free((void *)(pointer))

static inline void *kmemdup(const void *from, size_t size, int flags)
{
	void *to = malloc(size);

	return to ? memcpy(to, from, size) : NULL;
}

#define SZ_1K 1024
#define SZ_1M (1 << 20)
#define PAGE_ALIGN(size) (((size) + 4095) & ~4095UL)

/* ---- text; Linux's characters are those of Latin-1 ---- */

static inline int isspace(int c)
{
	c &= 0xff;
	return (c >= '\t' && c <= '\r') || c == ' ' || c == 0xa0;
}

static inline int isdigit(int c)
{
	return c >= '0' && c <= '9';
}

static inline int toupper(int c)
{
	return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

static inline char *skip_spaces(const char *text)
{
	while (isspace(*text))
		text++;
	return (char *)text;
}

static inline char *strim(char *text)
{
	size_t length = strlen(text);

	while (length && isspace(text[length - 1]))
		text[--length] = '\0';
	return skip_spaces(text);
}

static inline bool strstarts(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static inline ssize_t copy_text(char *to, const char *from, size_t size)
{
	size_t length = strlen(from);

	if (!size)
		return -E2BIG;
	memcpy(to, from, min(length, size - 1));
	to[min(length, size - 1)] = '\0';
	return length < size ? (ssize_t)length : -E2BIG;
}

#define SIZE_OF(to, size, ...) size
#define strscpy(to, from, ...) copy_text(to, from, SIZE_OF(to, ##__VA_ARGS__, sizeof(to)))

static inline size_t append_text(char *to, const char *from, size_t size)
{
	size_t length = strnlen(to, size);

	copy_text(to + length, from, size - length);
	return length + strlen(from);
}
#define strlcat append_text

static inline int vscnprintf(char *to, size_t size, const char *format, va_list arguments)
{
	int length = vsnprintf(to, size, format, arguments);

	return length < (int)size ? length : (int)size - 1;
}

static inline int __printf(3, 4) scnprintf(char *to, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vscnprintf(to, size, format, arguments);
	va_end(arguments);
	return length;
}

static inline void __printf(1, 2) print(const char *format, ...)
{
	char line[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
}
#define pr_err print
#define pr_info print
#define pr_notice print
#define pr_warn print

/* A number and perhaps one line feed, or an error. */
static inline int parse_number(const char *text, unsigned int base, bool has_sign,
			       unsigned long most, unsigned long *value)
{
	char *end;

	if (!isdigit(text[(has_sign && *text == '-') || *text == '+']))
		return -EINVAL;
	errno = 0;
	*value = strtoul(text + (*text == '-' || *text == '+'), &end, base);
	if (end[*end == '\n'])
		return -EINVAL;
	return errno || *value > most ? -ERANGE : 0;
}

static inline int kstrtouint(const char *text, unsigned int base, unsigned int *result)
{
	unsigned long value;
	int error = parse_number(text, base, false, UINT_MAX, &value);

	if (!error)
		*result = value;
	return error;
}

static inline int kstrtoul(const char *text, unsigned int base, unsigned long *result)
{
	unsigned long value;
	int error = parse_number(text, base, false, ULONG_MAX, &value);

	if (!error)
		*result = value;
	return error;
}

static inline int kstrtoint(const char *text, unsigned int base, int *result)
{
	unsigned long value;
	int error = parse_number(text, base, true, INT_MAX, &value);

	if (!error)
		*result = *text == '-' ? -(int)value : (int)value;
	return error;
}

#define simple_strtoul strtoul
#define simple_strtoull strtoull

struct seq_buf {
	char *buffer;
	size_t size, len;		/* len > size: something did not fit */
};

static inline void seq_buf_init(struct seq_buf *s, char *buffer, unsigned int size)
{
	*s = (struct seq_buf) { .buffer = buffer, .size = size };
}

static inline unsigned int seq_buf_used(struct seq_buf *s)
{
	return min(s->len, s->size);
}

static inline int seq_buf_vprintf(struct seq_buf *s, const char *format, va_list arguments)
{
	size_t room = s->len < s->size ? s->size - s->len : 0;
	int length = room ? vsnprintf(s->buffer + s->len, room, format, arguments) : 0;

	s->len = room && (size_t)length < room ? s->len + length : s->size + 1;
	return s->len > s->size ? -1 : 0;
}

static inline int __printf(2, 3) seq_buf_printf(struct seq_buf *s, const char *format, ...)
{
	va_list arguments;
	int result;

	va_start(arguments, format);
	result = seq_buf_vprintf(s, format, arguments);
	va_end(arguments);
	return result;
}

static inline int seq_buf_puts(struct seq_buf *s, const char *text)
{
	return seq_buf_printf(s, "%s", text);
}

static inline const char *seq_buf_str(struct seq_buf *s)
{
	if (s->size)
		s->buffer[min(s->len, s->size - 1)] = '\0';
	return s->size ? s->buffer : "";
}

/* ---- lists ---- */

struct list_head {
	struct list_head *next, *prev;
};
#define LIST_HEAD(name) struct list_head name = { &name, &name }

static inline void list_add_tail(struct list_head *new, struct list_head *head)
{
	new->next = head;
	new->prev = head->prev;
	head->prev->next = new;
	head->prev = new;
}
#define list_for_each_entry(at, head, member)				\
	for (at = container_of((head)->next, typeof(*at), member);	\
	     &at->member != (head);					\
	     at = container_of(at->member.next, typeof(*at), member))

/* ---- locks and counters ---- */

typedef struct {
	int unused;
} spinlock_t;
struct mutex {
	int unused;
};
#define DEFINE_SPINLOCK(name) spinlock_t name
#define DEFINE_MUTEX(name) struct mutex name
#define spin_lock_init(lock) ((void)(lock))
#define spin_lock(lock) ((void)(lock))
#define spin_unlock(lock) ((void)(lock))
#define spin_lock_irq(lock) ((void)(lock))
#define spin_unlock_irq(lock) ((void)(lock))
#define spin_lock_irqsave(lock, flags) ((void)(lock), (void)((flags) = 0))
#define spin_trylock_irqsave(lock, flags) ((void)(lock), (flags) = 0, true)
#define spin_unlock_irqrestore(lock, flags) ((void)(lock), (void)(flags))
#define mutex_lock(lock) ((void)(lock))
#define mutex_unlock(lock) ((void)(lock))
#define rcu_read_lock()
#define rcu_read_unlock()
#define console_lock()
#define console_unlock()
#define oops_in_progress 0

typedef struct {
	int counter;
} atomic_t;
#define ATOMIC_INIT(value) { value }

static inline bool atomic_add_unless(atomic_t *counter, int more, int not)
{
	if (counter->counter == not)
		return false;
	counter->counter += more;
	return true;
}

static inline void atomic_dec(atomic_t *counter)
{
	counter->counter--;
}

/* ---- time, interrupts, work ---- */

#define NSEC_PER_SEC 1000000000L
#define NSEC_PER_MSEC 1000000L
#define DIV_ROUND_UP_ULL(value, by) (((value) + (by) - 1) / (by))
#define HZ 100
#define MAX_SCHEDULE_TIMEOUT LONG_MAX
#define MAX_JIFFY_OFFSET ((LONG_MAX >> 1) - 1)
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
extern unsigned long jiffies;
void schedule_timeout_uninterruptible(long timeout);
#define cond_resched()

typedef int irqreturn_t;
#define IRQ_HANDLED 1
int request_irq(unsigned int irq, irqreturn_t (*handler)(int, void *), unsigned long flags,
		const char *name, void *data);

struct work_struct {
	void (*run)(struct work_struct *work);
	struct work_struct *next;
};
struct delayed_work {
	struct work_struct work;
};
struct workqueue_struct;
#define WQ_UNBOUND 0
#define WQ_UNBOUND_MAX_ACTIVE 0
#define alloc_workqueue(name, flags, most) ((struct workqueue_struct *)name)
#define INIT_WORK(work, function) ((void)((work)->run = (function)))
void queue_work(struct workqueue_struct *queue, struct work_struct *work);

typedef struct {
	int unused;
} wait_queue_head_t;
typedef struct {
	int unused;
} wait_queue_entry_t;
typedef struct {
	int unused;
} poll_table;
struct completion {
	int unused;
};

/* ---- processes and the log ---- */

struct task_struct;
struct pid;
extern int init_pid_ns;
struct task_struct *find_task_by_pid_ns(int pid, void *namespace);
#define get_task_struct(task)
#define put_task_struct(task)
void sched_show_task(struct task_struct *task);

#define valid_signal(number) ((number) <= 64)
#define SIGHUP 1
#define SIGKILL 9
#define SIGCONT 18

struct kmsg_dump_iter {
	u64 cur_seq, next_seq;
};
void kmsg_dump_rewind(struct kmsg_dump_iter *log);
bool kmsg_dump_get_line(struct kmsg_dump_iter *log, bool syslog, char *line, size_t size,
			size_t *length);
struct new_utsname *init_utsname(void);
void machine_halt(void);
void machine_restart(char *command);
void ctrl_alt_del(void);
void __handle_sysrq(u8 key, bool check);
void ksys_sync(void);

/* ---- files ---- */

struct file;
struct file *get_file(struct file *file);
ssize_t kernel_read(struct file *file, void *buffer, size_t count, loff_t *place);
ssize_t kernel_write(struct file *file, const void *buffer, size_t count, loff_t *place);

/* ---- block devices and terminals ---- */

struct blk_mq_tag_set {
	int unused;
};
struct tty_driver;
struct tty_port {
	int count;
	spinlock_t lock;
	struct mutex mutex;
};
#define tty_port_initialized(port) ((void)(port), 0)
#define TTY_DRIVER_TYPE_CONSOLE 1
#define TTY_DRIVER_TYPE_SERIAL 3
#define SERIAL_TYPE_NORMAL 1

#endif
