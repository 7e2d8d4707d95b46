// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instruction classifier (arch/um/x86_64/insn_writes.c) against a table, and the table against
 * this processor: every instruction that can be run here is run with its operand in a page that may
 * not be touched, and the error code of the fault says whether it was a write.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "../../arch/um/x86_64/insn_writes.c"
#include "../guest/check.h"

struct test_case {
	const unsigned char *code;
	uint64_t length;
	uint64_t wanted;	/* R, W, B: ACCESS_; S: writes, but to the stack: not run */
	const char *text;
};

/* One instruction each; its memory operand is at rbx or rdi. */
#define CASE(letter, text)                                                  \
	asm(".pushsection .text\n771: " text "\n772:\n.popsection\n"        \
	    ".pushsection .rodata\n773: .asciz \"" text "\"\n.popsection\n" \
	    ".pushsection cases,\"aw\"\n.quad 771b, 772b-771b, '" letter "', 773b\n.popsection\n")

CASE("W", "mov %rax,(%rbx)");
CASE("R", "mov (%rbx),%rax");
CASE("W", "movb $1,(%rbx)");
CASE("W", "movw $1,8(%rbx)");
CASE("W", "movq $1,(%rbx)");
CASE("W", "add %eax,(%rbx)");
CASE("R", "add (%rbx),%eax");
CASE("R", "cmp %eax,(%rbx)");
CASE("R", "cmpl $1,(%rbx)");
CASE("R", "cmpb $1,(%rbx)");
CASE("R", "cmpq $1000,(%rbx)");
CASE("W", "addl $1,(%rbx)");
CASE("W", "orb $1,(%rbx)");
CASE("W", "xorw $1000,(%rbx)");
CASE("R", "test %eax,(%rbx)");
CASE("R", "testl $1,(%rbx)");
CASE("W", "sub %r9,(%rbx)");
CASE("W", "adc %al,(%rbx)");
CASE("W", "sbb %ax,(%rbx)");
CASE("W", "and %eax,(%rbx)");
CASE("W", "notl (%rbx)");
CASE("W", "negb (%rbx)");
CASE("R", "mull (%rbx)");
CASE("R", "imull (%rbx)");
CASE("R", "divl (%rbx)");
CASE("R", "idivl (%rbx)");
CASE("R", "imul (%rbx),%eax");
CASE("W", "incl (%rbx)");
CASE("W", "decb (%rbx)");
CASE("W", "incq (%rbx)");
CASE("W", "shll (%rbx)");
CASE("W", "shll $3,(%rbx)");
CASE("W", "shrl %cl,(%rbx)"); CASE("W", "rolb $1,(%rbx)"); CASE("W", "shld $3,%eax,(%rbx)");
CASE("W", "shrd %cl,%eax,(%rbx)"); CASE("W", "xchg %eax,(%rbx)"); CASE("W", "xchg %al,(%rbx)");
CASE("W", "lock incl (%rbx)");
CASE("W", "lock cmpxchg %ecx,(%rbx)");
CASE("W", "cmpxchg %ecx,(%rbx)");
CASE("W", "lock xadd %ecx,(%rbx)"); CASE("W", "xadd %cl,(%rbx)"); CASE("W", "cmpxchg8b (%rbx)");
CASE("W", "lock cmpxchg16b (%rbx)");
CASE("R", "bt %eax,(%rbx)");
CASE("R", "btl $1,(%rbx)");
CASE("W", "btsl $1,(%rbx)");
CASE("W", "btrl $1,(%rbx)");
CASE("W", "btcl $1,(%rbx)");
CASE("W", "lock btsl $1,(%rbx)");
CASE("W", "sete (%rbx)");
CASE("W", "setnle (%rbx)");
CASE("W", "movnti %eax,(%rbx)");
CASE("W", "movnti %rax,(%rbx)");
CASE("R", "movzbl (%rbx),%eax");
CASE("R", "movswl (%rbx),%eax");
CASE("R", "movslq (%rbx),%rax");
CASE("R", "cmovne (%rbx),%eax");
CASE("R", "bsf (%rbx),%eax");
CASE("R", "popcnt (%rbx),%eax");
CASE("R", "lzcnt (%rbx),%eax");
CASE("R", "movbe (%rbx),%eax");
CASE("W", "movbe %eax,(%rbx)");
CASE("R", "crc32l (%rbx),%eax");
CASE("R", "crc32w (%rbx),%eax");
CASE("R", "adcx (%rbx),%eax");
CASE("R", "adox (%rbx),%eax");
CASE("W", "mov %fs,(%rbx)");
CASE("R", "lodsb (%rsi)");
CASE("W", "stosb");
CASE("W", "rep stosq");
CASE("W", "stosl");
CASE("B", "movsb");
CASE("B", "rep movsq");
CASE("R", "scasb");
CASE("R", "cmpsb");
CASE("R", "xlat");
CASE("S", "push %rax");
CASE("S", "push %r9");
CASE("S", "push $1");
CASE("S", "push $1000");
CASE("S", "pushfq");
CASE("S", "call 1f; 1:"); CASE("S", "enter $16,$0"); CASE("S", "push %fs"); CASE("S", "call *%rax");
CASE("B", "push (%rbx)");
CASE("B", "call *(%rbx)");
CASE("R", "jmp *(%rbx)");
CASE("B", "pop (%rbx)");
CASE("R", "pop %rax"); CASE("R", "popfq"); CASE("R", "leave"); CASE("R", "ret");
CASE("W", "fsts (%rbx)");
CASE("W", "fstps (%rbx)");
CASE("W", "fstpl (%rbx)");
CASE("W", "fstpt (%rbx)");
CASE("R", "flds (%rbx)");
CASE("R", "fldl (%rbx)");
CASE("R", "fldt (%rbx)");
CASE("R", "fildl (%rbx)");
CASE("R", "fildll (%rbx)");
CASE("W", "fistl (%rbx)");
CASE("W", "fistpll (%rbx)");
CASE("W", "fisttpl (%rbx)");
CASE("W", "fisttpll (%rbx)");
CASE("W", "fisttps (%rbx)");
CASE("R", "fadds (%rbx)");
CASE("R", "fmull (%rbx)");
CASE("R", "fldcw (%rbx)");
CASE("W", "fnstcw (%rbx)");
CASE("W", "fnstsw (%rbx)");
CASE("W", "fnstenv (%rbx)");
CASE("R", "fldenv (%rbx)");
CASE("W", "fnsave (%rbx)");
CASE("R", "frstor (%rbx)");
CASE("W", "fbstp (%rbx)");
CASE("R", "fbld (%rbx)");
CASE("W", "fxsave (%rbx)");
CASE("R", "fxrstor (%rbx)");
CASE("W", "fxsave64 (%rbx)");
CASE("W", "xsave (%rbx)");
CASE("W", "xsave64 (%rbx)");
CASE("W", "xsaveopt (%rbx)");
CASE("W", "xsavec (%rbx)");
CASE("R", "xrstor (%rbx)");
CASE("R", "ldmxcsr (%rbx)");
CASE("W", "stmxcsr (%rbx)");
CASE("R", "lfence");
CASE("R", "mfence");
CASE("R", "sfence");
CASE("R", "prefetcht0 (%rbx)");
CASE("R", "nopl (%rbx)");
CASE("R", "movaps (%rbx),%xmm0");
CASE("W", "movaps %xmm0,(%rbx)");
CASE("R", "movups (%rbx),%xmm0");
CASE("W", "movups %xmm0,(%rbx)");
CASE("W", "movupd %xmm0,(%rbx)");
CASE("W", "movsd %xmm0,(%rbx)");
CASE("R", "movsd (%rbx),%xmm0");
CASE("W", "movss %xmm0,(%rbx)");
CASE("W", "movlps %xmm0,(%rbx)");
CASE("R", "movlps (%rbx),%xmm0");
CASE("W", "movhpd %xmm0,(%rbx)");
CASE("R", "movhps (%rbx),%xmm0");
CASE("R", "movsldup (%rbx),%xmm0");
CASE("R", "movshdup (%rbx),%xmm0");
CASE("R", "movddup (%rbx),%xmm0");
CASE("W", "movdqa %xmm0,(%rbx)");
CASE("R", "movdqa (%rbx),%xmm0");
CASE("W", "movdqu %xmm8,(%rbx)");
CASE("R", "movdqu (%rbx),%xmm0");
CASE("W", "movq %xmm0,(%rbx)");
CASE("R", "movq (%rbx),%xmm0");
CASE("W", "movd %xmm0,(%rbx)");
CASE("R", "movd (%rbx),%xmm0");
CASE("W", "movq %mm0,(%rbx)");
CASE("R", "movq (%rbx),%mm0");
CASE("W", "movntps %xmm0,(%rbx)");
CASE("W", "movntdq %xmm0,(%rbx)");
CASE("W", "movntq %mm0,(%rbx)");
CASE("R", "movntdqa (%rbx),%xmm0");
CASE("R", "lddqu (%rbx),%xmm0");
CASE("R", "addps (%rbx),%xmm0");
CASE("R", "pshufb (%rbx),%xmm0");
CASE("R", "cvtsi2sdl (%rbx),%xmm0");
CASE("R", "cvtdq2pd (%rbx),%xmm0");
CASE("R", "ucomisd (%rbx),%xmm0");
CASE("R", "pxor (%rbx),%xmm0");
CASE("W", "maskmovdqu %xmm1,%xmm0");
CASE("W", "pextrb $1,%xmm0,(%rbx)");
CASE("W", "pextrw $1,%xmm0,(%rbx)");
CASE("W", "pextrd $1,%xmm0,(%rbx)");
CASE("W", "extractps $1,%xmm0,(%rbx)");
CASE("R", "pinsrd $1,(%rbx),%xmm0");
CASE("R", "pcmpistri $1,(%rbx),%xmm0");
CASE("R", "aesenc (%rbx),%xmm0"); CASE("R", "palignr $1,(%rbx),%xmm0");
CASE("W", "vmovaps %ymm0,(%rbx)");
CASE("R", "vmovaps (%rbx),%ymm0");
CASE("W", "vmovups %ymm9,(%rbx)");
CASE("R", "vmovups (%rbx),%ymm9");
CASE("W", "vmovdqu %ymm0,(%rbx)");
CASE("R", "vmovdqu (%rbx),%ymm0");
CASE("W", "vmovntdq %ymm0,(%rbx)");
CASE("W", "vmovq %xmm0,(%rbx)");
CASE("W", "vmovsd %xmm0,(%rbx)");
CASE("W", "vmovhps %xmm0,(%rbx)");
CASE("R", "vmovsldup (%rbx),%ymm0");
CASE("W", "vmovd %xmm0,(%rbx)");
CASE("W", "vextractf128 $1,%ymm0,(%rbx)");
CASE("W", "vextracti128 $1,%ymm0,(%rbx)");
CASE("R", "vinserti128 $1,(%rbx),%ymm0,%ymm0");
CASE("W", "vcvtps2ph $0,%ymm0,(%rbx)");
CASE("R", "vcvtph2ps (%rbx),%ymm0");
CASE("W", "vpextrq $1,%xmm0,(%rbx)");
CASE("W", "vstmxcsr (%rbx)");
CASE("R", "vldmxcsr (%rbx)");
CASE("W", "vmaskmovps %ymm0,%ymm15,(%rbx)");
CASE("R", "vmaskmovps (%rbx),%ymm15,%ymm0");
CASE("W", "vpmaskmovd %ymm0,%ymm15,(%rbx)");
CASE("R", "vpmaskmovd (%rbx),%ymm15,%ymm0");
CASE("R", "vbroadcastss (%rbx),%ymm0");
CASE("R", "vpgatherdd %ymm15,(%rbx,%ymm2,1),%ymm0");
CASE("R", "vfmadd213ps (%rbx),%ymm1,%ymm0");
CASE("R", "andn (%rbx),%eax,%ecx");
CASE("R", "bextr %eax,(%rbx),%ecx");
CASE("R", "shlx %eax,(%rbx),%ecx");
CASE("R", "blsr (%rbx),%eax");
CASE("R", "rorx $1,(%rbx),%eax");
CASE("R", "pdep (%rbx),%eax,%ecx");
CASE("R", "mulx (%rbx),%eax,%ecx");
CASE("W", "kmovw %k1,(%rbx)");
CASE("R", "kmovw (%rbx),%k2");
CASE("W", "kmovq %k1,(%rbx)");
CASE("R", "kmovb (%rbx),%k2");
CASE("W", "vmovdqu64 %zmm0,(%rbx)");
CASE("R", "vmovdqu64 (%rbx),%zmm0");
CASE("W", "vmovaps %zmm20,(%rbx)");
CASE("W", "vmovntpd %zmm0,(%rbx)");
CASE("W", "vmovdqu8 %zmm0,(%rbx){%k1}");
CASE("R", "vmovdqu8 (%rbx),%zmm0{%k1}");
CASE("W", "vmovdqa32 %zmm0,(%rbx){%k1}");
CASE("W", "vpscatterdd %zmm0,(%rbx,%zmm2,1){%k1}");
CASE("W", "vscatterqpd %zmm0,(%rbx,%zmm2,1){%k1}");
CASE("R", "vpgatherdd (%rbx,%zmm2,1),%zmm0{%k1}");
CASE("W", "vpcompressd %zmm0,(%rbx){%k1}");
CASE("W", "vcompresspd %zmm0,(%rbx){%k1}");
CASE("R", "vpexpandd (%rbx),%zmm0{%k1}");
CASE("W", "vpcompressb %zmm0,(%rbx){%k1}");
CASE("W", "vpmovdb %zmm0,(%rbx)");
CASE("W", "vpmovqw %zmm0,(%rbx)");
CASE("W", "vpmovsdw %zmm0,(%rbx)");
CASE("W", "vpmovuswb %zmm0,(%rbx)");
CASE("R", "vpmovzxbd (%rbx),%zmm0");
CASE("R", "vpsllvw (%rbx),%zmm0,%zmm1");
CASE("W", "vextractf64x4 $1,%zmm0,(%rbx)");
CASE("W", "vextracti32x4 $1,%zmm0,(%rbx)");
CASE("W", "vextractf32x8 $1,%zmm0,(%rbx)");
CASE("R", "vinserti64x4 $1,(%rbx),%zmm0,%zmm0");
CASE("W", "vcvtps2ph $0,%zmm0,(%rbx)");
CASE("R", "vaddps (%rbx){1to16},%zmm0,%zmm1");
CASE("R", "vpternlogd $1,(%rbx),%zmm0,%zmm1");
CASE("W", "vmovsh %xmm0,(%rbx)");
CASE("R", "vmovsh (%rbx),%xmm0");
CASE("W", "vmovw %xmm16,(%rbx)");
CASE("W", "movdiri %eax,(%rbx)");
CASE("B", "movdir64b (%rbx),%rdi");
CASE("R", "nop");
CASE("R", "ud2");
CASE("R", "syscall");
CASE("R", "lea (%rbx),%rax");
CASE("R", "mov %rax,%rbx");
CASE("R", "add %eax,%ebx");
CASE("R", "xchg %eax,%ecx");
CASE("R", "setne %al");
CASE("R", "shl $1,%eax");
CASE("R", "not %eax");
CASE("W", "fs movl $1,(%rbx)");
CASE("R", "gs mov (%rbx),%eax");
CASE("W", "movw %ax,(%rbx)");
CASE("W", "addr32 mov %eax,(%ebx)");
CASE("W", "movabs %eax,0x1122334455667788");
CASE("R", "movabs 0x1122334455667788,%eax");
CASE("W", "sidt (%rbx)");
CASE("W", "sgdt (%rbx)");
CASE("W", "smsw (%rbx)");
CASE("W", "sldt (%rbx)");
CASE("W", "str (%rbx)");
CASE("R", "clflush (%rbx)");
CASE("R", "verr (%rbx)");

