// SPDX-License-Identifier: GPL-2.0-only
/* The addresses that the switch has learned. */
#include <stdlib.h>
#include <string.h>

#include "switch_table.h"

struct entry {
	uint64_t key;			/* address and VLAN; 0: free */
	uint64_t order;			/* larger: seen later */
	int port;
	uint32_t seen;			/* seconds */
};

struct table {
	uint64_t secret;		/* so no sender can choose addresses of one set */
	uint64_t frames;		/* that were learned from */
	struct entry entries[TABLE_SETS][TABLE_WAYS];
};

static uint64_t key_of(const uint8_t address[6], unsigned int vlan)
{
	uint64_t key = 0;

	memcpy(&key, address, 6);
	return key | (uint64_t)(vlan + 1) << 48;
}

/* The set of a key: a multiplicative hash, of which the upper bits are good. */
static unsigned int set_of(const struct table *table, uint64_t key)
{
	key = (key ^ table->secret) * UINT64_C(0x9e3779b97f4a7c15);
	key = (key ^ key >> 32 ^ table->secret >> 7) * UINT64_C(0xd6e8feb86659fd93);
	return key >> 48 & (TABLE_SETS - 1);
}

static int is_known(const struct entry *entry, uint32_t now)
{
	return entry->key && now - entry->seen < TABLE_AGE;
}

struct table *table_new(uint64_t secret)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table)
		table->secret = secret;
	return table;
}

int table_learn(struct table *table, const uint8_t address[6], unsigned int vlan, int port,
		uint32_t now)
{
	uint64_t key = key_of(address, vlan);
	struct entry *set = table->entries[set_of(table, key)], *place = set;
	unsigned int way;
	int before;

	for (way = 0; way < TABLE_WAYS && set[way].key != key; way++)
		if (!set[way].key || (place->key && set[way].order < place->order))
			place = &set[way];
	if (way < TABLE_WAYS)
		place = &set[way];
	before = place->key == key && is_known(place, now) ? place->port : TABLE_NO_PORT;
	*place = (struct entry){ .key = key, .order = ++table->frames,
				 .port = port, .seen = now };
	return before;
}

int table_find(const struct table *table, const uint8_t address[6], unsigned int vlan,
	       uint32_t now)
{
	uint64_t key = key_of(address, vlan);
	const struct entry *set = table->entries[set_of(table, key)];

	for (unsigned int way = 0; way < TABLE_WAYS; way++)
		if (set[way].key == key && is_known(&set[way], now))
			return set[way].port;
	return TABLE_NO_PORT;
}

void table_forget(struct table *table, int port)
{
	for (unsigned int set = 0; set < TABLE_SETS; set++)
		for (unsigned int way = 0; way < TABLE_WAYS; way++)
			if (table->entries[set][way].port == port)
				table->entries[set][way] = (struct entry){ .key = 0 };
}

unsigned int table_count(const struct table *table, uint32_t now)
{
	unsigned int count = 0;

	for (unsigned int set = 0; set < TABLE_SETS; set++)
		for (unsigned int way = 0; way < TABLE_WAYS; way++)
			count += is_known(&table->entries[set][way], now);
	return count;
}
