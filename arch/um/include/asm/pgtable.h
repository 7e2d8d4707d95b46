/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest page tables: four levels of 512 entries, read by nobody but us (the host's hardware sees the host's tables).
 *
 * _PAGE_HOSTED says that the stub process probably maps this page at this place, _PAGE_HOSTED_RW that it may write to it there:
 * hints to make fewer host calls. What must hold: a page that the host maps has the bits, or a stale range covers it
 * (asm/tlbflush.h). An entry that moves loses them; a new address space loses all that it inherited (kernel/hostmap.c). Pages that are
 * not young are not brought in, and pages that are not dirty only without write permission, so that accessed and dirty bits are kept
 * without hardware.
 */
#ifndef __ASM_UM_PGTABLE_H
#define __ASM_UM_PGTABLE_H

#include <linux/bits.h>
#include <host/memory.h>

#define _PAGE_PRESENT	BIT(0)
#define _PAGE_RW	BIT(1)
#define _PAGE_USER	BIT(2)
#define _PAGE_HOSTED_RW	BIT(3)	/* with _PAGE_HOSTED: hosted with write permission */
#define _PAGE_ACCESSED	BIT(5)
#define _PAGE_DIRTY	BIT(6)
#define _PAGE_PROTNONE	BIT(8)	/* present to the kernel, not to the guest */
#define _PAGE_HOSTED	BIT(9)
#define _PAGE_SPECIAL	BIT(10)
#define _PAGE_SOFT_DIRTY BIT(11)
#define _PAGE_UFFD_WP	BIT(52)
#define _PAGE_NX	BIT(63)

#define _PAGE_PFN_MASK	(GENMASK(51, PAGE_SHIFT))
#define _PAGE_TABLE	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY)
#define _PAGE_CHG_MASK	(_PAGE_PFN_MASK | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_HOSTED | _PAGE_HOSTED_RW | _PAGE_SPECIAL | \
			 _PAGE_SOFT_DIRTY | _PAGE_UFFD_WP)

/* An entry that is not present: a swap entry. Bits 0 and 8 stay clear. */
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

#define MAX_PHYSMEM_BITS 44

#ifndef __ASSEMBLY__

#include <linux/mm_types.h>
#include <asm/page.h>
#include <asm-generic/pgtable-nop4d.h>

#define __P(bits)	__pgprot(_PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED | (bits))
#define PAGE_NONE	__pgprot(_PAGE_PROTNONE | _PAGE_ACCESSED | _PAGE_NX)
#define PAGE_READONLY	__P(_PAGE_NX)
#define PAGE_READONLY_EXEC __P(0)
#define PAGE_COPY	PAGE_READONLY
#define PAGE_COPY_EXEC	PAGE_READONLY_EXEC
#define PAGE_SHARED	__P(_PAGE_RW | _PAGE_NX)
#define PAGE_SHARED_EXEC __P(_PAGE_RW)
#define PAGE_KERNEL	__pgprot(_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_NX)
#define PAGE_KERNEL_EXEC __pgprot(_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY)
#define PAGE_KERNEL_RO	__pgprot(_PAGE_PRESENT | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_NX)

extern pgd_t swapper_pg_dir[PTRS_PER_PGD];
extern unsigned long *empty_zero_page;
#define ZERO_PAGE(vaddr)	virt_to_page(empty_zero_page)

/* ---- entries of the upper levels ---- */

#define TABLE_OPS(level)								\
static inline int level##_none(level##_t e) { return !level##_val(e); }			\
static inline int level##_present(level##_t e) { return level##_val(e) & _PAGE_PRESENT; } \
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
#define pmd_leaf(e)	false
#define pud_leaf(e)	false
static inline pmd_t *pud_pgtable(pud_t e)
{
	return (pmd_t *)pud_page_vaddr(e);
}

/* The p4d is folded into the pgd, whose own tests nop4d.h has. */
TABLE_OPS(p4d)
static inline pud_t *p4d_pgtable(p4d_t e)
{
	return (pud_t *)p4d_page_vaddr(e);
}
#define p4d_page(e)	pfn_to_page(p4d_pfn(e))

/* ---- pages ---- */

#define PFN_PTE_SHIFT	PAGE_SHIFT
#define pte_none(e)	(!pte_val(e))
#define pte_present(e)	(pte_val(e) & (_PAGE_PRESENT | _PAGE_PROTNONE))
#define pte_accessible(mm, e) (pte_val(e) & _PAGE_PRESENT)
#define pte_pfn(e)	((pte_val(e) & _PAGE_PFN_MASK) >> PAGE_SHIFT)
#define pte_page(e)	pfn_to_page(pte_pfn(e))
#define pfn_pte(pfn, prot) __pte(((unsigned long)(pfn) << PAGE_SHIFT) | pgprot_val(prot))
#define pfn_pmd(pfn, prot) __pmd(((unsigned long)(pfn) << PAGE_SHIFT) | pgprot_val(prot))
#define mk_pte(page, prot) pfn_pte(page_to_pfn(page), prot)
#define pte_pgprot(e)	__pgprot(pte_val(e) & ~_PAGE_PFN_MASK)

#define PTE_TEST(name, bit) \
static inline int pte_##name(pte_t e) { return !!(pte_val(e) & (bit)); }
#define PTE_SET(name, bits) \
static inline pte_t pte_##name(pte_t e) { return __pte(pte_val(e) | (bits)); }
#define PTE_CLEAR(name, bits) \
static inline pte_t pte_##name(pte_t e) { return __pte(pte_val(e) & ~(bits)); }

