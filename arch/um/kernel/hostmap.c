// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's mappings of a guest address space, kept as a cache of the guest's page tables: our
 * TLB.
 *
 *  1. A change of guest page tables is noted as a stale range: by tlb_flush and friends, by
 *     update_mmu_cache, and for an entry that is cleared while it is hosted, by hostmap_zap in
 *     asm/pgtable.h.
 *  2. Before guest code of that address space runs, hostmap_sync() walks the stale ranges and makes
 *     the host agree, in as few calls as it can. A call serves a run of pages that are contiguous
 *     in RAM and have equal rights, a stretch with no pages, or a stretch of mapped pages that only
 *     need other rights. Pages that are only added, beyond some runs of them, are left for 3.
 *  3. Guest code that touches an address which the guest's tables map and the host does not faults.
 *     hostmap_refill() maps it, with its neighbours. So any host mapping may be dropped at any
 *     time.
 *  4. The host allows a process a number of areas. When we may have made as many, when the host
 *     says ENOMEM, or when anything else goes wrong, all mappings are dropped in one call (a full
 *     flush), and faults bring back what is used.
 *  5. An engine may be unable to prove that guest code stands still while the kernel runs
 *     (proves_stop in host/engine.h). Then a flush, which takes rights away, syncs at once: its
 *     caller frees pages next. Additions stay lazy.
 *
 * Runs on the thread of the virtual CPU with interrupts off. Flushes come from any context of it,
 * with spinlocks held, and for any mm.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <asm/mmu_context.h>
#include <asm/tlbflush.h>
#include <host/engine.h>
#include <host/process.h>
#include "counters.h"
#include "kernel.h"
#include "walk.h"

/*
 * Pages that a fault brings in at most: of the same run, on either side; and of any run, in the
 * aligned window around.
 */
#define NEIGHBOURS 64
#define WINDOW 16

/* What a new stub is given at once, at most. */
#define FIRST_PAGES 1024

/*
 * Runs of pages that are added in one go, at most, to a new stub as well; the rest comes when it is
 * missed.
 */
#define MOST_ADDITIONS 32

/* Changes on their way to the host; the last one may still grow. */
struct batch {
	struct mm_struct *mm;
	int count, error;
	unsigned int pages, additions;	/* mapped by it; calls that do so */
	struct host_map changes[HOST_MAP_BATCH];
};

/* ---- 1. what is stale ---- */

static unsigned long distance(const struct host_stale *range, unsigned long start, unsigned long end)
{
	if (start <= range->end && end >= range->start)
		return 0;
	return start > range->end ? start - range->end : range->start - end;
}

/*
 * The range that a new one joins: of its kind and touching; one that says as much; or, if there is
 * no room, the nearest.
 */
static struct host_stale *joins(mm_context_t *context, unsigned long start, unsigned long end, bool zapped)
{
	struct host_stale *range, *nearest = NULL;

	for (range = context->stale + context->stale_count; range-- > context->stale;) {
		if (!distance(range, start, end) &&
		    (range->zapped == zapped || (range->zapped && start >= range->start && end <= range->end)))
			return range;
		if (!nearest || distance(range, start, end) < distance(nearest, start, end))
			nearest = range;
	}
	return context->stale_count == HOST_STALE_RANGES ? nearest : NULL;
}

static void note_stale(struct mm_struct *mm, unsigned long start, unsigned long end, bool zapped)
{
	mm_context_t *context = &mm->context;
	struct host_stale *range;
	unsigned long flags;

	start &= PAGE_MASK;
	end = min(PAGE_ALIGN(end), TASK_SIZE);
	if (start >= end || !context->space)	/* without a stub nothing is mapped */
		return;
	local_irq_save(flags);
	range = joins(context, start, end, zapped);
	if (range)
		*range = (struct host_stale) { min(start, range->start), max(end, range->end), zapped || range->zapped };
	else
		context->stale[context->stale_count++] = (struct host_stale) { start, end, zapped };
	local_irq_restore(flags);
}

/* Entries in [start, end) may have changed. */
void hostmap_stale(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	note_stale(mm, start, end, false);
}

void hostmap_zap(struct mm_struct *mm, unsigned long address, unsigned long size)
{
	note_stale(mm, address, address + size, true);
	if (unlikely(mm->context.patches))
		syscall_patch_zap(mm, address, address + size);
}

/* The program may want to write, and reads first. Returns the entry that goes into the table. */
pte_t hostmap_rights(struct vm_area_struct *vma, unsigned long address, pte_t e)
{
	struct mm_struct *mm = vma->vm_mm;

	if (likely(!mm->context.patches) || !syscall_patch_covers(mm, address))
		return e;
	hostmap_zap(mm, address, PAGE_SIZE);
	return pte_mkunhosted(e);
}

void update_mmu_cache_range(struct vm_fault *vmf, struct vm_area_struct *vma, unsigned long address,
			    pte_t *ptep, unsigned int nr)
{
	hostmap_stale(vma->vm_mm, address, address + nr * PAGE_SIZE);
}

void update_mmu_cache_pmd(struct vm_area_struct *vma, unsigned long address, pmd_t *pmd)
{
	hostmap_stale(vma->vm_mm, address & PMD_MASK, (address & PMD_MASK) + PMD_SIZE);
}

/* ---- batches ---- */

static void batch_apply(struct batch *batch)
{
	if (batch->count && !batch->error) {
		count_host_calls(batch->changes, batch->count);
		batch->error = host_engine->apply(batch->mm->context.space, batch->changes, batch->count);
	}
	batch->count = 0;
}

static struct host_map *last_change(struct batch *batch)
{
	return batch->count ? &batch->changes[batch->count - 1] : NULL;
}

static bool continues_last(struct batch *batch, const struct host_map *change)
{
	struct host_map *last = last_change(batch);

	return last && last->op == change->op && last->start + last->length == change->start &&
		(change->op == HOST_UNMAP || last->prot == change->prot) &&
		(change->op != HOST_MAP || last->offset + last->length == change->offset);
}

static void batch_add(struct batch *batch, const struct host_map *change)
{
	if (change->op == HOST_MAP)
		batch->pages += change->length / PAGE_SIZE;
	if (continues_last(batch, change)) {
		last_change(batch)->length += change->length;
		return;
	}
	batch->additions += change->op == HOST_MAP;
	if (batch->count == HOST_MAP_BATCH)
		batch_apply(batch);
	batch->changes[batch->count++] = *change;
	batch->mm->context.areas += change->op != HOST_UNMAP;
}

/*
 * A page that has its rights already does no harm in a change of rights, and may be what joins two.
 */
static void batch_bridge(struct batch *batch, unsigned long address, unsigned long size, int prot)
{
	struct host_map *last = last_change(batch);

	if (last && last->op == HOST_PROTECT && last->start + last->length == address &&
	    last->prot == prot)
		last->length += size;
}

/* ---- 2. making the host agree ---- */

/*
 * What the host may let guest code do: a page that is not dirty is read-only until it is written.
 */
static int host_prot(pte_t entry)
{
	return PROT_READ | (pte_write(entry) && pte_dirty(entry) ? PROT_WRITE : 0) | (pte_exec(entry) ? PROT_EXEC : 0);
}

static int hosted_prot(pte_t entry)
{
	return PROT_READ | (pte_val(entry) & _PAGE_HOSTED_RW ? PROT_WRITE : 0) | (pte_val(entry) & _PAGE_HOSTED_X ? PROT_EXEC : 0);
}

static pte_t mkhosted(pte_t entry, int prot)
{
	return __pte(pte_val(pte_mkunhosted(entry)) | _PAGE_HOSTED | (prot & PROT_WRITE ? _PAGE_HOSTED_RW : 0) |
		     (prot & PROT_EXEC ? _PAGE_HOSTED_X : 0));
}

