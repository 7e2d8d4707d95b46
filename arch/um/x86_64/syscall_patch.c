// SPDX-License-Identifier: GPL-2.0-only
/*
 * Call sites: system calls without a host signal.
 *
 *  1. A system call instruction costs a signal of the host, its frame, and the return from it; a jump into the stub (call_entry in
 *     host/engine.h) costs neither. So where a program makes the same call again and again, the instruction before it, which loads the number,
 *     becomes a jump to a thunk, which does what that instruction did and enters the stub (patch_plan.c). One simple instruction may lie between the two. It and the
 *     system call instruction stay: restarts and whoever jumps to them find them.
 *  2. What is changed is a copy of the page, which only the host maps, in place of the program's (hostmap.c). The program's own page, what
 *     debuggers read and write, and what other processes have are as they were; only a program that reads its own instructions sees the jump.
 *     Pages of files are treated so that are mapped privately and cannot be written; POSIX leaves open whether such a mapping
 *     sees later changes of its file. A copy is forgotten when its page is unmapped or its rights change.
 *  3. Thunks are in the last page of the vDSO (vdso_map.c), and where that is too far for a jump, as from a program whose libraries are elsewhere, in a
 *     page below the site, mapped when it is needed. Both are again copies of this process's own. Thunks know where they go on.
 *  4. No instruction pointer in a thunk or a detour is ever shown: call_sites_roll_back() makes it
 *     the site's, whose jump comes again. What was changed until then, %rcx, is lost at a system call
 *     anyway, and is not read by what the thunk does again.
 *  5. A program that is stepped through, has hardware breakpoints, or does something to the pages of its thunks gets its own back.
 *
 * Runs in the context of the process, the mmap lock held to change anything; call_sites_pfn() with interrupts off.
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
#define THUNK	32		/* bytes; the first holds the stub's address */
#define SITES	120		/* in a page; as many as make struct thunks no larger than 2048 bytes */
#define FAR	(SZ_2G - SZ_64K)	/* for a jump */

#define FORGOTTEN	(~0UL)	/* no address of a page */

struct text_page {
	unsigned long address, pfn;
	u32 sum;			/* of the page that was copied: its frame may come to hold another one */
	struct page *copy;
};

struct call_site {
	unsigned long address;		/* of the first byte that was changed; 0: forgotten */
	unsigned long detour;		/* of the jump that the site's own, a short one, leads to; 0: none */
};

struct thunks {
	unsigned long at;		/* FORGOTTEN: not mapped */
	struct page *page;		/* NULL: none yet */
	unsigned int count;
	struct call_site sites[SITES];	/* in the order of the thunks */
};

struct call_sites {
	bool stopped;
	unsigned int texts_count;
	unsigned long entry;		/* in the stub */
	struct thunks near;		/* in the vDSO */
	struct thunks *far;		/* where that is too far; NULL: none yet */
	struct text_page texts[TEXTS];
	struct {
		unsigned long ip;
		unsigned int calls;
	} seen[SEEN];
};

static bool wanted = true;

static int __init take_wanted(char *value)
{
	wanted = option_switch("call_sites", value);
	return 0;
}
early_param("call_sites", take_wanted);

static bool put_distance(u8 *at, unsigned long from, unsigned long to)
{
	long distance = to - from;
	s32 stored = distance;

	memcpy(at, &stored, sizeof(stored));
	return stored == distance;
}

/* ---- 3. thunks ---- */

/* What was at the site; lea ip(%rip), %rcx; jmp *entry(%rip). */
static bool write_thunk(struct thunks *thunks, unsigned int slot, const u8 *original, int length, unsigned long ip)
{
	u8 *thunk = page_address(thunks->page) + slot * THUNK, *to = thunk;
	static const u8 load_rcx[] = { 0x48, 0x8d, 0x0d }, jump[] = { 0xff, 0x25 };
	unsigned long at = thunks->at + slot * THUNK;
	bool reached;

	memcpy(to, original, length);
	to += length;
	memcpy(to, load_rcx, sizeof(load_rcx));
	reached = put_distance(to + 3, at + length + 7, ip);
	memcpy(to + 7, jump, sizeof(jump));
	return put_distance(to + 9, at + length + 13, thunks->at) && reached;
}

