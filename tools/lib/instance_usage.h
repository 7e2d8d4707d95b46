/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's resources that an instance uses, by the host's /proc. The instance is not asked. */
#ifndef INSTANCE_USAGE_H
#define INSTANCE_USAGE_H

struct instance_usage {
	double uptime;			/* seconds since its process started */
	double cpu;			/* seconds of CPU time, of all its processes */
	unsigned long long used;	/* bytes of the host's memory that guest RAM takes */
	unsigned long long given;	/* the most it may take; 0: not known */
};

/* The instance's main process is @pid. Returns 0, or -1: there is no such process. */
int instance_usage(int pid, struct instance_usage *usage);

#endif
