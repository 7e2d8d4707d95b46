// SPDX-License-Identifier: GPL-2.0-only
/*
 * getcpu of the vDSO. With one virtual CPU the answer is known; what the processor could tell
 * (rdpid) is where the host runs us, not where the guest does. Runs in guest programs.
 */
#include <linux/types.h>
#include <asm/unistd.h>
#include <vdso/processor.h>

long __vdso_getcpu(unsigned int *cpu, unsigned int *node, struct getcpu_cache *unused)
{
#if CONFIG_NR_CPUS == 1
	if (cpu)
		*cpu = 0;
	if (node)
		*node = 0;
	return 0;
#else
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(__NR_getcpu), "D"(cpu), "S"(node), "d"(0)
		     : "rcx", "r11", "memory");
	return result;
#endif
}

long getcpu(unsigned int *cpu, unsigned int *node, struct getcpu_cache *unused)
	__attribute__((weak, alias("__vdso_getcpu")));
