/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layout of the vDSO: one segment, not writable, at address 0 of the file and anywhere in memory. Its two data pages lie right
 * below it (vdso_map.c), so the code reaches them relative to itself.
 */
#define PAGE 4096

SECTIONS
{
	_vdso_data = . - 2 * PAGE;
	_timens_data = . - PAGE;

	. = SIZEOF_HEADERS;
	.note		: { *(.note .note.Linux .note.gnu.build-id) } :segment :note
	.dynstr		: { *(.dynstr) }		:segment
	.dynsym		: { *(.dynsym) }
	.gnu.version	: { *(.gnu.version) }
	.gnu.version_d	: { *(.gnu.version_d) }
	.gnu.hash	: { *(.gnu.hash) }
	.hash		: { *(.hash) }
	.dynamic	: { *(.dynamic) }		:segment :dynamic
	.eh_frame_hdr	: { *(.eh_frame_hdr) }		:segment :unwind
	.eh_frame	: { KEEP(*(.eh_frame)) }	:segment
	.rodata		: { *(.rodata .rodata.*) }
	.text		: { *(.text .text.*) }		:segment =0xcccccccc

	/* Code that would need these could not run here. */
	ASSERT(SIZEOF(.writable) == 0, "the vDSO has writable data")
	.writable	: { *(.data .data.* .bss .bss.* .got.plt .got .plt) }

	/DISCARD/	: { *(.note.gnu.property .discard .discard.* .altinstructions .altinstr_replacement __bug_table) }
}

PHDRS
{
	segment	PT_LOAD FLAGS(5) FILEHDR PHDRS;
	dynamic	PT_DYNAMIC FLAGS(4);
	note	PT_NOTE FLAGS(4);
	unwind	PT_GNU_EH_FRAME FLAGS(4);
}

VERSION
{
	LINUX_2.6 {
	global:
		clock_gettime; __vdso_clock_gettime;
		clock_getres; __vdso_clock_getres;
		gettimeofday; __vdso_gettimeofday;
		time; __vdso_time;
		getcpu; __vdso_getcpu;
	local: *;
	};
}
