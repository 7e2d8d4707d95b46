// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whom the host ends when it is out of memory.
 *
 * Guest RAM is shared: to end a stub process frees none of it, but it counts as that process's own
 * as well as ours. So ./linux makes itself the one to end before its stubs, by at least as much as
 * guest RAM is worth: the guest ends at once, with all its memory, in place of its processes one
 * after another, with nothing. Compared with other programs of the host a stub counts as it did.
 *
 * The score goes up without privileges, and back to what it was at the start. Where the host shows
 * no /proc, all stays as it is.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <host/process.h>

#include "os.h"

#define SCORE "/proc/self/oom_score_adj"
#define MOST 1000

static int raised;
static char inherited[16];

static int read_text(const char *path, char *text, int size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), length;

	if (fd < 0)
		return -1;
	length = read(fd, text, size - 1);
	close(fd);
	if (length <= 0)
		return -1;
	text[length] = 0;
	return 0;
}

static int write_score(const char *text)
{
	int fd = open(SCORE, O_WRONLY | O_CLOEXEC), length = strlen(text), done;

	if (fd < 0)
		return -1;
	done = write(fd, text, length);
	close(fd);
	return done == length ? 0 : -1;
}

/*
 * The memory that the score is a part of: the host's, or what the control group of this process may
 * have.
 */
static unsigned long long all_memory(void)
{
	unsigned long long all = (unsigned long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), limit;
	char groups[4096], path[4352], text[32], *group, *end;

	if (read_text("/proc/self/cgroup", groups, sizeof(groups)))
		return all;
	group = strstr(groups, "0::/");
	if (!group)
		return all;
	group += 3;
	end = strchr(group, '\n');
	snprintf(path, sizeof(path), "/sys/fs/cgroup%.*s/memory.max", end ? (int)(end - group) : (int)strlen(group), group);
	if (read_text(path, text, sizeof(text)))
		return all;
	limit = strtoull(text, NULL, 10);	/* "max": 0 */
	return limit && limit < all ? limit : all;
}

void host_oom_init(unsigned long ram)
{
	unsigned long long all = all_memory(), share = all > MOST ? ram / (all / MOST) + 1 : MOST;
	char text[16];
	long score;

	if (read_text(SCORE, inherited, sizeof(inherited)))
		return;
	score = strtol(inherited, NULL, 10);
	snprintf(text, sizeof(text), "%ld", share < (unsigned long long)(MOST - score) ? score + (long)share : MOST);
	raised = !write_score(text);
}

void host_oom_as_before(void)
{
	if (raised)
		write_score(inherited);
}
