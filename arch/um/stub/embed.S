/* SPDX-License-Identifier: GPL-2.0-only */
/* The stub programs as bytes of ./linux. */
	.section .rodata, "a"
	.balign	4096
	.globl	host_ptrace_stub, host_ptrace_stub_end, host_seccomp_stub, host_seccomp_stub_end
host_ptrace_stub:
	.incbin	PTRACE_STUB
host_ptrace_stub_end:
	.balign	4096
host_seccomp_stub:
	.incbin	SECCOMP_STUB
host_seccomp_stub_end:
