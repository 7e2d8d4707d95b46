// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks the page tables of a guest address space, from any address to any other, and calls a
 * function for each entry and one for each stretch without a table. Runs on the thread of the
 * virtual CPU, with interrupts off.
 */
#include <linux/mm.h>
#include "walk.h"

static void walk_gap(const struct walk *walk, unsigned long start, unsigned long end)
{
	if (walk->gap)
		walk->gap(walk->batch, start, end);
}

static void walk_ptes(const struct walk *walk, pmd_t *pmd, unsigned long address, unsigned long end)
{
	pte_t *at = pte_offset_map(pmd, address);

	if (!at) {
		walk_gap(walk, address, end);	/* a huge page that is being moved */
		return;
	}
	for (; address < end; address += PAGE_SIZE, at++)
		if (!walk->bits || (pte_val(ptep_get(at)) & walk->bits))
			walk->entry(walk->batch, at, address, PAGE_SIZE);
	pte_unmap(at - 1);
}

static void walk_pmds(const struct walk *walk, pud_t *pud, unsigned long address, unsigned long end)
{
	pmd_t *pmd = pmd_offset(pud, address);
	unsigned long next;

	for (; address < end; address = next, pmd++) {
		next = pmd_addr_end(address, end);
		if (pmd_none(*pmd))
			walk_gap(walk, address, next);
		else if (!pmd_leaf(*pmd))
			walk_ptes(walk, pmd, address, next);
		else if (!walk->bits || (pmd_val(*pmd) & walk->bits))
			walk->entry(walk->batch, (pte_t *)pmd, address & PMD_MASK, PMD_SIZE);
	}
}

static void walk_puds(const struct walk *walk, p4d_t *p4d, unsigned long address, unsigned long end)
{
	pud_t *pud = pud_offset(p4d, address);
	unsigned long next;

	for (; address < end; address = next, pud++) {
		next = pud_addr_end(address, end);
		if (pud_none(*pud))
			walk_gap(walk, address, next);
		else
			walk_pmds(walk, pud, address, next);
	}
}

/**
 * walk_tables - calls @walk for what the tables of @mm have from @address to @end
 *
 * With interrupts off: no table goes away meanwhile.
 */
void walk_tables(const struct walk *walk, struct mm_struct *mm, unsigned long address,
		 unsigned long end)
{
	pgd_t *pgd = pgd_offset(mm, address);
	unsigned long next;

	for (; address < end; address = next, pgd++) {
		next = pgd_addr_end(address, end);
		if (pgd_val(*pgd))
			walk_puds(walk, p4d_offset(pgd, address), address, next);
		else
			walk_gap(walk, address, next);
	}
}
