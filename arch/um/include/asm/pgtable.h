/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest page tables: four levels of 512 entries, read by nobody but us (the host's hardware sees the host's tables).
 *
 * _PAGE_HOSTED says that the stub process probably maps this page at this place, _PAGE_HOSTED_RW and _PAGE_HOSTED_X with which rights:
 * hints to make fewer host calls. What must hold: a page that the host maps has the bits, or a stale range covers it
 * (asm/tlbflush.h). So an entry that is cleared or invalidated loses the bits and leaves a stale range of the kind "zapped" behind
 * (hostmap_zap); a new address space loses all that it inherited (kernel/hostmap.c). Pages that are not young are not brought in, and
 * pages that are not dirty only without write permission, so that accessed and dirty bits are kept without hardware.
 *
 * A leaf of the level above, a huge page, is an entry of the same form with _PAGE_PSE; one entry stands for 512 pages everywhere.
 */
#ifndef __ASM_UM_PGTABLE_H
#define __ASM_UM_PGTABLE_H

#include <linux/bits.h>
#include <host/memory.h>

#define _PAGE_PRESENT	BIT(0)
#define _PAGE_RW	BIT(1)
#define _PAGE_USER	BIT(2)
#define _PAGE_HOSTED_RW	BIT(3)	/* with _PAGE_HOSTED: hosted with write permission */
#define _PAGE_HOSTED_X	BIT(4)	/* with _PAGE_HOSTED: hosted with permission to execute */
#define _PAGE_ACCESSED	BIT(5)
#define _PAGE_DIRTY	BIT(6)
#define _PAGE_PSE	BIT(7)	/* in a pmd: maps a huge page; may be all that is left of an invalidated one */
#define _PAGE_PROTNONE	BIT(8)	/* present to the kernel, not to the guest */
#define _PAGE_HOSTED	BIT(9)
#define _PAGE_SPECIAL	BIT(10)
#define _PAGE_SOFT_DIRTY BIT(11)
#define _PAGE_UFFD_WP	BIT(52)
#define _PAGE_NX	BIT(63)

#define _PAGE_PFN_MASK	(GENMASK(51, PAGE_SHIFT))
#define _PAGE_TABLE	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY)
#define _PAGE_CHG_MASK	(_PAGE_PFN_MASK | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_HOSTED | _PAGE_HOSTED_RW | _PAGE_HOSTED_X | \
			 _PAGE_SPECIAL | _PAGE_PSE | _PAGE_SOFT_DIRTY | _PAGE_UFFD_WP)

/* An entry that is not present: a swap entry. Bits 0, 7 and 8 stay clear. */
#define _PAGE_SWP_EXCLUSIVE	BIT(1)
#define _PAGE_SWP_UFFD_WP	BIT(2)
#define _PAGE_SWP_SOFT_DIRTY	BIT(3)

#define PTRS_PER_PTE	512
#define PTRS_PER_PMD	512
#define PTRS_PER_PUD	512
#define PTRS_PER_PGD	512
#define PMD_SHIFT	21
#define PUD_SHIFT	30
#define PGDIR_SHIFT	39
#define PMD_SIZE	BIT(PMD_SHIFT)
#define PMD_MASK	(~(PMD_SIZE - 1))
#define PUD_SIZE	BIT(PUD_SHIFT)
#define PUD_MASK	(~(PUD_SIZE - 1))
#define PGDIR_SIZE	BIT(PGDIR_SHIFT)
#define PGDIR_MASK	(~(PGDIR_SIZE - 1))

#define VMALLOC_START	HOST_VMALLOC_START
#define VMALLOC_END	HOST_VMALLOC_END
#define MODULES_VADDR	HOST_MODULES_START
#define MODULES_END	HOST_MODULES_END

/* The descriptions of pages, of pfn 0 first (memory.c). */
#define vmemmap		((struct page *)HOST_MEMMAP_START)

