// SPDX-License-Identifier: GPL-2.0-only
/*
 * Syscall patching: system calls without a host signal.
 *
 *  1. A system call instruction costs a signal of the host, its frame, and the return from it. A
 *     jump into the stub (fast_entry in host/engine.h) costs neither. So where a program makes the
 *     same call again and again, the instruction before it, which loads the number, becomes a jump
 *     to a trampoline. That does what the instruction did and enters the stub (patch_plan.c). One
 *     simple instruction may lie between the two. It and the system call instruction stay: restarts
 *     and jumps to them find them.
 *  2. What is changed is a copy of the page, which only the host maps, in place of the program's
 *     (hostmap.c). The program's own page, what debuggers read and write, and what other processes
 *     have are as they were. Only a program that reads its own instructions sees the jump. Pages of
 *     files are treated so that are mapped privately and cannot be written. POSIX leaves open
 *     whether such a mapping sees later changes of its file. A copy is zapped when its page is
 *     unmapped or its rights change.
 *  3. Trampolines are in the last page of the vDSO (vdso_map.c). Where that is too far for a jump,
 *     as from a program whose libraries are elsewhere, they are in a page below the site, mapped
 *     when it is needed. Both are again copies that only this process has. A trampoline knows where
 *     its program continues.
 *  4. No instruction pointer in a trampoline or a detour is ever shown: syscall_patch_roll_back()
 *     makes it the site's, whose jump comes again. What was changed until then, %rcx, is lost at a
 *     system call anyway, and is not read by what the trampoline does again.
 *  5. A program that is stepped through, has hardware breakpoints, or changes the pages of its
 *     trampolines gets its own pages back.
 *
 * Runs in the context of the process, the mmap lock held to change anything; syscall_patch_pfn()
 * with interrupts off.
 */
#include <linux/gfp.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/jhash.h>
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <host/engine.h>
#include <asm/machine.h>
#include "patch_plan.h"
#include "syscall_patch.h"

#define WARM	64		/* system calls of a program before anything is remembered of them */
#define HOT	16		/* calls of one site before it is changed */
#define SEEN	64		/* sites that are counted at a time */
#define TEXTS	16		/* pages with sites in them, at most */
#define TRAMPOLINE	32		/* bytes; the first holds the stub's address */
#define SITES	120		/* in a page; so struct trampolines is no larger than 2048 bytes */
#define FAR	(SZ_2G - SZ_64K)	/* for a jump */

#define ZAPPED	(~0UL)	/* no address of a page */

struct text_page {
	unsigned long address, pfn;
	u32 sum;			/* of the page that was copied: its frame may come to hold another one */
	struct page *copy;
};

struct patched_site {
	unsigned long address;		/* of the first byte that was changed; 0: zapped */
	unsigned long detour;		/* of the jump that the site's own, a short one, leads to; 0: none */
};

struct trampolines {
	unsigned long at;		/* ZAPPED: not mapped */
	struct page *page;		/* NULL: none yet */
	unsigned int count;
	struct patched_site sites[SITES];	/* in the order of the trampolines */
};

struct syscall_patches {
	bool stopped;
	unsigned int texts_count;
	unsigned long entry;		/* in the stub */
	struct trampolines near;		/* in the vDSO */
	struct trampolines *far;		/* where that is too far; NULL: none yet */
	struct text_page texts[TEXTS];
	struct {
		unsigned long ip;
		unsigned int calls;
	} seen[SEEN];
};

static bool wanted = true;

static int __init take_patching(const char *name, const char *value)
{
	wanted = option_switch(name, value);
	return 0;
}

static int __init take_syscall_patch(char *value)
{
	return take_patching("syscall_patch", value);
}
early_param("syscall_patch", take_syscall_patch);

/* Its name before. */
static int __init take_call_sites(char *value)
{
	return take_patching("call_sites", value);
}
early_param("call_sites", take_call_sites);

static bool put_distance(u8 *at, unsigned long from, unsigned long to)
{
	long distance = to - from;
	s32 stored = distance;

	memcpy(at, &stored, sizeof(stored));
	return stored == distance;
}

/* ---- 3. trampolines ---- */

/* What was at the site; lea ip(%rip), %rcx; jmp *entry(%rip). */
static bool write_trampoline(struct trampolines *trampolines, unsigned int slot,
			     const u8 *original, int length, unsigned long ip)
{
	u8 *trampoline = page_address(trampolines->page) + slot * TRAMPOLINE, *to = trampoline;
	static const u8 load_rcx[] = { 0x48, 0x8d, 0x0d }, jump[] = { 0xff, 0x25 };
	unsigned long at = trampolines->at + slot * TRAMPOLINE;
	bool reached;

	memcpy(to, original, length);
	to += length;
	memcpy(to, load_rcx, sizeof(load_rcx));
	reached = put_distance(to + 3, at + length + 7, ip);
	memcpy(to + 7, jump, sizeof(jump));
	return put_distance(to + 9, at + length + 13, trampolines->at) && reached;
}

