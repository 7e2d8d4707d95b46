/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest programs: ELF files of x86-64, what they are told in the auxiliary vector, and what goes into core files. */
#ifndef __ASM_UM_ELF_H
#define __ASM_UM_ELF_H

#include <linux/thread_info.h>
#include <asm/auxvec.h>
#include <asm/ptrace.h>
#include <asm/user.h>

#define ELF_CLASS	ELFCLASS64
#define ELF_DATA	ELFDATA2LSB
#define ELF_ARCH	EM_X86_64

/* Neither 32-bit nor x32 programs. */
#define elf_check_arch(hdr) \
	((hdr)->e_machine == EM_X86_64 && (hdr)->e_ident[EI_CLASS] == ELFCLASS64)

typedef unsigned long elf_greg_t;
#define ELF_NGREG	(sizeof(struct user_regs_struct) / sizeof(elf_greg_t))
typedef elf_greg_t elf_gregset_t[ELF_NGREG];
typedef struct user_i387_struct elf_fpregset_t;

#define CORE_DUMP_USE_REGSET
#define ELF_EXEC_PAGESIZE	4096

/* Position-independent programs start at two thirds, clear of the 4 GiB that some want for themselves. */
#define ELF_ET_DYN_BASE		(TASK_SIZE / 3 * 2)
/* 16 GiB of pages */
#define STACK_RND_MASK		0x3fffffUL

#define ELF_PLATFORM		"x86_64"

extern unsigned long elf_hwcap;		/* CPUID leaf 1, EDX */
extern unsigned long host_hwcap2;	/* the host's AT_HWCAP2; see host/engine.h */
#define ELF_HWCAP		elf_hwcap
#define ELF_HWCAP2		host_hwcap2

/* A 64-bit program loses this flag, as natively: readable is not executable. */
#define SET_PERSONALITY(ex)	(current->personality &= ~READ_IMPLIES_EXEC)

/* A new program gets no values from the one before. ax keeps execve's result. */
#define ELF_PLAT_INIT(regs, load_address) elf_clear_registers(regs)

static inline void elf_clear_registers(struct pt_regs *regs)
{
	regs->bx = regs->cx = regs->dx = regs->si = regs->di = regs->bp = 0;
	regs->r8 = regs->r9 = regs->r10 = regs->r11 = 0;
	regs->r12 = regs->r13 = regs->r14 = regs->r15 = 0;
	regs->ds = regs->es = regs->fs = regs->gs = 0;
	regs->fs_base = regs->gs_base = 0;
}

/* Return from a handler is the program's own code, never the vDSO's. */
static inline bool arch_syscall_is_vdso_sigreturn(struct pt_regs *regs)
{
	return false;
}

/* The largest signal frame there can be, in bytes. */
unsigned long get_sigframe_size(void);

#define ARCH_DLINFO								\
do {										\
	if (vdso_address(current->mm))						\
		NEW_AUX_ENT(AT_SYSINFO_EHDR, vdso_address(current->mm));	\
	NEW_AUX_ENT(AT_MINSIGSTKSZ, get_sigframe_size());			\
} while (0)

/* The vDSO, which exec maps: x86_64/vdso_map.c. Its address is 0 if there is none. */
#define ARCH_HAS_SETUP_ADDITIONAL_PAGES 1
struct linux_binprm;
struct mm_struct;
unsigned long vdso_address(struct mm_struct *mm);
int arch_setup_additional_pages(struct linux_binprm *bprm, int uses_interpreter);

/* Relocation types, for modules. */
#define R_X86_64_NONE		0
#define R_X86_64_64		1
#define R_X86_64_PC32		2
#define R_X86_64_GOT32		3
#define R_X86_64_PLT32		4
#define R_X86_64_COPY		5
#define R_X86_64_GLOB_DAT	6
#define R_X86_64_JUMP_SLOT	7
#define R_X86_64_RELATIVE	8
#define R_X86_64_GOTPCREL	9
#define R_X86_64_32		10
#define R_X86_64_32S		11
#define R_X86_64_16		12
#define R_X86_64_PC16		13
#define R_X86_64_8		14
#define R_X86_64_PC8		15
#define R_X86_64_PC64		24

#endif
