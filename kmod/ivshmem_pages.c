// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping by struct pages: user mappings are write-back whatever the MTRRs say,
 * and can be pinned, so that O_DIRECT, io_uring's fixed buffers, process_vm_readv()
 * and the like work on them. Costs memory for the struct pages, 1/64 of the
 * region's size, and wants the region aligned to a subsection of the memory map
 * and within the direct map.
 */

#include <linux/delay.h>
#include <linux/memory_hotplug.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "ivshmem.h"

#define IVSHMEM_PAGES_REPORT	(5 * HZ)

static bool pages = true;
module_param(pages, bool, 0444);
MODULE_PARM_DESC(pages, "Map by struct pages where that is possible (default). Off where users of the region are not trusted to end their I/O when the device is removed");

/*
 * The direct map of the pages is of the type that the MTRRs allow. Where that is
 * not write-back, read() and write() get a mapping beside it, of the type that
 * user space gets. Nobody else uses the direct map but for I/O on pinned pages
 * that goes through the processor.
 */
static void ivshmem_pages_map_kernel(struct ivshmem_device *ivs, void *direct)
{
	unsigned long i, count = ivs->size >> PAGE_SHIFT;
	struct page **array;

	ivs->data = direct;
	if (ivshmem_read_cache(direct) == IVSHMEM_CACHE_WRITE_BACK)
		return;
	array = kvmalloc_array(count, sizeof(*array), GFP_KERNEL);
	if (!array)
		return;
	for (i = 0; i < count; i++)
		array[i] = pfn_to_page(PHYS_PFN(ivs->start) + i);
	ivs->kernel_map = vmap(array, count, VM_MAP, PAGE_KERNEL);
	if (ivs->kernel_map)
		ivs->data = ivs->kernel_map;
	kvfree(array);
}

/* Refuse early what memremap_pages() would refuse with a warning, or at great cost. */
static int ivshmem_pages_check(struct ivshmem_device *ivs)
{
	struct range addressable = mhp_get_pluggable_range(true);
	u64 memory = (ivs->size >> PAGE_SHIFT) * sizeof(struct page);

	if (!pages)
		return -EPERM;
	/* The direct map of an SEV guest is encrypted, and the host cannot read it. */
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		return -EOPNOTSUPP;
	if (!IS_ALIGNED(ivs->start | ivs->size, memremap_compat_align()))
		return -EINVAL;
	if (ivs->start < addressable.start || ivs->start + ivs->size - 1 > addressable.end)
		return -ERANGE;
	if (memory > (u64)si_mem_available() << PAGE_SHIFT >> 2)
		return -ENOMEM;
	return 0;
}

static int ivshmem_pages_init(struct ivshmem_device *ivs)
{
	struct dev_pagemap *pgmap;
	void *direct;
	int ret;

	ret = ivshmem_pages_check(ivs);
	if (ret)
		return ret;
	pgmap = kzalloc(sizeof(*pgmap), GFP_KERNEL);
	if (!pgmap)
		return -ENOMEM;
	pgmap->type = MEMORY_DEVICE_GENERIC;
	pgmap->range.start = ivs->start;
	pgmap->range.end = ivs->start + ivs->size - 1;
	pgmap->nr_range = 1;
	direct = memremap_pages(pgmap, dev_to_node(&ivs->pdev->dev));
	if (IS_ERR(direct)) {
		kfree(pgmap);
		return PTR_ERR(direct);
	}
	ivs->pgmap = pgmap;
	ivs->cache = IVSHMEM_CACHE_WRITE_BACK;
	ivshmem_pages_map_kernel(ivs, direct);
	return 0;
}

/* Whoever holds a page decides how long this takes: say what goes on. */
static void ivshmem_pages_wait(struct ivshmem_device *ivs, struct page *page)
{
	unsigned long report = jiffies + IVSHMEM_PAGES_REPORT;

	while (page_count(page) > 1) {
		if (time_after(jiffies, report)) {
			dev_warn(&ivs->pdev->dev,
				 "%s: removal waits for a program's I/O on the page at %#llx\n",
				 dev_name(&ivs->dev), (u64)page_to_phys(page));
			report = jiffies + IVSHMEM_PAGES_REPORT;
		}
		msleep(20);
	}
}

/*
 * A page that nobody uses has one reference, that of the page map. No new ones
 * come once the device is gone and user mappings are taken away.
 */
static void ivshmem_pages_exit(struct ivshmem_device *ivs)
{
	unsigned long pfn = PHYS_PFN(ivs->start), end = pfn + (ivs->size >> PAGE_SHIFT);

	for (; pfn < end; pfn++) {
		ivshmem_pages_wait(ivs, pfn_to_page(pfn));
		if (!(pfn & 0xffff))
			cond_resched();
	}
	vunmap(ivs->kernel_map);
	memunmap_pages(ivs->pgmap);
	kfree(ivs->pgmap);
}

static vm_fault_t ivshmem_pages_insert(struct vm_fault *vmf, unsigned long pfn)
{
	return vmf_insert_page(vmf->vma, vmf->address, pfn_to_page(pfn));
}

const struct ivshmem_mapping ivshmem_pages_mapping = {
	.name = "pages",
	.id = IVSHMEM_MAPPING_PAGES,
	.vm_flags = VM_MIXEDMAP,
	.init = ivshmem_pages_init,
	.exit = ivshmem_pages_exit,
	.insert = ivshmem_pages_insert,
};