static bool is_far(unsigned long address, unsigned long from)
{
	return max(address, from) - min(address, from) > FAR;
}

/* At the place that a parent has chosen, if there is one. */
static struct trampolines *have_far(struct mm_struct *mm, struct syscall_patches *patches,
				    unsigned long ip)
{
	if (patches->far)
		return patches->far;
	if (!mm->context.far_trampolines)
		mm->context.far_trampolines = vdso_map_trampolines(mm, ip);
	if (!mm->context.far_trampolines)
		return NULL;
	patches->far = kzalloc(sizeof(*patches->far), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (patches->far)
		patches->far->at = mm->context.far_trampolines;
	return patches->far;
}

/* The page for trampolines of the site at ip; NULL: none is available. */
static struct trampolines *have_trampolines(struct mm_struct *mm, struct syscall_patches *patches,
					    unsigned long ip)
{
	bool far = is_far(patches->near.at, ip);
	struct trampolines *trampolines = far ? have_far(mm, patches, ip) : &patches->near;
	const u8 trap = 0xcc;

	if (!trampolines || is_far(trampolines->at, ip) || trampolines->count == SITES ||
	    !vdso_has_trampolines(mm, trampolines->at))
		return NULL;
	if (trampolines->page)
		return trampolines;
	trampolines->page = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!trampolines->page)
		return NULL;
	memset(page_address(trampolines->page), trap, PAGE_SIZE);
	*(unsigned long *)page_address(trampolines->page) = patches->entry;
	hostmap_again(mm, trampolines->at);
	return trampolines;
}

/* Those that are mapped at address; NULL: none. */
static struct trampolines *trampolines_at(struct syscall_patches *patches, unsigned long address)
{
	if (address == patches->near.at)
		return &patches->near;
	return patches->far && address == patches->far->at ? patches->far : NULL;
}

/* ---- 2. pages ---- */

static u32 sum_of(unsigned long pfn)
{
	return jhash2(page_address(pfn_to_page(pfn)), PAGE_SIZE / sizeof(u32), 0);
}

static struct text_page *text_at(struct syscall_patches *patches, unsigned long address)
{
	struct text_page *text;

	for (text = patches->texts; text < patches->texts + patches->texts_count; text++)
		if (text->address == address)
			return text;
	return NULL;
}

/* One that was zapped, if the host surely maps its copy no more; or a new one; NULL: neither. */
static struct text_page *free_text(struct mm_struct *mm, struct syscall_patches *patches)
{
	struct text_page *text = text_at(patches, ZAPPED);

	if (text)
		return mm->context.stale_count || mm->context.rights_stale ? NULL : text;
	if (patches->texts_count == TEXTS)
		return NULL;
	text = &patches->texts[patches->texts_count];
	text->address = ZAPPED;
	text->copy = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!text->copy)
		return NULL;
	patches->texts_count++;
	return text;
}

/* The copy of the page that sites at address are changed in; NULL: none is available. */
static struct page *have_copy(struct mm_struct *mm, struct syscall_patches *patches,
			      unsigned long address, struct page *page)
{
	struct text_page *text = text_at(patches, address);

	if (text)
		return text->pfn == page_to_pfn(page) ? text->copy : NULL;
	text = free_text(mm, patches);
	if (!text)
		return NULL;
	memcpy(page_address(text->copy), page_address(page), PAGE_SIZE);
	text->pfn = page_to_pfn(page);
	text->sum = sum_of(text->pfn);
	barrier();
	text->address = address;
	return text->copy;
}

/* With a reference; NULL: not one that may be replaced. */
static struct page *page_of_file(struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *area = vma_lookup(mm, address);
	struct page *page;

	if (!area || !area->vm_file || (area->vm_flags & (VM_SHARED | VM_WRITE | VM_EXEC)) != VM_EXEC)
		return NULL;
	if (get_user_pages(address, 1, 0, &page) != 1)
		return NULL;
	if (!PageAnon(page))
		return page;
	put_page(page);
	return NULL;
}

/**
 * syscall_patch_pfn - the page of RAM that the host maps at address, where guest code may read and
 * execute pfn
 */
unsigned long syscall_patch_pfn(struct mm_struct *mm, unsigned long address, unsigned long pfn)
{
	struct syscall_patches *patches = mm->context.patches;
	struct trampolines *trampolines = trampolines_at(patches, address);
	struct text_page *text;

	if (trampolines)
		return trampolines->page ? page_to_pfn(trampolines->page) : pfn;
	text = patches->stopped ? NULL : text_at(patches, address);
	return text && text->pfn == pfn && text->sum == sum_of(pfn) ? page_to_pfn(text->copy) : pfn;
}

