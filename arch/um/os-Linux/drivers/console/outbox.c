// SPDX-License-Identifier: GPL-2.0-only
/* Output that waits for its reader; see outbox.h. Its owner's lock covers it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outbox.h"

int outbox_init(struct outbox *box)
{
	box->start = box->end = 0;
	box->bytes = malloc(OUTBOX_SIZE);	/* no memory of the host until it is written */
	return box->bytes ? 0 : -ENOMEM;
}

void outbox_free(struct outbox *box)
{
	free(box->bytes);
	box->bytes = NULL;
	box->start = box->end = 0;
}

/* First the oldest go, then the new ones are written, then they count. */
void outbox_put(struct outbox *box, const char *bytes, unsigned long length)
{
	unsigned long at, piece;

	if (length > OUTBOX_SIZE) {
		bytes += length - OUTBOX_SIZE;
		length = OUTBOX_SIZE;
	}
	if (outbox_length(box) + length > OUTBOX_SIZE)
		box->start = box->end + length - OUTBOX_SIZE;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	at = box->end & (OUTBOX_SIZE - 1);
	piece = length < OUTBOX_SIZE - at ? length : OUTBOX_SIZE - at;
	memcpy(box->bytes + at, bytes, piece);
	memcpy(box->bytes, bytes + piece, length - piece);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	box->end += length;
}

unsigned long outbox_oldest(const struct outbox *box, const char **bytes)
{
	unsigned long at = box->start & (OUTBOX_SIZE - 1), length = outbox_length(box);

	*bytes = box->bytes + at;
	return length < OUTBOX_SIZE - at ? length : OUTBOX_SIZE - at;
}

void outbox_remove(struct outbox *box, unsigned long length)
{
	box->start += length;
}
