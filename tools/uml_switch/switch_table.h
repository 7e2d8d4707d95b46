/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which port an Ethernet address is behind: a function of its arguments and of the time among them,
 * without a clock or a host call but for memory, so that tests can try it.
 *
 * The table has room for TABLE_SETS * TABLE_WAYS addresses and never more. A new address replaces
 * the one of its set that has not been seen for longest. So a sender that makes up addresses pushes
 * out others. Frames to those are flooded, as before they were learned.
 */
#ifndef SWITCH_TABLE_H
#define SWITCH_TABLE_H

#include <stdint.h>

#define TABLE_SETS	2048U
#define TABLE_WAYS	4U
#define TABLE_AGE	100	/* seconds without a frame after which an address is forgotten */
#define TABLE_NO_PORT	(-1)

struct table;

/* @secret: a number that no sender of frames knows. NULL: there is no memory. */
struct table *table_new(uint64_t secret);
/*
 * A frame from @address of @vlan came in by @port. Returns the port that it was behind before,
 * which is @port if nothing is new; TABLE_NO_PORT: it was not known. @now: seconds, never less than
 * before.
 */
int table_learn(struct table *table, const uint8_t address[6], unsigned int vlan, int port,
		uint32_t now);
/* The port that @address is behind, or TABLE_NO_PORT. */
int table_find(const struct table *table, const uint8_t address[6], unsigned int vlan,
	       uint32_t now);
/* The port is gone. */
void table_forget(struct table *table, int port);
/* How many addresses are known. */
unsigned int table_count(const struct table *table, uint32_t now);

#endif
