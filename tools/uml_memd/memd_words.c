// SPDX-License-Identifier: GPL-2.0-only
/* Numbers in options and in files of /proc. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memd.h"

int parse_size(const char *text, uint64_t *size)
{
	unsigned long long value;
	int shift = 0;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	switch (toupper((unsigned char)*end)) {
	case 'K': shift = 10; break;
	case 'M': shift = 20; break;
	case 'G': shift = 30; break;
	case 'T': shift = 40; break;
	}
	if (errno || !isdigit((unsigned char)*text) || end[!!shift] || value >> (48 - shift))
		return -1;
	*size = value << shift;
	return 0;
}

long long number_after(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (; text && *text; text = strchr(text, '\n'), text += !!text)
		if (!strncmp(text, name, length))
			return atoll(text + length);
	return -1;
}

double some_pressure(const char *text)
{
	static const char name[] = "some avg10=";
	const char *at = strstr(text, name);

	return at ? atof(at + sizeof(name) - 1) : -1;
}

int read_file(const char *folder, const char *name, char *text, int room)
{
	char path[4096];
	int fd, length;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	length = read(fd, text, room - 1);
	close(fd);
	if (length < 0)
		return -1;
	text[length] = '\0';
	return 0;
}
