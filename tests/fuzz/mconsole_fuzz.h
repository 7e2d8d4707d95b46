/* SPDX-License-Identifier: GPL-2.0-only */
/* The two sides of the fuzzer of the management console meet here. */
#ifndef MCONSOLE_FUZZ_H
#define MCONSOLE_FUZZ_H

/* pretend_guest.c */
void guest_start(void);			/* what Linux does at its start */
void guest_interrupt(int irq);		/* raises it, and serves it at once */
void guest_work(void);			/* does what interrupts have left to processes */
extern void (*mconsole_while_stopped)(void);

/* mconsole_fuzz.c */
unsigned int choose(unsigned int count);	/* below count; the input alone decides */
void clients_turn(void);		/* the guest waits: clients may do something */

#endif
