/* SPDX-License-Identifier: GPL-2.0-only */
/* Output that waits for its reader: a ring in which the newest bytes replace the oldest. */
#ifndef OUTBOX_H
#define OUTBOX_H

#define OUTBOX_SIZE 65536UL	/* a power of two */

struct outbox {
	char *bytes;			/* OUTBOX_SIZE of them */
	unsigned long start, end;	/* count all bytes that ever were taken out and put in */
};

/* Makes an empty one; 0 or -ENOMEM. */
int outbox_init(struct outbox *box);
void outbox_free(struct outbox *box);
static inline unsigned long outbox_length(const struct outbox *box)
{
	return box->end - box->start;
}
/* A signal handler may read the box at any moment of this, and finds whole bytes. */
void outbox_put(struct outbox *box, const char *bytes, unsigned long length);
/* The oldest bytes, as many as lie in one piece; 0: there are none. */
unsigned long outbox_oldest(const struct outbox *box, const char **bytes);
void outbox_remove(struct outbox *box, unsigned long length);

#endif
