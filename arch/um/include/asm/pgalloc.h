/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ASM_UM_PGALLOC_H
#define __ASM_UM_PGALLOC_H

#include <linux/mm.h>

#define __HAVE_ARCH_PGD_FREE
#include <asm-generic/pgalloc.h>

/* User tables only: kernel-side code never goes through the tables of an mm. */
static inline pgd_t *pgd_alloc(struct mm_struct *mm)
{
	return (pgd_t *)__get_free_page(GFP_PGTABLE_USER);
}

static inline void pgd_free(struct mm_struct *mm, pgd_t *pgd)
{
	free_page((unsigned long)pgd);
}

#define table_entry(kaddr)	(_PAGE_TABLE | __pa(kaddr))

static inline void pmd_populate_kernel(struct mm_struct *mm, pmd_t *pmd, pte_t *pte)
{
	set_pmd(pmd, __pmd(table_entry(pte)));
}

static inline void pmd_populate(struct mm_struct *mm, pmd_t *pmd, pgtable_t pte)
{
	set_pmd(pmd, __pmd(table_entry(page_to_virt(pte))));
}

static inline void pud_populate(struct mm_struct *mm, pud_t *pud, pmd_t *pmd)
{
	set_pud(pud, __pud(table_entry(pmd)));
}

static inline void p4d_populate(struct mm_struct *mm, p4d_t *p4d, pud_t *pud)
{
	set_pgd(&p4d->pgd, __pgd(table_entry(pud)));
}

#define __pte_free_tlb(tlb, pte, address)			\
do {								\
	pagetable_pte_dtor(page_ptdesc(pte));			\
	tlb_remove_page_ptdesc(tlb, page_ptdesc(pte));		\
} while (0)

#define __pmd_free_tlb(tlb, pmd, address)			\
do {								\
	pagetable_pmd_dtor(virt_to_ptdesc(pmd));		\
	tlb_remove_page_ptdesc(tlb, virt_to_ptdesc(pmd));	\
} while (0)

#define __pud_free_tlb(tlb, pud, address)			\
do {								\
	pagetable_pud_dtor(virt_to_ptdesc(pud));		\
	tlb_remove_page_ptdesc(tlb, virt_to_ptdesc(pud));	\
} while (0)

#endif