extern struct test_case __start_cases[], __stop_cases[];

static sigjmp_buf back;
static volatile int fault_signal, fault_error;
static volatile uintptr_t fault_address, fault_rip;

static void faulted(int sig, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;

	fault_signal = sig;
	fault_error = r[REG_ERR];
	fault_address = r[REG_TRAPNO] == 14 ? (uintptr_t)info->si_addr : 0;
	fault_rip = r[REG_RIP];
	siglongjmp(back, 1);
}

static int has_avx512(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

/*
 * Run @code with rbx and rdi in the middle of @page; 'R' or 'W' as the processor says, 0 if it
 * says nothing.
 */
static int ask_processor(unsigned char *place, const struct test_case *c, char *page)
{
	static volatile int wide;
	char *middle = page + 2048;

	wide = has_avx512();
	memcpy(place, c->code, c->length);
	place[c->length] = 0x0f;
	place[c->length + 1] = 0x0b;
	if (!sigsetjmp(back, 1)) {
		if (wide)
			asm volatile("vpxord %%zmm2, %%zmm2, %%zmm2\n\tkxnorq %%k1, %%k1, %%k1\n\t"
				     "vpcmpeqd %%ymm15, %%ymm15, %%ymm15" : : : "xmm2", "xmm15");
		asm volatile(
			"pcmpeqd %%xmm1, %%xmm1\n\tfninit\n\tfld1\n\tmov $8, %%ecx\n\txor %%edx, %%edx\n\txor %%eax, %%eax\n\t"
			"mov %[middle], %%rbx\n\tmov %[middle], %%rdi\n\tmov %[middle], %%rsi\n\tjmp *%[place]"
			:
			: [middle] "r"(middle), [place] "r"(place)
			: "rax", "rbx", "rcx", "rdx", "rdi", "rsi", "xmm1", "memory");
		__builtin_unreachable();
	}
	if (fault_signal != SIGSEGV || fault_rip != (uintptr_t)place ||
	    fault_address < (uintptr_t)page || fault_address >= (uintptr_t)page + 4096)
		return 0;
	return fault_error & 2 ? 'W' : 'R';
}

static int letter_of(int access)
{
	return access == ACCESS_WRITES ? 'W' : access == ACCESS_BOTH ? 'B' : 'R';
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = faulted,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	unsigned char *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int wrong = 0, mistaken = 0, asked = 0, short_bad = 0, total = 0;

	need(page != MAP_FAILED && place != MAP_FAILED);
	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGTRAP, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	for (struct test_case *c = __start_cases; c < __stop_cases; c++, total++) {
		int wanted = c->wanted == 'S' ? 'W' : (int)c->wanted, got, says;
		unsigned char *copy = malloc(c->length);

		memcpy(copy, c->code,
		       c->length); /* of its exact length: the sanitizer sees a byte too many */
		got = letter_of(instruction_writes(copy, c->length));
		if (got != wanted) {
			say("# %s: %c, wanted %c\n", c->text, got, wanted);
			wrong++;
		}
		for (unsigned int length = 0; length < c->length; length++)
			short_bad += instruction_writes(copy, length) > ACCESS_BOTH;
		free(copy);
		if (c->wanted == 'S' || c->wanted == 'B' || !strcmp(c->text, "syscall") ||
		    !strncmp(c->text, "ret", 3) || !strncmp(c->text, "pop", 3) ||
		    !strncmp(c->text, "leave", 5))
			continue;
		says = ask_processor(place, c, page);
		asked += says != 0;
		if (says && says != wanted) {
			say("# %s: the processor says %c, the table %c\n", c->text, says, wanted);
			mistaken++;
		}
	}
	say("# %d instructions, %d of them asked of the processor\n", total, asked);
	check(!wrong, "every instruction of the table is classified as it says");
	check(!mistaken && asked > 100, "the table says what the processor does");
	check(!short_bad, "an instruction cut short is answered without looking further");
	for (int i = 0; i < 1000000; i++) {
		unsigned char *random = malloc(15);

		for (int j = 0; j < 15; j++)
			random[j] = rand() >> 7;
		short_bad += (unsigned int)instruction_writes(random, rand() % 16) > ACCESS_BOTH;
		free(random);
	}
	check(!short_bad, "a million random byte strings are answered");
	return check_done();
}
