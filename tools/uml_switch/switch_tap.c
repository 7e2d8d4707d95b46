// SPDX-License-Identifier: GPL-2.0-only
/* An interface of the host as a port. Constants: linux/if_tun.h, linux/if.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "switch.h"
#include "tool.h"

int tap_open(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (strlen(name) >= sizeof(request.ifr_name))
		die_usage("-tap %s: an interface's name has at most %zu bytes", name,
			  sizeof(request.ifr_name) - 1);
	if (fd < 0)
		die("/dev/net/tun: %s", strerror(errno));
	strcpy(request.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		die("the interface %s cannot be used: %s%s", name, strerror(errno),
		    errno == EBUSY ? " (another program has it)" :
		    errno == EPERM ? " (tunctl -u <you> -t makes one for you, as root)" : "");
	return fd;
}
