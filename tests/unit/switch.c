// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pure parts of uml_switch: the table of addresses against a list of what it was told, and
 * requests of all versions, cut and changed at random.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../guest/check.h"
#include "../../tools/uml_switch/switch_request.c"
#include "../../tools/uml_switch/switch_table.c"

#define ADDRESSES 500

static void address_of(unsigned int n, uint8_t address[6])
{
	for (int i = 0; i < 6; i++)
		address[i] = i ? (uint64_t)n >> 8 * (i - 1) : 2;
}

static void table_learns(void)
{
	struct table *table = table_new(0x1234);
	int model[ADDRESSES];
	uint32_t seen[ADDRESSES] = { 0 }, now = 1000;
	unsigned int wrong = 0, known = 0;
	uint8_t address[6];

	for (unsigned int i = 0; i < ADDRESSES; i++)
		model[i] = TABLE_NO_PORT;
	for (unsigned int step = 0; step < 200000; step++) {
		unsigned int n = rand() % ADDRESSES, port = rand() % 7;
		int expected;

		now += rand() % 1000 == 0 ? rand() % 60 : 0;
		address_of(n, address);
		expected = now - seen[n] < TABLE_AGE ? model[n] : TABLE_NO_PORT;
		wrong += table_find(table, address, 0, now) != expected;
		if (step % 3 == 0)
			continue;
		wrong += table_learn(table, address, 0, port, now) != expected;
		model[n] = port;
		seen[n] = now;
		if (step % 20000 == 0) {
			table_forget(table, 3);
			for (unsigned int i = 0; i < ADDRESSES; i++)
				model[i] = model[i] == 3 ? TABLE_NO_PORT : model[i];
		}
	}
	for (unsigned int i = 0; i < ADDRESSES; i++)
		known += model[i] != TABLE_NO_PORT && now - seen[i] < TABLE_AGE;
	check(wrong == 0, "the table knows what it learned, until a port or 100 s are gone");
	check(table_count(table, now) == known, "and how much that is");
	free(table);
}

static void table_is_bounded(void)
{
	struct table *table = table_new(99);
	uint8_t address[6], own[6];
	unsigned int lost = 0;

	address_of(0xffffff, own);
	for (unsigned int n = 0; n < 1000000; n++) {
		address_of(n, address);
		table_learn(table, address, 0, 1, 10 + n / 10000);
		if (n % 100 == 0)
			lost += table_learn(table, own, 0, 2, 10 + n / 10000) != 2;
	}
	check(table_count(table, 110) <= TABLE_SETS * TABLE_WAYS && lost < 20,
	      "a million addresses leave no more than it has room for, and one in use stays");
	free(table);
}

static unsigned long make_request(unsigned char *bytes, int version)
{
	static const unsigned int heads[] = { 10, 14, 0, 12 };
	const uint32_t words[4][3] = { [1] = { REQUEST_MAGIC, 0 }, [3] = { REQUEST_MAGIC, 3, 0 } };
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/tmp/data" };

	memset(bytes, 0, REQUEST_LONGEST);
	memcpy(bytes, words[version], 12);
	memcpy(bytes + heads[version], &address, sizeof(address));
	return heads[version] + sizeof(address);
}

static void requests(void)
{
	static const int versions[] = { 0, 1, 3 };
	unsigned char bytes[REQUEST_LONGEST];
	struct request request;
	unsigned int wrong = 0;
	const char *why;

	for (unsigned int i = 0; i < 3; i++) {
		unsigned long length = make_request(bytes, versions[i]);

		for (unsigned long part = 0; part < length; part++)
			wrong += request_parse(&request, bytes, part, 1, &why) !=
				 REQUEST_INCOMPLETE;
		wrong += request_parse(&request, bytes, length, 1, &why) != REQUEST_WHOLE ||
			 request.version != versions[i] || strcmp(request.address.sun_path,
								  "/tmp/data");
	}
	check(wrong == 0, "requests of versions 0, 1 and 3 are whole with their last byte");
	make_request(bytes, 0);
	check(request_parse(&request, bytes, REQUEST_LONGEST, 0, &why) == REQUEST_WRONG,
	      "version 0 is wrong unless it is let in");
	make_request(bytes, 3);
	memset(bytes + 14, 'x', REQUEST_LONGEST - 14);
	check(request_parse(&request, bytes, REQUEST_LONGEST, 0, &why) == REQUEST_WHOLE &&
		      request.address_length <= sizeof(request.address),
	      "a path without an end is as long as an address");
}

static void damaged(void)
{
	unsigned long seconds = atol(getenv("FUZZ_SECONDS") ?: "0"), rounds = 300000;
	unsigned char bytes[REQUEST_LONGEST], *exact;
	struct request request;
	const char *why = NULL;
	unsigned int silent = 0;

	rounds += seconds * 1000000;
	for (unsigned long i = 0; i < rounds; i++) {
		unsigned long length = make_request(bytes, i % 3 == 2 ? 3 : i % 3);

		for (int n = rand() % 6; n; n--)
			bytes[rand() % (rand() % 2 ? 16 : sizeof(bytes))] = rand();
		length = rand() % 4 ? length : (unsigned long)rand() % (REQUEST_LONGEST + 1);
		exact = malloc(length ? length : 1);
		memcpy(exact, bytes, length);
		why = NULL;
		if (request_parse(&request, exact, length, i % 2, &why) == REQUEST_WRONG)
			silent += !why;
		free(exact);
	}
	check(silent == 0, "requests that are cut or changed are read within their bytes");
}

int main(void)
{
	srand(1);
	table_learns();
	table_is_bounded();
	requests();
	damaged();
	return check_done();
}