PTE_TEST(write, _PAGE_RW)
PTE_TEST(dirty, _PAGE_DIRTY)
PTE_TEST(young, _PAGE_ACCESSED)
PTE_TEST(special, _PAGE_SPECIAL)
PTE_TEST(hosted, _PAGE_HOSTED)
PTE_SET(mkdirty, _PAGE_DIRTY | _PAGE_SOFT_DIRTY)
PTE_SET(mkyoung, _PAGE_ACCESSED)
PTE_SET(mkwrite_novma, _PAGE_RW)
PTE_SET(mkspecial, _PAGE_SPECIAL)
PTE_CLEAR(wrprotect, _PAGE_RW)
PTE_CLEAR(mkclean, _PAGE_DIRTY)
PTE_CLEAR(mkold, _PAGE_ACCESSED)
PTE_CLEAR(mkunhosted, _PAGE_HOSTED | _PAGE_HOSTED_RW)
PTE_TEST(hosted_rw, _PAGE_HOSTED_RW)

static inline int pte_exec(pte_t e)
{
	return !(pte_val(e) & _PAGE_NX);
}

#ifdef CONFIG_HAVE_ARCH_SOFT_DIRTY
/* No leaves above the lowest level, but the generic code wants the names. */
static inline int pmd_soft_dirty(pmd_t e) { return 0; }
static inline pmd_t pmd_mksoft_dirty(pmd_t e) { return e; }
static inline pmd_t pmd_clear_soft_dirty(pmd_t e) { return e; }
PTE_TEST(soft_dirty, _PAGE_SOFT_DIRTY)
PTE_SET(mksoft_dirty, _PAGE_SOFT_DIRTY)
PTE_CLEAR(clear_soft_dirty, _PAGE_SOFT_DIRTY)
PTE_TEST(swp_soft_dirty, _PAGE_SWP_SOFT_DIRTY)
PTE_SET(swp_mksoft_dirty, _PAGE_SWP_SOFT_DIRTY)
PTE_CLEAR(swp_clear_soft_dirty, _PAGE_SWP_SOFT_DIRTY)
#endif

#ifdef CONFIG_HAVE_ARCH_USERFAULTFD_WP
static inline int pmd_uffd_wp(pmd_t e) { return 0; }
static inline pmd_t pmd_mkuffd_wp(pmd_t e) { return e; }
static inline pmd_t pmd_clear_uffd_wp(pmd_t e) { return e; }
static inline int pmd_swp_uffd_wp(pmd_t e) { return 0; }
static inline pmd_t pmd_swp_mkuffd_wp(pmd_t e) { return e; }
static inline pmd_t pmd_swp_clear_uffd_wp(pmd_t e) { return e; }
PTE_TEST(uffd_wp, _PAGE_UFFD_WP)
static inline pte_t pte_mkuffd_wp(pte_t e)
{
	return __pte((pte_val(e) | _PAGE_UFFD_WP) & ~_PAGE_RW);
}
PTE_CLEAR(clear_uffd_wp, _PAGE_UFFD_WP)
PTE_TEST(swp_uffd_wp, _PAGE_SWP_UFFD_WP)
PTE_SET(swp_mkuffd_wp, _PAGE_SWP_UFFD_WP)
PTE_CLEAR(swp_clear_uffd_wp, _PAGE_SWP_UFFD_WP)
#endif

PTE_TEST(swp_exclusive, _PAGE_SWP_EXCLUSIVE)
PTE_SET(swp_mkexclusive, _PAGE_SWP_EXCLUSIVE)
PTE_CLEAR(swp_clear_exclusive, _PAGE_SWP_EXCLUSIVE)

static inline pte_t pte_modify(pte_t e, pgprot_t prot)
{
	return __pte((pte_val(e) & _PAGE_CHG_MASK) | (pgprot_val(prot) & ~_PAGE_CHG_MASK));
}

static inline void set_pte(pte_t *at, pte_t e)
{
	WRITE_ONCE(*at, e);
}

#define pte_clear(mm, addr, at)	set_pte(at, __pte(0))
#define pmd_page_vaddr		pmd_page_vaddr

/* An entry that moves to another address is not hosted there. */
#define __HAVE_ARCH_MOVE_PTE
#define move_pte(pte, old_addr, new_addr) pte_mkunhosted(pte)

#define __swp_type(e)		(((e).val >> 9) & 31)
#define __swp_offset(e)		((e).val >> 14)
#define __swp_entry(type, offset) ((swp_entry_t) { ((type) & 31UL) << 9 | (unsigned long)(offset) << 14 })
#define __pte_to_swp_entry(e)	((swp_entry_t) { pte_val(e) & ~0x1ffUL })
#define __swp_entry_to_pte(e)	__pte((e).val)

struct vm_fault;
struct vm_area_struct;

/* New or changed entries: worth mapping on the host before guest code runs on. */
void update_mmu_cache_range(struct vm_fault *vmf, struct vm_area_struct *vma, unsigned long address,
			    pte_t *ptep, unsigned int nr);
#define update_mmu_cache(vma, address, ptep) update_mmu_cache_range(NULL, vma, address, ptep, 1)
#define update_mmu_cache_pmd(vma, address, pmd) do { } while (0)

/* The fault handler loads what the guest's tables say in any case. */
#define flush_tlb_fix_spurious_fault(vma, address, ptep) do { } while (0)

#define pte_ERROR(e) pr_err("%s:%d: bad pte %016lx\n", __FILE__, __LINE__, pte_val(e))
#define pmd_ERROR(e) pr_err("%s:%d: bad pmd %016lx\n", __FILE__, __LINE__, pmd_val(e))
#define pud_ERROR(e) pr_err("%s:%d: bad pud %016lx\n", __FILE__, __LINE__, pud_val(e))
#define pgd_ERROR(e) pr_err("%s:%d: bad pgd %016lx\n", __FILE__, __LINE__, pgd_val(e))

#endif
#endif
