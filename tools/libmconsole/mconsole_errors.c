// SPDX-License-Identifier: GPL-2.0-only
/* libmconsole: codes in words. */
#include <errno.h>
#include <string.h>

#include "mconsole_private.h"

const char *mconsole_strerror(int code)
{
	switch (code) {
	case MCONSOLE_OK:
		return "success";
	case MCONSOLE_NOBODY:
		return "there is no such instance";
	case MCONSOLE_DEAD:
		return "the instance does not run any more";
	case MCONSOLE_DENIED:
		return "the instance belongs to another user";
	case MCONSOLE_TIMEOUT:
		return "no answer in time";
	case MCONSOLE_GONE:
		return "the instance ended before it had answered";
	case MCONSOLE_TOO_LONG:
		return "a request has at most 511 bytes";
	case MCONSOLE_STRANGE:
		return "the answer is not of the protocol's version 2";
	case MCONSOLE_STOPPED:
		return "the rest of the answer was not wanted";
	case MCONSOLE_IN_USE:
		return "another program listens on this socket";
	case MCONSOLE_SYSTEM:
		return strerror(errno);
	default:
		return "unknown error";
	}
}
