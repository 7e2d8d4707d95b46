/* SPDX-License-Identifier: GPL-2.0-only */
/* The two halves of the ubd driver: ubd_setup.c makes disks of options, ubd.c makes block devices of disks. */
#ifndef UM_UBD_H
#define UM_UBD_H

#include <linux/blk-mq.h>

#include <host/disk.h>

#define UBD_DISKS	16
#define UBD_MINORS	16
#define UBD_SERIAL	20	/* characters, as ATA has it */

struct ubd {
	struct host_disk *disk;		/* NULL: there is no such disk */
	struct host_disk_info info;
	bool sync;			/* s */
	bool no_discard;		/* t */
	char serial[UBD_SERIAL + 1];
	struct blk_mq_tag_set tags;
	struct gendisk *gendisk;
};

extern struct ubd ubds[UBD_DISKS];

/* ubd.c: makes a block device of ubds[index], whose disk is open; and takes both away again, once nobody uses the device. May sleep. */
int ubd_add(unsigned int index);
void ubd_remove(unsigned int index);

/* ubd_size.c: disks that become larger. watch: of a new block device; flushed: looks at one, in any context. */
int ubd_size_init(void);
void ubd_size_watch(const struct ubd *ubd);
void ubd_flushed(const struct ubd *ubd);

#endif
