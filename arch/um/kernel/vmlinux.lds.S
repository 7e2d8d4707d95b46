/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layout of ./linux: Linux's sections, and those of the host side with its libc. Host-side text
 * is apart from kernel-side text, so that a signal handler can tell them by address.
 */
/*
 * Data that are written until init runs share no page with what follows: ld.lld maps the constants
 * there for reading only, and with them all that is in their first page.
 */
#define RO_AFTER_INIT_DATA				\
	. = ALIGN(8);					\
	__start_ro_after_init = .;			\
	*(.data..ro_after_init)				\
	JUMP_TABLE_DATA					\
	STATIC_CALL_DATA				\
	__end_ro_after_init = .;			\
	. = ALIGN(PAGE_SIZE);

#include <asm-generic/vmlinux.lds.h>
#include <asm/page.h>
#include <asm/thread_info.h>
#include <asm/cache.h>

OUTPUT_FORMAT("elf64-x86-64")
OUTPUT_ARCH(i386:x86-64)
ENTRY(_start)
jiffies = jiffies_64;

SECTIONS
{
	. = 0x60000000;		/* HOST_IMAGE_BASE */
	__executable_start = .;
	. = . + SIZEOF_HEADERS;
	.note.gnu.property : { *(.note.gnu.property) }

	.rela.plt : {
		PROVIDE_HIDDEN(__rela_iplt_start = .);
		*(.rela.plt .rela.iplt)
		*(.rela.dyn)		/* ld.lld's name for them, libc's indirect functions */
		PROVIDE_HIDDEN(__rela_iplt_end = .);
	}

	. = ALIGN(PAGE_SIZE);
	.host_text : {
		host_text_start = .;
		KEEP(*(.init))
		*(.plt .iplt)
		*host.o(.text .text.* .gnu.linkonce.t.* __libc_freeres_fn)
		KEEP(*(.fini))
		host_text_end = .;
	}

	. = ALIGN(PAGE_SIZE);
	_text = .;
	_stext = .;
	.text : {
		HEAD_TEXT
		TEXT_TEXT
		SCHED_TEXT
		LOCK_TEXT
		KPROBES_TEXT
		ENTRY_TEXT
		IRQENTRY_TEXT
		SOFTIRQENTRY_TEXT
		*(.fixup)
	}
	_etext = .;

	. = ALIGN(PAGE_SIZE);
	__start_all_rodata = .;		/* to __end_rodata; see mark_rodata_ro() */
	.host_rodata : {
		*host.o(.rodata .rodata.* .gnu.linkonce.r.* .stapsdt.base)
	}
	.eh_frame : { KEEP(*host.o(.eh_frame)) }
	.gcc_except_table : { *host.o(.gcc_except_table .gcc_except_table.*) }
	RO_DATA(PAGE_SIZE)

	. = ALIGN(PAGE_SIZE);
	.tdata : { *(.tdata .tdata.*) }
	.tbss : { *(.tbss .tbss.*) }
	.preinit_array : {
		PROVIDE_HIDDEN(__preinit_array_start = .);
		KEEP(*(.preinit_array))
		PROVIDE_HIDDEN(__preinit_array_end = .);
	}
	.init_array : {
		PROVIDE_HIDDEN(__init_array_start = .);
		KEEP(*(SORT_BY_INIT_PRIORITY(.init_array.*)))
		KEEP(*(.init_array))
		PROVIDE_HIDDEN(__init_array_end = .);
	}
	.fini_array : {
		PROVIDE_HIDDEN(__fini_array_start = .);
		KEEP(*(SORT_BY_INIT_PRIORITY(.fini_array.*)))
		KEEP(*(.fini_array))
		PROVIDE_HIDDEN(__fini_array_end = .);
	}
	.data.rel.ro : { *host.o(.data.rel.ro .data.rel.ro.*) }
	.got : { *(.got) *(.got.plt .igot .igot.plt) }
	.host_data : { *host.o(.data .data.*) }

	/*
	 * libc's tables: a linker that chooses their place may take memory that is freed for init.
	 */
	__libc_subfreeres : { *(__libc_subfreeres) }
	__libc_IO_vtables : { *(__libc_IO_vtables) }
	__libc_atexit : { *(__libc_atexit) }

	_sdata = .;
	RW_DATA(L1_CACHE_BYTES, PAGE_SIZE, THREAD_SIZE)
	_edata = .;

	. = ALIGN(PAGE_SIZE);
	__init_begin = .;
	INIT_TEXT_SECTION(PAGE_SIZE)
	.init.text.exit : { EXIT_TEXT }
	INIT_DATA_SECTION(16)
	.exit.data : { EXIT_DATA }
	PERCPU_SECTION(L1_CACHE_BYTES)
	. = ALIGN(PAGE_SIZE);
	__init_end = .;

	/* Not between __bss_start and __bss_stop, all of which kmemleak reads. */
	.guarded_stacks (NOLOAD) : { *(.bss..guarded_stacks) }
	BSS_SECTION(PAGE_SIZE, PAGE_SIZE, 8)
	. = ALIGN(PAGE_SIZE);
	_end = .;
	PROVIDE(end = .);

	ELF_DETAILS
	DWARF_DEBUG
	STABS_DEBUG

	/DISCARD/ : {
		*(.altinstructions .altinstr_replacement .altinstr_aux .smp_locks .parainstructions)
		*(.retpoline_sites .return_sites .call_sites .ibt_endbr_seal .cfi_sites)
	}
	DISCARDS
}
