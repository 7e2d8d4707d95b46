/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The XSAVE area in its standard form, as buffers hold it: the 512 bytes of FXSAVE, the header, the
 * components at the offsets that CPUID leaf 13 gives. Buffers are always complete: x87 and SSE are
 * there and marked present, and what is marked absent is all zero.
 */
#ifndef UM_XSAVE_H
#define UM_XSAVE_H

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <asm/user.h>
#include <asm/xstate.h>
#include <uapi/asm/sigcontext.h>

#define XSTATE_X87	(1UL << 0)
#define XSTATE_SSE	(1UL << 1)
#define XSTATE_AVX	(1UL << 2)
#define XSTATE_PKRU	(1UL << 9)
#define XSTATE_TILEDATA	(1UL << 18)
#define XSTATE_LEGACY	(XSTATE_X87 | XSTATE_SSE)

#define MXCSR_DEFAULT	0x1f80

struct xsave_area {
	union {
		struct user_i387_struct fx;
		struct {
			char fx_used[464];
			struct _fpx_sw_bytes sw;	/* bytes that the processor leaves to software */
		};
	};
	struct user_xstate_header header;
	char extended[];
};
static_assert(offsetof(struct xsave_area, header) == 512);
static_assert(sizeof(struct xsave_area) == 576);

extern unsigned long xstate_features;	/* what a guest thread may have; a subset of host_xfeatures, or X87 and SSE */
extern unsigned int xstate_frame_size;	/* bytes of an area with those, as it goes into signal frames */
extern unsigned int xstate_mxcsr_mask;	/* bits of MXCSR that may be set */

/*
 * As xstate_write, for a caller that replaces everything: the buffer's content is not brought up to
 * date.
 */
struct xsave_area *xstate_overwrite(struct task_struct *task);
/* Bytes from the start of an area to the end of its last component in features. */
unsigned int xstate_end_of(unsigned long features);
/* Makes an area complete whose legacy part, header and present components were filled in. */
void xstate_complete(struct xsave_area *area);

#endif