/* A huge page is one entry of a pmd. */
#define HPAGE_SHIFT	PMD_SHIFT
#define HPAGE_SIZE	PMD_SIZE
#define HPAGE_MASK	PMD_MASK

#ifndef __ASSEMBLY__

#include <linux/mm_types.h>
#include <asm/page.h>
#include <asm-generic/pgtable-nop4d.h>

#define USER_PAGE(bits) __pgprot(_PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED | (bits))
#define PAGE_NONE	__pgprot(_PAGE_PROTNONE | _PAGE_ACCESSED | _PAGE_NX)
#define PAGE_READONLY	USER_PAGE(_PAGE_NX)
#define PAGE_READONLY_EXEC USER_PAGE(0)
#define PAGE_COPY	PAGE_READONLY
#define PAGE_COPY_EXEC	PAGE_READONLY_EXEC
#define PAGE_SHARED	USER_PAGE(_PAGE_RW | _PAGE_NX)
#define PAGE_SHARED_EXEC USER_PAGE(_PAGE_RW)
#define PAGE_KERNEL	__pgprot(_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_NX)
#define PAGE_KERNEL_EXEC __pgprot(_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY)
#define PAGE_KERNEL_RO	__pgprot(_PAGE_PRESENT | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_NX)

extern pgd_t swapper_pg_dir[PTRS_PER_PGD];
extern unsigned long *empty_zero_page;
#define ZERO_PAGE(vaddr)	virt_to_page(empty_zero_page)

/* ---- entries of the upper levels ---- */

