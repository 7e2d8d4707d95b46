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
	char *file, *backing;		/* as given; in value, or in the command line */
	char *value;			/* NULL: it comes from the command line */
	struct host_disk_info info;
	bool sync;			/* s */
	bool no_discard;		/* t */
	char serial[UBD_SERIAL + 1];
	struct blk_mq_tag_set tags;
	struct gendisk *gendisk;	/* ubds_lock, but for requests */
	bool leaves;			/* gendisk->open_mutex: nobody may open it any more */
	bool may_lose;			/* ubds_lock: it may go with writes that are not durable */
};

extern struct ubd ubds[UBD_DISKS];

/* Covers which disks there are. */
extern struct mutex ubds_lock;

/*
 * ubd.c: makes a block device of ubds[index], whose disk is open; and takes both away again. The
 * second returns -EBUSY when the device is in use, or why the host cannot make its writes durable,
 * for which the next call does not ask. They sleep, and take ubds_lock.
 */
int ubd_add(unsigned int index);
int ubd_remove(unsigned int index);
bool ubd_is_open(const struct ubd *ubd);

/*
 * ubd_size.c: disks that become larger. watch: of a new block device; flushed: looks at one, in any
 * context; look_at_sizes: at all, now, and sleeps.
 */
int ubd_size_init(void);
void ubd_look_at_sizes(void);
void ubd_size_watch(const struct ubd *ubd);
void ubd_flushed(const struct ubd *ubd);

#endif