static bool is_far(unsigned long address, unsigned long from)
{
	return max(address, from) - min(address, from) > FAR;
}

/* At the place that a parent has chosen, if there is one. */
static struct thunks *have_far(struct mm_struct *mm, struct call_sites *sites, unsigned long ip)
{
	if (sites->far)
		return sites->far;
	if (!mm->context.far_thunks)
		mm->context.far_thunks = vdso_map_thunks(mm, ip);
	if (!mm->context.far_thunks)
		return NULL;
	sites->far = kzalloc(sizeof(*sites->far), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (sites->far)
		sites->far->at = mm->context.far_thunks;
	return sites->far;
}

/* The page for thunks of the site at ip; NULL: there is none to be had. */
static struct thunks *have_thunks(struct mm_struct *mm, struct call_sites *sites, unsigned long ip)
{
	struct thunks *thunks = is_far(sites->near.at, ip) ? have_far(mm, sites, ip) : &sites->near;
	const u8 trap = 0xcc;

	if (!thunks || is_far(thunks->at, ip) || thunks->count == SITES || !vdso_has_thunks(mm, thunks->at))
		return NULL;
	if (thunks->page)
		return thunks;
	thunks->page = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!thunks->page)
		return NULL;
	memset(page_address(thunks->page), trap, PAGE_SIZE);
	*(unsigned long *)page_address(thunks->page) = sites->entry;
	hostmap_again(mm, thunks->at);
	return thunks;
}

/* Those that are mapped at address; NULL: none. */
static struct thunks *thunks_at(struct call_sites *sites, unsigned long address)
{
	if (address == sites->near.at)
		return &sites->near;
	return sites->far && address == sites->far->at ? sites->far : NULL;
}

/* ---- 2. pages ---- */

static u32 sum_of(unsigned long pfn)
{
	return jhash2(page_address(pfn_to_page(pfn)), PAGE_SIZE / sizeof(u32), 0);
}

static struct text_page *text_at(struct call_sites *sites, unsigned long address)
{
	struct text_page *text;

	for (text = sites->texts; text < sites->texts + sites->texts_count; text++)
		if (text->address == address)
			return text;
	return NULL;
}

/* One that was forgotten, if the host surely maps its copy no more; or a new one; NULL: neither. */
static struct text_page *free_text(struct mm_struct *mm, struct call_sites *sites)
{
	struct text_page *text = text_at(sites, FORGOTTEN);

	if (text)
		return mm->context.stale_count || mm->context.rights_stale ? NULL : text;
	if (sites->texts_count == TEXTS)
		return NULL;
	text = &sites->texts[sites->texts_count];
	text->address = FORGOTTEN;
	text->copy = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!text->copy)
		return NULL;
	sites->texts_count++;
	return text;
}

/* The copy of the page that sites at address are changed in; NULL: there is none to be had. */
static struct page *have_copy(struct mm_struct *mm, struct call_sites *sites, unsigned long address, struct page *page)
{
	struct text_page *text = text_at(sites, address);

