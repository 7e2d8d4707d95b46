// SPDX-License-Identifier: GPL-2.0-only
/* Requests for a port. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "switch_request.h"

#define PATH	offsetof(struct sockaddr_un, sun_path)

/* Clients bind abstract names with all of their bytes, the zeros at the end too. */
static socklen_t address_length(const struct sockaddr_un *address)
{
	unsigned int room = sizeof(address->sun_path);

	if (!address->sun_path[0])
		return PATH + room;
	return PATH + strnlen(address->sun_path, room);
}

static enum request_state wrong(const char **why, const char *words)
{
	*why = words;
	return REQUEST_WRONG;
}

enum request_state request_parse(struct request *request, const void *bytes, unsigned long length,
				 int old, const char **why)
{
	uint32_t word[3] = { 0 };
	unsigned int head;

	memcpy(word, bytes, length < sizeof(word) ? length : sizeof(word));
	if (length < sizeof(word))
		return REQUEST_INCOMPLETE;
	if (word[0] == REQUEST_MAGIC && word[1] == 3) {
		if (word[2] != 0)
			return wrong(why, "its type is not known");
		request->version = 3;
		head = 12;
	} else if (word[0] == REQUEST_MAGIC && word[1] == 0) {
		request->version = 1;
		head = 14;
	} else if (word[0] == REQUEST_MAGIC) {
		return wrong(why, "its version is not known");
	} else if (old && word[0] == 0) {
		request->version = 0;
		head = 10;
	} else {
		return wrong(why, "it does not begin as one");
	}
	if (length < head + sizeof(request->address))
		return REQUEST_INCOMPLETE;
	memcpy(&request->address, (const char *)bytes + head, sizeof(request->address));
	if (request->address.sun_family != AF_UNIX)
		return wrong(why, "its data socket is no Unix socket");
	request->address_length = address_length(&request->address);
	return REQUEST_WHOLE;
}