#define TABLE_OPS(level)								\
static inline int level##_none(level##_t e) { return !level##_val(e); }			\
static inline int level##_bad(level##_t e)						\
{											\
	return (level##_val(e) & ~_PAGE_PFN_MASK) != _PAGE_TABLE;			\
}											\
static inline void set_##level(level##_t *at, level##_t e) { WRITE_ONCE(*at, e); }	\
static inline void level##_clear(level##_t *at) { set_##level(at, __##level(0)); }	\
static inline unsigned long level##_pfn(level##_t e)					\
{											\
	return (level##_val(e) & _PAGE_PFN_MASK) >> PAGE_SHIFT;				\
}											\
static inline unsigned long level##_page_vaddr(level##_t e)				\
{											\
	return (unsigned long)__va(level##_val(e) & _PAGE_PFN_MASK);			\
}

TABLE_OPS(pmd)
TABLE_OPS(pud)

#define pmd_page(e)	pfn_to_page(pmd_pfn(e))
#define pud_page(e)	pfn_to_page(pud_pfn(e))
#define pmd_leaf(e)	(!!(pmd_val(e) & _PAGE_PSE))
#define pud_leaf(e)	false
static inline int pmd_present(pmd_t e)
{
	return !!(pmd_val(e) & (_PAGE_PRESENT | _PAGE_PROTNONE | _PAGE_PSE));
}
static inline int pud_present(pud_t e)
{
	return pud_val(e) & _PAGE_PRESENT;
}
static inline pmd_t *pud_pgtable(pud_t e)
{
	return (pmd_t *)pud_page_vaddr(e);
}

/* The p4d is folded into the pgd, whose own tests nop4d.h has. */
TABLE_OPS(p4d)
static inline int p4d_present(p4d_t e)
{
	return p4d_val(e) & _PAGE_PRESENT;
}
static inline pud_t *p4d_pgtable(p4d_t e)
{
	return (pud_t *)p4d_page_vaddr(e);
}
#define p4d_page(e)	pfn_to_page(p4d_pfn(e))

/* ---- pages ---- */

#define PFN_PTE_SHIFT	PAGE_SHIFT
#define pte_none(e)	(!pte_val(e))
#define pte_present(e)	(pte_val(e) & (_PAGE_PRESENT | _PAGE_PROTNONE))
/*
 * Whether the host may map it. That of a page of PROT_NONE it may, too: mprotect() changes entries
 * one by one and flushes at the end, and meanwhile reclaim takes pages away.
 */
#define pte_accessible(mm, e) (pte_val(e) & (_PAGE_PRESENT | _PAGE_PROTNONE))
#define pte_pfn(e)	((pte_val(e) & _PAGE_PFN_MASK) >> PAGE_SHIFT)
#define pte_page(e)	pfn_to_page(pte_pfn(e))
#define pfn_pte(pfn, prot) __pte(((unsigned long)(pfn) << PAGE_SHIFT) | pgprot_val(prot))
#define pfn_pmd(pfn, prot) __pmd(((unsigned long)(pfn) << PAGE_SHIFT) | pgprot_val(prot))
#define mk_pte(page, prot) pfn_pte(page_to_pfn(page), prot)
#define pte_pgprot(e)	__pgprot(pte_val(e) & ~_PAGE_PFN_MASK)

#define ENTRY_TEST(level, name, bit) \
static inline int level##_##name(level##_t e) { return !!(level##_val(e) & (bit)); }
#define ENTRY_SET(level, name, bits) \
static inline level##_t level##_##name(level##_t e) { return __##level(level##_val(e) | (bits)); }
#define ENTRY_CLEAR(level, name, bits) \
static inline level##_t level##_##name(level##_t e) { return __##level(level##_val(e) & ~(bits)); }
/* For pages and huge pages. */
#define TEST(name, bit)		ENTRY_TEST(pte, name, bit) ENTRY_TEST(pmd, name, bit)
#define SET(name, bits)		ENTRY_SET(pte, name, bits) ENTRY_SET(pmd, name, bits)
#define CLEAR(name, bits)	ENTRY_CLEAR(pte, name, bits) ENTRY_CLEAR(pmd, name, bits)

TEST(write, _PAGE_RW)
TEST(dirty, _PAGE_DIRTY)
TEST(young, _PAGE_ACCESSED)
ENTRY_TEST(pte, special, _PAGE_SPECIAL)
TEST(hosted, _PAGE_HOSTED)
SET(mkdirty, _PAGE_DIRTY | _PAGE_SOFT_DIRTY)
SET(mkyoung, _PAGE_ACCESSED)
SET(mkwrite_novma, _PAGE_RW)
ENTRY_SET(pte, mkspecial, _PAGE_SPECIAL)
CLEAR(wrprotect, _PAGE_RW)
CLEAR(mkclean, _PAGE_DIRTY)
CLEAR(mkold, _PAGE_ACCESSED)
CLEAR(mkunhosted, _PAGE_HOSTED | _PAGE_HOSTED_RW | _PAGE_HOSTED_X)
/* linux/pgtable.h asks whether these are there. */
#define pmd_write	pmd_write
#define pmd_dirty	pmd_dirty
#define pmd_young	pmd_young

static inline int pte_exec(pte_t e)
{
	return !(pte_val(e) & _PAGE_NX);
}

#ifdef CONFIG_HAVE_ARCH_SOFT_DIRTY
TEST(soft_dirty, _PAGE_SOFT_DIRTY)
SET(mksoft_dirty, _PAGE_SOFT_DIRTY)
CLEAR(clear_soft_dirty, _PAGE_SOFT_DIRTY)
ENTRY_TEST(pte, swp_soft_dirty, _PAGE_SWP_SOFT_DIRTY)
ENTRY_SET(pte, swp_mksoft_dirty, _PAGE_SWP_SOFT_DIRTY)
ENTRY_CLEAR(pte, swp_clear_soft_dirty, _PAGE_SWP_SOFT_DIRTY)
#ifdef CONFIG_ARCH_ENABLE_THP_MIGRATION	/* without, linux/pgtable.h has them */
ENTRY_TEST(pmd, swp_soft_dirty, _PAGE_SWP_SOFT_DIRTY)
ENTRY_SET(pmd, swp_mksoft_dirty, _PAGE_SWP_SOFT_DIRTY)
ENTRY_CLEAR(pmd, swp_clear_soft_dirty, _PAGE_SWP_SOFT_DIRTY)
#endif
#endif

#ifdef CONFIG_HAVE_ARCH_USERFAULTFD_WP
TEST(uffd_wp, _PAGE_UFFD_WP)
static inline pte_t pte_mkuffd_wp(pte_t e)
{
	return __pte((pte_val(e) | _PAGE_UFFD_WP) & ~_PAGE_RW);
}
static inline pmd_t pmd_mkuffd_wp(pmd_t e)
{
	return __pmd((pmd_val(e) | _PAGE_UFFD_WP) & ~_PAGE_RW);
}
CLEAR(clear_uffd_wp, _PAGE_UFFD_WP)
TEST(swp_uffd_wp, _PAGE_SWP_UFFD_WP)
SET(swp_mkuffd_wp, _PAGE_SWP_UFFD_WP)
CLEAR(swp_clear_uffd_wp, _PAGE_SWP_UFFD_WP)
#endif

TEST(swp_exclusive, _PAGE_SWP_EXCLUSIVE)
SET(swp_mkexclusive, _PAGE_SWP_EXCLUSIVE)
CLEAR(swp_clear_exclusive, _PAGE_SWP_EXCLUSIVE)
#undef TEST
#undef SET
#undef CLEAR

static inline pte_t pte_modify(pte_t e, pgprot_t prot)
{
	return __pte((pte_val(e) & _PAGE_CHG_MASK) | (pgprot_val(prot) & ~_PAGE_CHG_MASK));
}

static inline void set_pte(pte_t *at, pte_t e)
{
	WRITE_ONCE(*at, e);
}

static inline pmd_t pmd_modify(pmd_t e, pgprot_t prot)
{
	return __pmd((pmd_val(e) & _PAGE_CHG_MASK) | (pgprot_val(prot) & ~_PAGE_CHG_MASK));
}

#define pmd_mkwrite(e, vma)		pmd_mkwrite_novma(e)
#define mk_pmd(page, prot)		pfn_pmd(page_to_pfn(page), prot)
#ifdef CONFIG_TRANSPARENT_HUGEPAGE	/* without, linux/pgtable.h says that there is none */
#define pmd_trans_huge(e)		pmd_leaf(e)
#endif
ENTRY_SET(pmd, mkhuge, _PAGE_PSE)
static inline void set_pmd_at(struct mm_struct *mm, unsigned long address, pmd_t *at, pmd_t e)
{
	set_pmd(at, e);
}
static inline pmd_t pmd_mkinvalid(pmd_t e)
{
	return __pmd(pmd_val(e) & ~(_PAGE_PRESENT | _PAGE_PROTNONE));
}
#define pmd_page_vaddr		pmd_page_vaddr

/* ---- taking entries away ---- */

struct mm_struct;
struct vm_area_struct;

/* The host may still map [address, address + size), and no entry says so any more. */
void hostmap_zap(struct mm_struct *mm, unsigned long address, unsigned long size);

#define __HAVE_ARCH_PTEP_GET_AND_CLEAR
static inline pte_t ptep_get_and_clear(struct mm_struct *mm, unsigned long address, pte_t *at)
{
	pte_t e = READ_ONCE(*at);

	set_pte(at, __pte(0));
	if (!pte_present(e) || !pte_hosted(e))
		return e;
	hostmap_zap(mm, address, PAGE_SIZE);
	return pte_mkunhosted(e);
}

static inline void pte_clear(struct mm_struct *mm, unsigned long address, pte_t *at)
{
	ptep_get_and_clear(mm, address, at);
}

/*
 * Only rights change between the two: the entry stays hosted, but where the host maps a copy with patched sites in it. The flush that follows makes
 * the host agree.
 */
pte_t hostmap_rights(struct vm_area_struct *vma, unsigned long address, pte_t e);

#define __HAVE_ARCH_PTEP_MODIFY_PROT_TRANSACTION
static inline pte_t ptep_modify_prot_start(struct vm_area_struct *vma, unsigned long address, pte_t *at)
{
	pte_t e = READ_ONCE(*at);

	set_pte(at, __pte(0));
	return e;
}

static inline void ptep_modify_prot_commit(struct vm_area_struct *vma, unsigned long address, pte_t *at, pte_t old, pte_t e)
{
	set_pte(at, hostmap_rights(vma, address, e));
}

#define __HAVE_ARCH_PMDP_HUGE_GET_AND_CLEAR
static inline pmd_t pmdp_huge_get_and_clear(struct mm_struct *mm, unsigned long address, pmd_t *at)
{
	pmd_t e = READ_ONCE(*at);

	pmd_clear(at);
	if (!pmd_leaf(e) || !pmd_hosted(e))
		return e;
	hostmap_zap(mm, address & PMD_MASK, PMD_SIZE);
	return pmd_mkunhosted(e);
}

#define pmdp_establish generic_pmdp_establish

/* kernel/pgtable.c */
#define __HAVE_ARCH_PTEP_CLEAR_YOUNG_FLUSH
int ptep_clear_flush_young(struct vm_area_struct *vma, unsigned long address, pte_t *at);
#define __HAVE_ARCH_PMDP_CLEAR_YOUNG_FLUSH
int pmdp_clear_flush_young(struct vm_area_struct *vma, unsigned long address, pmd_t *at);
#define __HAVE_ARCH_PMDP_SET_ACCESS_FLAGS
int pmdp_set_access_flags(struct vm_area_struct *vma, unsigned long address, pmd_t *at, pmd_t e, int dirty);
#define __HAVE_ARCH_PMDP_INVALIDATE
pmd_t pmdp_invalidate(struct vm_area_struct *vma, unsigned long address, pmd_t *at);
#define __HAVE_ARCH_PMDP_INVALIDATE_AD
pmd_t pmdp_invalidate_ad(struct vm_area_struct *vma, unsigned long address, pmd_t *at);
#define pmdp_collapse_flush pmdp_collapse_flush
pmd_t pmdp_collapse_flush(struct vm_area_struct *vma, unsigned long address, pmd_t *at);

/* ---- swap entries ---- */

#define __swp_type(e)		(((e).val >> 9) & 31)
#define __swp_offset(e)		((e).val >> 14)
#define __swp_entry(type, offset) ((swp_entry_t) { ((type) & 31UL) << 9 | (unsigned long)(offset) << 14 })
#define __pte_to_swp_entry(e)	((swp_entry_t) { pte_val(e) & ~0x1ffUL })
#define __swp_entry_to_pte(e)	__pte((e).val)
#define __pmd_to_swp_entry(e)	((swp_entry_t) { pmd_val(e) & ~0x1ffUL })
#define __swp_entry_to_pmd(e)	__pmd((e).val)

struct vm_fault;

/* New or changed entries: worth mapping on the host before guest code runs on. */
void update_mmu_cache_range(struct vm_fault *vmf, struct vm_area_struct *vma, unsigned long address,
			    pte_t *ptep, unsigned int nr);
#define update_mmu_cache(vma, address, ptep) update_mmu_cache_range(NULL, vma, address, ptep, 1)
void update_mmu_cache_pmd(struct vm_area_struct *vma, unsigned long address, pmd_t *pmd);

/* The fault handler loads what the guest's tables say in any case. */
#define flush_tlb_fix_spurious_fault(vma, address, ptep) do { } while (0)

#define pte_ERROR(e) pr_err("%s:%d: bad pte %016lx\n", __FILE__, __LINE__, pte_val(e))
#define pmd_ERROR(e) pr_err("%s:%d: bad pmd %016lx\n", __FILE__, __LINE__, pmd_val(e))
#define pud_ERROR(e) pr_err("%s:%d: bad pud %016lx\n", __FILE__, __LINE__, pud_val(e))
#define pgd_ERROR(e) pr_err("%s:%d: bad pgd %016lx\n", __FILE__, __LINE__, pgd_val(e))

#endif
#endif
