/* SPDX-License-Identifier: GPL-2.0-only */
/* The vDSO as bytes of ./linux; vdso_map.c copies it into guest RAM. */
	.section .init.rodata, "a"
	.balign	8
	.globl	vdso_image, vdso_image_end
vdso_image:
	.incbin	VDSO
vdso_image_end:
	.section .note.GNU-stack, "", @progbits