static bool guest_may(pte_t entry)
{
	return (pte_val(entry) & (_PAGE_PRESENT | _PAGE_USER)) == (_PAGE_PRESENT | _PAGE_USER) && pte_young(entry);
}

/* A page or huge page, and not a swap entry, so that the bits mean what they are called. */
static bool is_hosted(pte_t entry)
{
	return (pte_val(entry) & (_PAGE_PRESENT | _PAGE_PROTNONE | _PAGE_PSE)) && pte_hosted(entry);
}

static void batch_unmap(struct batch *batch, unsigned long start, unsigned long end)
{
	const struct host_map change = {
		.start = start, .length = end - start, .op = HOST_UNMAP
	};

	batch_add(batch, &change);
}

/* Of a page with patched sites guest code executes a copy that they are changed in. */
static struct host_map map_of(struct mm_struct *mm, pte_t entry, unsigned long address, unsigned long size)
{
	unsigned long pfn = pte_pfn(entry);
	int prot = host_prot(entry);

	if (unlikely(mm->context.patches) && size == PAGE_SIZE && prot == (PROT_READ | PROT_EXEC))
		pfn = syscall_patch_pfn(mm, address, pfn);
	return (struct host_map) { .start = address, .length = size, .offset = pfn << PAGE_SHIFT, .prot = prot, .op = HOST_MAP };
}

static void sync_entry(struct batch *batch, pte_t *at, unsigned long address, unsigned long size)
{
	pte_t entry = ptep_get(at);
	struct host_map change = map_of(batch->mm, entry, address, size);

	if (!guest_may(entry)) {
		if (!is_hosted(entry))
			return;
		set_pte(at, pte_mkunhosted(entry));
		batch_unmap(batch, address, address + size);
		return;
	}
	if (pte_hosted(entry)) {
		if (hosted_prot(entry) == change.prot) {
			batch_bridge(batch, address, size, change.prot);
			return;
		}
		if (likely(!batch->mm->context.patches) || !syscall_patch_covers(batch->mm, address))
			change.op = HOST_PROTECT;	/* else the copy would stay there */
	}
	set_pte(at, mkhosted(entry, change.prot));
	batch_add(batch, &change);
}

/*
 * Nothing is mapped where the entry does not say so: then a page may also come later, when it is
 * missed.
 */
static void sync_changed(struct batch *batch, pte_t *at, unsigned long address, unsigned long size)
{
	pte_t entry = ptep_get(at);
	const struct host_map change = map_of(batch->mm, entry, address, size);

	if (batch->additions < MOST_ADDITIONS || pte_hosted(entry) || continues_last(batch, &change))
		sync_entry(batch, at, address, size);
}

/* Something may be mapped here that no entry tells of. */
static void sync_zapped(struct batch *batch, pte_t *at, unsigned long address, unsigned long size)
{
	if (guest_may(ptep_get(at)) || is_hosted(ptep_get(at)))
		sync_entry(batch, at, address, size);
	else
		batch_unmap(batch, address, address + size);
}

static void sync_range(struct batch *batch, const struct host_stale *range)
{
	const struct walk changed = { batch, _PAGE_PRESENT | _PAGE_PROTNONE | _PAGE_PSE, sync_changed };
	const struct walk zapped = { batch, 0, sync_zapped, batch_unmap };

	walk_tables(range->zapped ? &zapped : &changed, batch->mm, range->start, range->end);
}

/* After fork: one call for each area that was writable. */
static void sync_rights(struct batch *batch, pte_t *at, unsigned long address, unsigned long size)
{
	if (is_hosted(ptep_get(at)))
		sync_entry(batch, at, address, size);
}

/* ---- 4. full flushes ---- */

static void unhost_entry(struct batch *batch, pte_t *at, unsigned long address, unsigned long size)
{
	if (is_hosted(ptep_get(at)))
		set_pte(at, pte_mkunhosted(ptep_get(at)));
}

