/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that are part of ./linux: its configuration, for --showconfig, and the initial file system.
 */
#include <linux/linkage.h>

	.section .rodata, "a"
	.globl host_config_text
host_config_text:
	.incbin DOTCONFIG
	.byte 0

	.section .init.data, "a"
	.balign 4096
	.globl builtin_initramfs, builtin_initramfs_end
builtin_initramfs:
	.ifnc INITRAMFS, ""
	.incbin INITRAMFS
	.endif
builtin_initramfs_end:
