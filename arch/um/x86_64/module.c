// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where loadable modules lie, and their relocation. They lie within 2 GiB of the image and below
 * 2^31, so the small code model serves. Relocation types: System V ABI, AMD64 supplement, table
 * 4.9.
 */
#include <linux/elf.h>
#include <linux/execmem.h>
#include <linux/mm.h>
#include <linux/moduleloader.h>

static struct execmem_info module_space __ro_after_init;

struct execmem_info __init *execmem_arch_setup(void)
{
	module_space.ranges[EXECMEM_DEFAULT] = (struct execmem_range) {
		.start = MODULES_VADDR,
		.end = MODULES_END,
		.pgprot = PAGE_KERNEL,	/* set_memory_rox() for code, later */
		.alignment = 1,
	};
	return &module_space;
}

static int relocate(void *place, u64 type, u64 value, struct module *module)
{
	s64 relative = value - (u64)place;

	switch (type) {
	case R_X86_64_NONE:
		return 0;
	case R_X86_64_64:
		*(u64 *)place = value;
		return 0;
	case R_X86_64_32:
		*(u32 *)place = value;
		return value == (u32)value ? 0 : -ENOEXEC;
	case R_X86_64_32S:
		*(s32 *)place = value;
		return value == (u64)(s64)(s32)value ? 0 : -ENOEXEC;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		*(s32 *)place = relative;
		return relative == (s32)relative ? 0 : -ENOEXEC;
	case R_X86_64_PC64:
		*(u64 *)place = relative;
		return 0;
	default:
		pr_err("%s: unknown relocation type %llu\n", module->name, type);
		return -ENOEXEC;
	}
}

int apply_relocate_add(Elf64_Shdr *sections, const char *strings, unsigned int symbols, unsigned int which, struct module *module)
{
	Elf64_Rela *rela = (void *)sections[which].sh_addr;
	Elf64_Rela *end = (void *)rela + sections[which].sh_size;
	void *target = (void *)sections[sections[which].sh_info].sh_addr;

	for (; rela < end; rela++) {
		Elf64_Sym *symbol = (Elf64_Sym *)sections[symbols].sh_addr + ELF64_R_SYM(rela->r_info);
		int error = relocate(target + rela->r_offset, ELF64_R_TYPE(rela->r_info), symbol->st_value + rela->r_addend, module);

		if (error) {
			pr_err("%s: relocation %zu does not fit\n", module->name, (size_t)(rela - (Elf64_Rela *)sections[which].sh_addr));
			return error;
		}
	}
	return 0;
}