/* Whether the host may map another page at address than the tables say. */
bool syscall_patch_covers(struct mm_struct *mm, unsigned long address)
{
	struct syscall_patches *patches = mm->context.patches;

	return trampolines_at(patches, address) || text_at(patches, address);
}

static void zap_sites(struct trampolines *trampolines, unsigned long page)
{
	unsigned int i;

	for (i = 0; i < trampolines->count; i++)
		if ((trampolines->sites[i].address & PAGE_MASK) == page)
			trampolines->sites[i] = (struct patched_site) { 0, 0 };
}

/* Pages in [start, end) are no longer what they were. Interrupts may be off. */
void syscall_patch_zap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct syscall_patches *patches = mm->context.patches;
	struct text_page *text;

	for (text = patches->texts; text < patches->texts + patches->texts_count; text++) {
		if (text->address < start || text->address >= end)
			continue;
		zap_sites(&patches->near, text->address);
		if (patches->far)
			zap_sites(patches->far, text->address);
		memset(patches->seen, 0, sizeof(patches->seen));	/* they may become hot again */
		text->address = ZAPPED;
	}
}

/* ---- changing a site ---- */

static void change(struct trampolines *trampolines, struct page *page, struct page *copy,
		   unsigned long ip, const struct patch_plan *plan)
{
	const u8 *original = page_address(page) + offset_in_page(ip);
	u8 *code = page_address(copy) + offset_in_page(ip);
	const struct patched_site site = {
		ip + plan->start, plan->detour ? ip + plan->detour : 0
	};
	unsigned int slot = trampolines->count + 1;
	unsigned long trampoline = trampolines->at + slot * TRAMPOLINE;
	int jump = plan->detour ? plan->detour : plan->start;
	u8 bytes[JUMP_LENGTH] = { 0xe9 };
	const u8 detour[SHORT_LENGTH] = { 0xeb, plan->detour - plan->start - SHORT_LENGTH };

	if (!write_trampoline(trampolines, slot, original + plan->start, plan->length, ip) ||
	    !put_distance(bytes + 1, ip + jump + JUMP_LENGTH, trampoline))
		return;
	trampolines->sites[trampolines->count++] = site;
	memcpy(code + jump, bytes, sizeof(bytes));
	if (plan->detour)
		memcpy(code + plan->start, detour, sizeof(detour));
	count_patched_site();
}

/*
 * By restarts, and jumps right to its system call instruction, a site may be hot again that was
 * changed already.
 */
static bool is_changed(const struct trampolines *trampolines, unsigned long ip,
		       const struct patch_plan *plan)
{
	unsigned int i;

	for (i = 0; i < trampolines->count; i++)
		if (trampolines->sites[i].address == ip + plan->start)
			return true;
	return false;
}

static void try_site(struct mm_struct *mm, struct syscall_patches *patches, unsigned long ip,
		     unsigned long number)
{
	unsigned long address = ip & PAGE_MASK;
	struct trampolines *trampolines = NULL;
	struct page *page, *copy;
	struct patch_plan plan;

	page = page_of_file(mm, address);
	if (!page)
		return;
	if (patch_plan(page_address(page) + offset_in_page(ip), number, &plan))
		trampolines = have_trampolines(mm, patches, ip);
	if (trampolines && !is_changed(trampolines, ip, &plan)) {
		copy = have_copy(mm, patches, address, page);
		if (copy) {
			change(trampolines, page, copy, ip, &plan);
			hostmap_again(mm, address);
		}
	}
	put_page(page);
}

static bool may_change(const struct syscall_patches *patches, unsigned long ip)
{
	return !patches->stopped && offset_in_page(ip) >= PATCH_PLAN_BEFORE &&
	       offset_in_page(ip) <= PAGE_SIZE - PATCH_PLAN_BEHIND;
}

static void site_is_hot(struct mm_struct *mm, struct syscall_patches *patches, unsigned long ip,
			unsigned long number)
{
	if (mmap_write_lock_killable(mm))
		return;
	if (may_change(patches, ip))
		try_site(mm, patches, ip, number);
	mmap_write_unlock(mm);
}

/* 0: the host has none, or no stub. */
static unsigned long entry_of(struct mm_struct *mm)
{
	unsigned long flags, entry = 0;

	local_irq_save(flags);
	if (mm->context.space && host_engine->fast_entry)
		entry = host_engine->fast_entry(mm->context.space);
	local_irq_restore(flags);
	return entry;
}

static struct syscall_patches *start_patching(struct mm_struct *mm)
{
	struct syscall_patches *patches;