	if (text)
		return text->pfn == page_to_pfn(page) ? text->copy : NULL;
	text = free_text(mm, sites);
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
 * call_sites_pfn - the page of RAM that the host maps at address, where guest code may read and execute pfn
 */
unsigned long call_sites_pfn(struct mm_struct *mm, unsigned long address, unsigned long pfn)
{
	struct call_sites *sites = mm->context.call_sites;
	struct thunks *thunks = thunks_at(sites, address);
	struct text_page *text;

	if (thunks)
		return thunks->page ? page_to_pfn(thunks->page) : pfn;
	text = sites->stopped ? NULL : text_at(sites, address);
	return text && text->pfn == pfn && text->sum == sum_of(pfn) ? page_to_pfn(text->copy) : pfn;
}

/* Whether the host may map another page at address than the tables say. */
bool call_sites_changed(struct mm_struct *mm, unsigned long address)
{
	struct call_sites *sites = mm->context.call_sites;

	return thunks_at(sites, address) || text_at(sites, address);
}

static void forget_sites(struct thunks *thunks, unsigned long page)
{
	unsigned int i;

	for (i = 0; i < thunks->count; i++)
		if ((thunks->sites[i].address & PAGE_MASK) == page)
			thunks->sites[i] = (struct call_site) { 0, 0 };
}

/* Pages in [start, end) are no longer what they were. Interrupts may be off. */
void call_sites_gone(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct call_sites *sites = mm->context.call_sites;
	struct text_page *text;

	for (text = sites->texts; text < sites->texts + sites->texts_count; text++) {
		if (text->address < start || text->address >= end)
			continue;
		forget_sites(&sites->near, text->address);
		if (sites->far)
			forget_sites(sites->far, text->address);
		memset(sites->seen, 0, sizeof(sites->seen));	/* they may become hot again */
		text->address = FORGOTTEN;
	}
}

/* ---- changing a site ---- */

static void change(struct thunks *thunks, struct page *page, struct page *copy, unsigned long ip, const struct call_plan *plan)
{
	const u8 *original = page_address(page) + offset_in_page(ip);
	u8 *code = page_address(copy) + offset_in_page(ip);
	unsigned int slot = thunks->count + 1;
	unsigned long thunk = thunks->at + slot * THUNK;
	int jump = plan->detour ? plan->detour : plan->start;
	u8 bytes[JUMP_LENGTH] = { 0xe9 };
	const u8 detour[SHORT_LENGTH] = { 0xeb, plan->detour - plan->start - SHORT_LENGTH };

	if (!write_thunk(thunks, slot, original + plan->start, plan->length, ip) ||
	    !put_distance(bytes + 1, ip + jump + JUMP_LENGTH, thunk))
		return;
	thunks->sites[thunks->count++] = (struct call_site) { ip + plan->start, plan->detour ? ip + plan->detour : 0 };
	memcpy(code + jump, bytes, sizeof(bytes));
	if (plan->detour)
		memcpy(code + plan->start, detour, sizeof(detour));
	count_call_site();
}

/* By restarts, and jumps right to its system call instruction, a site may be hot again that was changed already. */
static bool is_changed(const struct thunks *thunks, unsigned long ip, const struct call_plan *plan)
{
	unsigned int i;

	for (i = 0; i < thunks->count; i++)
		if (thunks->sites[i].address == ip + plan->start)
			return true;
	return false;
}

static void try_site(struct mm_struct *mm, struct call_sites *sites, unsigned long ip, unsigned long number)
{
	unsigned long address = ip & PAGE_MASK;
	struct thunks *thunks;
	struct page *page, *copy;
	struct call_plan plan;

	page = page_of_file(mm, address);
	if (!page)
		return;
	thunks = call_plan(page_address(page) + offset_in_page(ip), number, &plan) ? have_thunks(mm, sites, ip) : NULL;
	if (thunks && !is_changed(thunks, ip, &plan)) {
		copy = have_copy(mm, sites, address, page);
		if (copy) {
			change(thunks, page, copy, ip, &plan);
			hostmap_again(mm, address);
		}
	}
	put_page(page);
}

static bool may_change(const struct call_sites *sites, unsigned long ip)
{
	return !sites->stopped && offset_in_page(ip) >= CALL_PLAN_BEFORE && offset_in_page(ip) <= PAGE_SIZE - CALL_PLAN_BEHIND;
}

static void site_is_hot(struct mm_struct *mm, struct call_sites *sites, unsigned long ip, unsigned long number)
{
	if (mmap_write_lock_killable(mm))
		return;
	if (may_change(sites, ip))
		try_site(mm, sites, ip, number);
	mmap_write_unlock(mm);
}

/* 0: the host has none, or no stub. */
static unsigned long entry_of(struct mm_struct *mm)
{
	unsigned long flags, entry = 0;

	local_irq_save(flags);
	if (mm->context.space && host_engine->call_entry)
		entry = host_engine->call_entry(mm->context.space);
	local_irq_restore(flags);
	return entry;
}

static struct call_sites *begin(struct mm_struct *mm)
{
	struct call_sites *sites;