static void nothing_is_stale(mm_context_t *context)
{
	context->areas = 0;
	context->rights_stale = false;
	context->stale_count = 0;
}

static int flush_all(struct mm_struct *mm)
{
	const struct host_map everything = { .start = 0, .length = TASK_SIZE, .op = HOST_UNMAP };
	const struct walk walk = { NULL, _PAGE_HOSTED, unhost_entry };

	count_full_flush();
	walk_tables(&walk, mm, 0, TASK_SIZE);
	nothing_is_stale(&mm->context);
	return host_engine->apply(mm->context.space, &everything, 1);
}

static int batch_finish(struct batch *batch)
{
	batch_apply(batch);
	if (batch->error || batch->mm->context.areas > host_area_budget)
		return flush_all(batch->mm);
	return 0;
}

/* One batch a virtual CPU: it is too large for the stack and is used with interrupts off. */
static DEFINE_PER_CPU(struct batch, batches);

static struct batch *batch_begin(struct mm_struct *mm)
{
	struct batch *batch = this_cpu_ptr(&batches);

	batch->mm = mm;
	batch->count = batch->error = batch->pages = batch->additions = 0;
	return batch;
}

/**
 * hostmap_sync - brings stale host mappings of mm up to date
 * Returns 0, or -errno: the stub process is of no use any more.
 */
int hostmap_sync(struct mm_struct *mm)
{
	mm_context_t *context = &mm->context;
	struct batch *batch;
	unsigned int i;

	if (!context->stale_count && !context->rights_stale)
		return 0;
	batch = batch_begin(mm);
	if (context->rights_stale)
		walk_tables(&(struct walk) { batch, _PAGE_HOSTED, sync_rights }, mm, 0, TASK_SIZE);
	context->rights_stale = false;
	for (i = 0; i < context->stale_count; i++)
		sync_range(batch, &context->stale[i]);
	context->stale_count = 0;
	return batch_finish(batch);
}

/* ---- 3. a miss ---- */

static void refill_entry(struct batch *batch, pte_t *at, unsigned long address, unsigned long size)
{
	set_pte(at, pte_mkyoung(pte_mkunhosted(ptep_get(at))));
	sync_entry(batch, at, address, size);
}

static bool can_refill(pte_t entry)
{
	return guest_may(pte_mkyoung(entry)) && !pte_hosted(entry);
}

static bool run_continues(pte_t entry, pte_t neighbour, long distance)
{
	return can_refill(neighbour) && pte_pfn(neighbour) == pte_pfn(entry) + distance && host_prot(neighbour) == host_prot(entry);
}

/* The page at table[index], what continues its run, and what is in the window around it. */
static void refill_around(struct batch *batch, pte_t *table, long index, unsigned long base)
{
	pte_t entry = ptep_get(table + index);
	long low = index, high = index, i;

	while (low > max(index - NEIGHBOURS, 0L) &&
	       run_continues(entry, ptep_get(table + low - 1), low - 1 - index))
		low--;
	while (high < min(index + NEIGHBOURS, PTRS_PER_PTE - 1L) &&
	       run_continues(entry, ptep_get(table + high + 1), high + 1 - index))
		high++;
	low = min(low, round_down(index, WINDOW));
	high = max(high, round_down(index, WINDOW) + WINDOW - 1);
	for (i = low; i <= high; i++)
		if (i == index || can_refill(ptep_get(table + i)))
			refill_entry(batch, table + i, base + i * PAGE_SIZE, PAGE_SIZE);
}

