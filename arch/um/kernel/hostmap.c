// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's mappings of a guest address space, kept as a cache of the guest's page tables: our TLB.
 *
 *  1. Whoever changes guest page tables says so (tlb_flush and friends, update_mmu_cache): hostmap_stale() notes the range.
 *  2. Before guest code of that address space runs, hostmap_sync() walks the stale ranges and makes the host agree, in
 *     as few calls as it can: one for each run of pages that are contiguous in RAM and have equal rights; one for a
 *     stretch with no pages; one for a stretch of pages that are mapped already and only need other rights.
 *  3. Guest code that touches an address which the guest's tables map and the host does not faults; hostmap_load() maps
 *     it, with the neighbours that belong to the same run. So any host mapping may be dropped at any time.
 *  4. The host allows a process a number of areas. When we may have made as many, or when the host says ENOMEM, or when
 *     anything else goes wrong, all mappings are dropped in one call, and faults bring back what is used.
 *
 * Runs on the virtual CPU that runs this mm's guest code, interrupts off, except hostmap_stale().
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <asm/mmu_context.h>
#include <asm/tlbflush.h>
#include <asm/xstate.h>
#include <host/engine.h>
#include "counters.h"
#include "kernel.h"

/* Pages that a fault brings in at most, on either side, as far as they continue the run. */
#define NEIGHBOURS 64

/* Changes on their way to the host; the last one may still grow. */
struct batch {
	struct mm_struct *mm;
	int count, error;
	struct host_map changes[HOST_MAP_BATCH];
};

/* ---- 1. what is stale ---- */

/* Keeps ranges sorted by nothing; joins what touches, and the last two when there is no room. */
void hostmap_stale(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	mm_context_t *context = &mm->context;
	unsigned long flags;
	unsigned int i;

	start &= PAGE_MASK;
	end = min(PAGE_ALIGN(end), TASK_SIZE);
	if (start >= end || !atomic_read(&mm->mm_users))
		return;
	local_irq_save(flags);
	for (i = 0; i < context->stale_count; i++)
		if (start <= context->stale[i].end && end >= context->stale[i].start)
			break;
	if (i == HOST_STALE_RANGES)
		i--;
	if (i < context->stale_count) {
		context->stale[i].start = min(start, context->stale[i].start);
		context->stale[i].end = max(end, context->stale[i].end);
	} else {
		context->stale[context->stale_count++] = (struct host_stale) { start, end };
	}
	local_irq_restore(flags);
}

void update_mmu_cache_range(struct vm_fault *vmf, struct vm_area_struct *vma, unsigned long address,
			    pte_t *ptep, unsigned int nr)
{
	hostmap_stale(vma->vm_mm, address, address + nr * PAGE_SIZE);
}

/* ---- batches ---- */

static void apply(struct batch *batch)
{
	if (batch->count && !batch->error) {
		count_host_calls(batch->changes, batch->count);
		batch->error = host_engine->apply(batch->mm->context.space, batch->changes, batch->count);
	}
	batch->count = 0;
}

static void add(struct batch *batch, const struct host_map *change)
{
	struct host_map *last = &batch->changes[batch->count - 1];

	if (batch->count && last->op == change->op && last->start + last->length == change->start &&
	    (change->op == HOST_UNMAP || last->prot == change->prot) &&
	    (change->op != HOST_MAP || last->offset + last->length == change->offset)) {
		last->length += change->length;
		return;
	}
	if (batch->count == HOST_MAP_BATCH)
		apply(batch);
	batch->changes[batch->count++] = *change;
	batch->mm->context.areas += change->op != HOST_UNMAP;
}

/* ---- 2. making the host agree ---- */

/* What the host may let guest code do: a page that is not dirty is read-only until it is written. */
static int host_prot(pte_t pte)
{
	return PROT_READ | (pte_write(pte) && pte_dirty(pte) ? PROT_WRITE : 0) | (pte_exec(pte) ? PROT_EXEC : 0);
}

static bool guest_may(pte_t pte)
{
	return (pte_val(pte) & (_PAGE_PRESENT | _PAGE_USER)) == (_PAGE_PRESENT | _PAGE_USER) && pte_young(pte);
}

static void sync_page(struct batch *batch, pte_t *at, unsigned long address)
{
	pte_t pte = ptep_get(at);
	struct host_map change = { .start = address, .length = PAGE_SIZE, .op = HOST_UNMAP };

	if (guest_may(pte)) {
		change.op = pte_hosted(pte) ? HOST_PROTECT : HOST_MAP;
		change.offset = pte_pfn(pte) << PAGE_SHIFT;
		change.prot = host_prot(pte);
		set_pte(at, __pte((pte_val(pte) & ~_PAGE_HOSTED_RW) | _PAGE_HOSTED |
				  (change.prot & PROT_WRITE ? _PAGE_HOSTED_RW : 0)));
	} else if (pte_present(pte)) {
		set_pte(at, pte_mkunhosted(pte));
	}
	add(batch, &change);
}

static void sync_range(struct batch *batch, unsigned long address, unsigned long end)
{
	unsigned long next;

	for (; address < end && !batch->error; address = next) {
		pmd_t *pmd = table_at(batch->mm, address, end, &next);
		pte_t *pte = pmd ? pte_offset_map(pmd, address) : NULL;

		if (!pte) {
			add(batch, &(struct host_map) { .start = address, .length = next - address, .op = HOST_UNMAP });
			continue;
		}
		for (; address < next; address += PAGE_SIZE, pte++)
			sync_page(batch, pte, address);
		pte_unmap(pte - 1);
	}
}

/* Calls fn for every present page of mm that may be hosted. */
static void for_each_hosted(struct mm_struct *mm, struct batch *batch,
			    void (*fn)(struct batch *batch, pte_t *at, unsigned long address))
{
	unsigned long address, next;

	for (address = 0; address < TASK_SIZE; address = next) {
		pmd_t *pmd = table_at(mm, address, TASK_SIZE, &next);
		pte_t *pte = pmd ? pte_offset_map(pmd, address) : NULL;

		if (!pte)
			continue;
		for (; address < next; address += PAGE_SIZE, pte++)
			if (pte_present(ptep_get(pte)) && pte_hosted(ptep_get(pte)))
				fn(batch, pte, address);
		pte_unmap(pte - 1);
	}
}

/* After fork: one call for each area that was writable. */
static void sync_rights(struct batch *batch, pte_t *at, unsigned long address)
{
	pte_t pte = ptep_get(at);

	if (!guest_may(pte) || (pte_hosted_rw(pte) && !(host_prot(pte) & PROT_WRITE)))
		sync_page(batch, at, address);
}

/* ---- 4. dropping all ---- */

static void forget(struct batch *batch, pte_t *at, unsigned long address)
{
	set_pte(at, pte_mkunhosted(ptep_get(at)));
}

static int drop_all(struct mm_struct *mm)
{
	const struct host_map everything = { .start = 0, .length = TASK_SIZE, .op = HOST_UNMAP };

	count_eviction();
	for_each_hosted(mm, NULL, forget);
	mm->context.areas = 0;
	mm->context.rights_stale = false;
	mm->context.stale_count = 0;
	return host_engine->apply(mm->context.space, &everything, 1);
}

static int finish(struct batch *batch)
{
	apply(batch);
	if (batch->error || batch->mm->context.areas > host_area_budget)
		return drop_all(batch->mm);
	return 0;
}

/* One batch a virtual CPU: it is too large for the stack and is used with interrupts off. */
static DEFINE_PER_CPU(struct batch, batches);

static struct batch *batch_begin(struct mm_struct *mm)
{
	struct batch *batch = this_cpu_ptr(&batches);

	batch->mm = mm;
	batch->count = batch->error = 0;
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
		for_each_hosted(mm, batch, sync_rights);
	context->rights_stale = false;
	for (i = 0; i < context->stale_count; i++)
		sync_range(batch, context->stale[i].start, context->stale[i].end);
	context->stale_count = 0;
	return finish(batch);
}

/* ---- 3. a miss ---- */

static bool continues(pte_t pte, pte_t neighbour, long distance)
{
	return guest_may(pte_mkyoung(neighbour)) && !pte_hosted(neighbour) &&
	       pte_pfn(neighbour) == pte_pfn(pte) + distance && host_prot(neighbour) == host_prot(pte);
}

static void load_one(struct batch *batch, pte_t *at, unsigned long address)
{
	if (!pte_accessible(batch->mm, ptep_get(at)))
		return;
	set_pte(at, pte_mkyoung(pte_mkunhosted(ptep_get(at))));
	sync_page(batch, at, address);
}

/**
 * hostmap_load - maps the present page at address on the host, with the neighbours of its run
 * @address: the guest's tables have a present, accessible page here
 */
void hostmap_load(struct mm_struct *mm, unsigned long address)
{
	unsigned long next, first, last;
	struct batch *batch;
	pmd_t *pmd;
	pte_t *table, pte;
	long i, low, high, index;

	pmd = table_at(mm, address, TASK_SIZE, &next);
	table = pmd ? pte_offset_map(pmd, address & PMD_MASK) : NULL;
	if (!table)
		return;
	index = pte_index(address);
	pte = ptep_get(table + index);
	first = max(index - NEIGHBOURS, 0L);
	last = min(index + NEIGHBOURS, (long)PTRS_PER_PTE - 1);
	for (low = index; low > first && continues(pte, ptep_get(table + low - 1), low - 1 - index); low--)
		;
	for (high = index; high < last && continues(pte, ptep_get(table + high + 1), high + 1 - index); high++)
		;
	batch = batch_begin(mm);
	for (i = low; i <= high; i++)
		load_one(batch, table + i, (address & PMD_MASK) + i * PAGE_SIZE);
	pte_unmap(table);
	if (finish(batch))
		force_sig(SIGKILL);
}

/* ---- the life of an address space ---- */

int init_new_context(struct task_struct *task, struct mm_struct *mm)
{
	memset(&mm->context, 0, sizeof(mm->context));
	mm->context.space_page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return mm->context.space_page ? 0 : -ENOMEM;
}

void destroy_context(struct mm_struct *mm)
{
	mm_context_t *context = &mm->context;
	unsigned long flags;

	if (context->space) {
		local_irq_save(flags);
		xstate_leave(mm);
		if (context->debug_id)		/* the stub may serve another address space next */
			host_engine->set_debug(context->space, 7, 0);
		host_engine->destroy(context->space);
		context->space = NULL;
		local_irq_restore(flags);
	}
	free_page((unsigned long)context->space_page);
	context->space_page = NULL;
}

/**
 * hostmap_ready - sees to it that mm has a stub process and that its mappings are up to date
 * Returns 0 or -errno.
 */
int hostmap_ready(struct mm_struct *mm)
{
	mm_context_t *context = &mm->context;
	int error;

	if (unlikely(!context->space)) {
		error = host_engine->create(&context->space, context->space_page, __pa(context->space_page));
		if (error)
			return error;
		count_space();
		for_each_hosted(mm, NULL, forget);	/* fork copied the parent's hints */
		context->rights_stale = false;
		context->stale_count = 0;	/* an empty address space agrees with anything */
		context->areas = 0;
	}
	return hostmap_sync(mm);
}