	if (!wanted || !entry_of(mm)) {
		mm->context.thunks = 0;
		return NULL;
	}
	sites = kzalloc(sizeof(*sites), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!sites || mmap_write_lock_killable(mm)) {
		kfree(sites);
		return NULL;
	}
	sites->entry = entry_of(mm);
	sites->near.at = mm->context.thunks;
	if (mm->context.call_sites || !sites->near.at || !sites->entry)	/* all this may have changed while it slept */
		kfree(sites);
	else
		mm->context.call_sites = sites;
	mmap_write_unlock(mm);
	return mm->context.call_sites;
}

/**
 * call_site_made - a system call instruction was executed
 * @ip: the address behind it
 */
void call_site_made(unsigned long ip, unsigned long number)
{
	struct mm_struct *mm = current->mm;
	struct call_sites *sites = mm->context.call_sites;
	typeof(&sites->seen[0]) seen;

	if (!mm->context.thunks || (!sites && ++mm->context.calls_seen < WARM))
		return;
	if (!sites)
		sites = begin(mm);
	if (!sites || sites->stopped)
		return;
	seen = &sites->seen[hash_long(ip, ilog2(SEEN))];
	if (seen->ip != ip) {
		seen->ip = ip;
		seen->calls = 0;
	}
	if (++seen->calls == HOT)
		site_is_hot(mm, sites, ip, number);
}

/* ---- 4. and 5. ---- */

static const struct call_site *site_with(const struct thunks *thunks, unsigned long ip)
{
	unsigned long slot = (ip - thunks->at) / THUNK;
	unsigned int i;

	if (slot > 0 && slot <= thunks->count)
		return &thunks->sites[slot - 1];
	for (i = 0; i < thunks->count; i++)
		if (thunks->sites[i].detour && thunks->sites[i].detour == ip)
			return &thunks->sites[i];
	return NULL;
}

/**
 * call_sites_roll_back - what guest code trapped in may be none of its instructions
 * @stepping: it has the trap flag set, or may have
 */
void call_sites_roll_back(struct pt_regs *regs, bool stepping)
{
	struct call_sites *sites = current->mm->context.call_sites;
	const struct call_site *site;

	if (likely(!sites))
		return;
	site = site_with(&sites->near, regs->ip);
	if (!site && sites->far)
		site = site_with(sites->far, regs->ip);
	if (!site || !site->address)
		return;
	regs->ip = site->address;
	if (stepping)
		call_sites_stop(current->mm);
}

/**
 * call_sites_fault - a page fault that the program did not earn, since the rights of its vDSO are not what they were
 * Returns true if it has been seen to: the program goes on at its site, without thunks.
 */
bool call_sites_fault(unsigned long address)
{
	struct mm_struct *mm = current->mm;
	struct call_sites *sites = mm->context.call_sites;
	bool lost;

	if (likely(!sites) || !thunks_at(sites, address & PAGE_MASK) || sites->stopped || mmap_read_lock_killable(mm))
		return false;
	lost = !vdso_has_thunks(mm, address & PAGE_MASK);
	mmap_read_unlock(mm);
	if (lost)
		call_sites_stop(mm);
	return lost;
}

void call_sites_stop(struct mm_struct *mm)
{
	struct call_sites *sites = mm->context.call_sites;
	unsigned int i;

	if (!sites || sites->stopped)
		return;
	sites->stopped = true;
	for (i = 0; i < sites->texts_count; i++)
		if (sites->texts[i].address != FORGOTTEN)
			hostmap_again(mm, sites->texts[i].address);
}

static void lose(struct mm_struct *mm, struct thunks *thunks)
{
	if (thunks->page)
		hostmap_again(mm, thunks->at);
	thunks->at = FORGOTTEN;
	thunks->count = 0;
}

/* Thunks go, or move. No thread stands in a thunk: each was rolled back when it trapped. */
void call_sites_lose_thunks(struct mm_struct *mm)
{
	struct call_sites *sites = mm->context.call_sites;

	mm->context.thunks = mm->context.far_thunks = 0;
	call_sites_stop(mm);
	if (!sites)
		return;
	lose(mm, &sites->near);
	if (sites->far)
		lose(mm, sites->far);
}

/* No stub is left that maps them. */
void call_sites_free(struct mm_struct *mm)
{
	struct call_sites *sites = mm->context.call_sites;
	unsigned int i;

	if (!sites)
		return;
	for (i = 0; i < sites->texts_count; i++)
		__free_page(sites->texts[i].copy);
	if (sites->near.page)
		__free_page(sites->near.page);
	if (sites->far && sites->far->page)
		__free_page(sites->far->page);
	kfree(sites->far);
	kfree(sites);
	mm->context.call_sites = NULL;
}