/* Returns 0, or -errno: the host does not map it, or the stub process is of no use. */
static int refill(struct mm_struct *mm, unsigned long address)
{
	struct batch *batch = batch_begin(mm);
	unsigned long next;
	pmd_t *pmd = table_at(mm, address, TASK_SIZE, &next);
	pte_t *table;
	int error;

	if (pmd && pmd_leaf(*pmd)) {
		refill_entry(batch, (pte_t *)pmd, address & PMD_MASK, PMD_SIZE);
	} else {
		table = pmd ? pte_offset_map(pmd, address & PMD_MASK) : NULL;
		if (!table)
			return 0;
		refill_around(batch, table, pte_index(address), address & PMD_MASK);
		pte_unmap(table);
	}
	error = batch_finish(batch);
	return error ? error : batch->error;
}

/**
 * hostmap_refill - maps the present page at address on the host, with its neighbours
 * @address: the guest's tables have a present, accessible page here
 *
 * What the host refuses drops all that it maps. If it refuses again then, the page would be missed
 * for ever. Returns 0, or -errno: the guest process must end.
 */
int hostmap_refill(struct mm_struct *mm, unsigned long address)
{
	int error = refill(mm, address);

	if (unlikely(error))
		error = refill(mm, address);
	if (unlikely(error && error != -ESRCH))
		pr_err_ratelimited("%s[%d]: killed: the host maps no memory for it (%s; see ulimit -v and the memory limit of the container)\n",
				   current->comm, task_pid_nr(current), host_error_text(error));
	return error;
}

static void map_again(struct batch *batch, pte_t *at, unsigned long address, unsigned long size)
{
	unhost_entry(batch, at, address, size);
	note_stale(batch->mm, address, address + size, true);
}

/**
 * hostmap_again - maps what is at address anew before guest code runs: as syscall_patch_pfn() has
 * it now
 */
void hostmap_again(struct mm_struct *mm, unsigned long address)
{
	unsigned long flags;

	local_irq_save(flags);
	walk_tables(&(struct walk) { batch_begin(mm), _PAGE_HOSTED, map_again }, mm, address, address + PAGE_SIZE);
	local_irq_restore(flags);
}

/* ---- a new stub ---- */

/*
 * What the parent had mapped when it forked, and what exec left behind. The hints are not true
 * here.
 */
static void first_entry(struct batch *batch, pte_t *at, unsigned long address, unsigned long size)
{
	pte_t entry = ptep_get(at);
	bool wanted = pte_hosted(entry) || pte_young(entry);

	entry = pte_mkunhosted(entry);
	if (wanted && guest_may(pte_mkyoung(entry)) && batch->additions < MOST_ADDITIONS && batch->pages + size / PAGE_SIZE <= FIRST_PAGES) {
		set_pte(at, pte_mkyoung(entry));
		sync_entry(batch, at, address, size);
	} else {
		set_pte(at, entry);
	}
}

/**
 * hostmap_first - fills an empty stub with what its guest code is most likely to touch
 * Returns 0, or -errno: the stub process is of no use.
 */
int hostmap_first(struct mm_struct *mm)
{
	struct batch *batch = batch_begin(mm);
	const struct walk walk = { batch, _PAGE_PRESENT | _PAGE_PROTNONE | _PAGE_PSE, first_entry };

	nothing_is_stale(&mm->context);
	walk_tables(&walk, mm, 0, TASK_SIZE);
	return batch_finish(batch);
}

/* ---- 5. flushes ---- */

static void flush_now(struct mm_struct *mm)
{
	mm_context_t *context = &mm->context;
	unsigned long flags;
	int error;

	if (!context->space || host_engine->proves_stop)
		return;
	local_irq_save(flags);
	error = hostmap_sync(mm);
	if (unlikely(error)) {
		context->lost = error;
		hostmap_give_back(mm);
	}
	local_irq_restore(flags);
}

/**
 * hostmap_flush - rights to [start, end) were taken away
 * Pages that were there may be freed or written by the caller when this returns.
 */
void hostmap_flush(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	hostmap_stale(mm, start, end);
	flush_now(mm);
}

/* Rights were taken from pages anywhere in mm. */
void hostmap_flush_rights(struct mm_struct *mm)
{
	mm->context.rights_stale = true;
	flush_now(mm);
}
