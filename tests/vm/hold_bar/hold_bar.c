// SPDX-License-Identifier: GPL-2.0-only
/* Holds a range of physical addresses, as another driver would a BAR. */

#include <linux/ioport.h>
#include <linux/module.h>

static ulong start;
module_param(start, ulong, 0444);
MODULE_PARM_DESC(start, "First physical address");

static ulong size;
module_param(size, ulong, 0444);
MODULE_PARM_DESC(size, "Length in bytes");

static int __init hold_bar_init(void)
{
	return request_mem_region(start, size, "hold_bar") ? 0 : -EBUSY;
}
module_init(hold_bar_init);

static void __exit hold_bar_exit(void)
{
	release_mem_region(start, size);
}
module_exit(hold_bar_exit);

MODULE_DESCRIPTION("Holds a range of physical addresses, for tests");
MODULE_LICENSE("GPL");
