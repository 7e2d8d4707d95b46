// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which sizes of pages programs get for anonymous memory, by the size of the guest.
 *
 * A fault costs a stop of guest code and a host call whatever the size of the page, so large ones
 * pay here more than on hardware: one fault serves 16 or 512 pages. Linux itself turns huge pages
 * off below 512 MiB, where they would waste too much. Pages of 64 KiB waste little, and are on from
 * 128 MiB. /sys/kernel/mm/transparent_hugepage changes it all; thp_anon= and transparent_hugepage=
 * on the command line do as well.
 */
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#define SMALL_GUEST	(SZ_128M >> PAGE_SHIFT)
#define ORDER_64K	4

static int __init choose_page_sizes(void)
{
	/* A little less than mem= says is there: the kernel's own is not counted. */
	if (totalram_pages() < SMALL_GUEST - SMALL_GUEST / 8 || strstr(saved_command_line, "thp_anon=") ||
	    strstr(saved_command_line, "transparent_hugepage="))
		return 0;
	__set_bit(ORDER_64K, &huge_anon_orders_always);
	return 0;
}
late_initcall(choose_page_sizes);
