/* SPDX-License-Identifier: GPL-2.0-only */
/* The stub program as bytes of ./linux. */
	.section .rodata, "a"
	.balign	4096
	.globl	host_stub_image, host_stub_image_end
host_stub_image:
	.incbin	STUB
host_stub_image_end:
