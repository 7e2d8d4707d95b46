// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes to guest page table entries that generic code makes in a way of its own on this port:
 * because of the HOSTED bits (asm/pgtable.h), or because nothing but us reads the tables, so that
 * accessed and dirty bits never change by themselves. Any context, the table's lock held.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <asm/tlbflush.h>

/* The next access is to be noticed some time: no reason to flush at once. */
int ptep_clear_flush_young(struct vm_area_struct *vma, unsigned long address, pte_t *at)
{
	int young = ptep_test_and_clear_young(vma, address, at);

	if (young)
		hostmap_stale(vma->vm_mm, address, address + PAGE_SIZE);
	return young;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
int pmdp_clear_flush_young(struct vm_area_struct *vma, unsigned long address, pmd_t *at)
{
	int young = pmdp_test_and_clear_young(vma, address, at);

	if (young)
		hostmap_stale(vma->vm_mm, address, address + PMD_SIZE);
	return young;
}

/* Rights only grow here; update_mmu_cache_pmd() follows. */
int pmdp_set_access_flags(struct vm_area_struct *vma, unsigned long address, pmd_t *at, pmd_t e, int dirty)
{
	bool changed = !pmd_same(*at, e);

	if (changed)
		set_pmd(at, e);
	return changed;
}

/* What comes in its place may be something else: a table of small pages, a migration entry. */
pmd_t pmdp_invalidate(struct vm_area_struct *vma, unsigned long address, pmd_t *at)
{
	pmd_t old = *at;

	if (pmd_hosted(old))
		hostmap_zap(vma->vm_mm, address, PMD_SIZE);
	old = pmd_mkunhosted(old);
	set_pmd(at, pmd_mkinvalid(old));
	hostmap_flush(vma->vm_mm, address, address + PMD_SIZE);
	return old;
}

/* The same page comes back with other rights, and then the flush. */
pmd_t pmdp_invalidate_ad(struct vm_area_struct *vma, unsigned long address, pmd_t *at)
{
	return pmdp_establish(vma, address, at, pmd_mkinvalid(*at));
}

/* A table goes, with all its entries: a huge page is to take its place. */
pmd_t pmdp_collapse_flush(struct vm_area_struct *vma, unsigned long address, pmd_t *at)
{
	pmd_t old = pmdp_huge_get_and_clear(vma->vm_mm, address, at);

	hostmap_zap(vma->vm_mm, address, PMD_SIZE);
	hostmap_flush(vma->vm_mm, address, address + PMD_SIZE);
	return old;
}
#endif