	if (!wanted || !entry_of(mm)) {
		mm->context.trampolines = 0;
		return NULL;
	}
	patches = kzalloc(sizeof(*patches), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!patches || mmap_write_lock_killable(mm)) {
		kfree(patches);
		return NULL;
	}
	patches->entry = entry_of(mm);
	patches->near.at = mm->context.trampolines;
	/* All this may have changed while it slept. */
	if (mm->context.patches || !patches->near.at || !patches->entry)
		kfree(patches);
	else
		mm->context.patches = patches;
	mmap_write_unlock(mm);
	return mm->context.patches;
}

/**
 * syscall_patch_seen - a system call instruction was executed
 * @ip: the address behind it
 */
void syscall_patch_seen(unsigned long ip, unsigned long number)
{
	struct mm_struct *mm = current->mm;
	struct syscall_patches *patches = mm->context.patches;
	typeof(&patches->seen[0]) seen;

	if (!mm->context.trampolines || (!patches && ++mm->context.calls_seen < WARM))
		return;
	if (!patches)
		patches = start_patching(mm);
	if (!patches || patches->stopped)
		return;
	seen = &patches->seen[hash_long(ip, ilog2(SEEN))];
	if (seen->ip != ip) {
		seen->ip = ip;
		seen->calls = 0;
	}
	if (++seen->calls == HOT)
		site_is_hot(mm, patches, ip, number);
}

/* ---- 4. and 5. ---- */

static const struct patched_site *site_with(const struct trampolines *trampolines, unsigned long ip)
{
	unsigned long slot = (ip - trampolines->at) / TRAMPOLINE;
	unsigned int i;

	if (slot > 0 && slot <= trampolines->count)
		return &trampolines->sites[slot - 1];
	for (i = 0; i < trampolines->count; i++)
		if (trampolines->sites[i].detour && trampolines->sites[i].detour == ip)
			return &trampolines->sites[i];
	return NULL;
}

/**
 * syscall_patch_roll_back - what guest code trapped in may be none of its instructions
 * @stepping: it has the trap flag set, or may have
 */
void syscall_patch_roll_back(struct pt_regs *regs, bool stepping)
{
	struct syscall_patches *patches = current->mm->context.patches;
	const struct patched_site *site;

	if (likely(!patches))
		return;
	site = site_with(&patches->near, regs->ip);
	if (!site && patches->far)
		site = site_with(patches->far, regs->ip);
	if (!site || !site->address)
		return;
	regs->ip = site->address;
	if (stepping)
		syscall_patch_stop(current->mm);
}

/**
 * syscall_patch_fault - a page fault that the program did not earn, since the rights of its vDSO
 * are not what they were
 *
 * Returns true if it was served: the program continues at its site, without trampolines.
 */
bool syscall_patch_fault(unsigned long address)
{
	struct mm_struct *mm = current->mm;
	struct syscall_patches *patches = mm->context.patches;
	bool lost;

	if (likely(!patches) || !trampolines_at(patches, address & PAGE_MASK) || patches->stopped)
		return false;
	if (mmap_read_lock_killable(mm))
		return false;
	lost = !vdso_has_trampolines(mm, address & PAGE_MASK);
	mmap_read_unlock(mm);
	if (lost)
		syscall_patch_stop(mm);
	return lost;
}

void syscall_patch_stop(struct mm_struct *mm)
{
	struct syscall_patches *patches = mm->context.patches;
	unsigned int i;

	if (!patches || patches->stopped)
		return;
	patches->stopped = true;
	for (i = 0; i < patches->texts_count; i++)
		if (patches->texts[i].address != ZAPPED)
			hostmap_again(mm, patches->texts[i].address);
}

static void drop_trampolines(struct mm_struct *mm, struct trampolines *trampolines)
{
	if (trampolines->page)
		hostmap_again(mm, trampolines->at);
	trampolines->at = ZAPPED;
	trampolines->count = 0;
}

/* Trampolines go, or move. No thread is in one: each was rolled back when it trapped. */
void syscall_patch_drop_trampolines(struct mm_struct *mm)
{
	struct syscall_patches *patches = mm->context.patches;

	mm->context.trampolines = mm->context.far_trampolines = 0;
	syscall_patch_stop(mm);
	if (!patches)
		return;
	drop_trampolines(mm, &patches->near);
	if (patches->far)
		drop_trampolines(mm, patches->far);
}

/* No stub is left that maps them. */
void syscall_patch_free(struct mm_struct *mm)
{
	struct syscall_patches *patches = mm->context.patches;
	unsigned int i;

	if (!patches)
		return;
	for (i = 0; i < patches->texts_count; i++)
		__free_page(patches->texts[i].copy);
	if (patches->near.page)
		__free_page(patches->near.page);
	if (patches->far && patches->far->page)
		__free_page(patches->far->page);
	kfree(patches->far);
	kfree(patches);
	mm->context.patches = NULL;
}
