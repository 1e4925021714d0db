// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping by struct pages: user mappings can be pinned, so that O_DIRECT, io_uring's
 * fixed buffers, process_vm_readv() and the like work on them. Costs memory for the
 * struct pages, and wants the region aligned to a subsection of the memory map and
 * within the direct map. The direct map has the type that the MTRRs allow; nobody uses
 * it but for I/O on pinned pages that goes through the processor.
 *
 * Where the kernel can, the struct pages make up compound pages of the size of a
 * huge page-table entry, as those of device DAX do. User space then gets huge
 * entries with reverse mapping and reference counts, the way it gets those of
 * shmem, from the fault's common tail; a VMA that has no room for one is a mixed
 * map, whose entries we set. (DAX's way to huge entries has them take the reserved
 * memory type, which in the 32-bit hole is UC-.)
 *
 * Such a page has no page->mapping: it is never split, reclaimed or migrated.
 */

#include <linux/delay.h>
#include <linux/memory_hotplug.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "compat.h"
#include "ivshmem.h"

#define IVSHMEM_PAGES_REPORT	(5 * HZ)

/* Refuse early what memremap_pages() would refuse with a warning, or at great cost. */
static int ivshmem_pages_check(struct ivshmem_device *ivs)
{
	/* The direct map of an SEV guest is encrypted, and the host cannot read it. */
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		return -EOPNOTSUPP;
	if (!IS_ALIGNED(ivs->start | ivs->size, memremap_compat_align()))
		return -EINVAL;
	if (ivs->start + ivs->size - 1 > mappable_end())
		return -ERANGE;
	return 0;
}

/* The common tail of a fault makes entries of this size and no other. */
static bool ivshmem_pages_can_be_huge(struct ivshmem_device *ivs)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	return has_transparent_hugepage() && IS_ALIGNED(ivs->start | ivs->size, HPAGE_PMD_SIZE);
#else
	return false;
#endif
}

/* Where the region has no node of its own, one that does not depend on who asks. */
static int ivshmem_pages_node(struct ivshmem_device *ivs)
{
	int node = dev_to_node(&ivs->pdev->dev);

	return node == NUMA_NO_NODE ? first_online_node : node;
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
	if (ivshmem_pages_can_be_huge(ivs))
		pgmap_set_order(pgmap, PMD_SHIFT - PAGE_SHIFT);
	ret = -ENOMEM;
	if (pgmap_memory(pgmap) > (u64)si_mem_available() << PAGE_SHIFT >> 2)
		goto err_free;
	direct = memremap_pages(pgmap, ivshmem_pages_node(ivs));
	if (IS_ERR(direct)) {
		ret = PTR_ERR(direct);
		goto err_free;
	}
	ivs->pgmap = pgmap;
	ret = ivshmem_kernel_write_back(ivs);
	if (ret)
		goto err_unmap;
	ivs->page_size = PAGE_SIZE << pgmap_order(pgmap);
	return 0;

err_unmap:
	ivs->pgmap = NULL;
	memunmap_pages(pgmap);
err_free:
	kfree(pgmap);
	return ret;
}

/* Whoever holds a page decides how long this takes: say what goes on. */
static void ivshmem_pages_wait(struct ivshmem_device *ivs, struct page *page)
{
	unsigned long report = jiffies + IVSHMEM_PAGES_REPORT;

	while (page_count(page) > 1) {
		if (time_after(jiffies, report)) {
			dev_warn(&ivs->pdev->dev,
				 "%s: removal waits for a program's I/O on the %lu KiB at %#llx\n",
				 dev_name(&ivs->dev), ivs->page_size >> 10,
				 (u64)page_to_phys(page));
			report = jiffies + IVSHMEM_PAGES_REPORT;
		}
		msleep(20);
	}
}

/* Calls @visit for each page that has a reference count of its own. */
static void ivshmem_pages_each(struct ivshmem_device *ivs,
			       void (*visit)(struct ivshmem_device *ivs, struct page *page))
{
	unsigned long step = ivs->page_size >> PAGE_SHIFT;
	unsigned long pfn = PHYS_PFN(ivs->start), end = pfn + (ivs->size >> PAGE_SHIFT);

	for (; pfn < end; pfn += step) {
		visit(ivs, pfn_to_page(pfn));
		cond_resched();
	}
}

static bool ivshmem_pages_are_used(struct ivshmem_device *ivs)
{
	unsigned long step = ivs->page_size >> PAGE_SHIFT;
	unsigned long pfn = PHYS_PFN(ivs->start), end = pfn + (ivs->size >> PAGE_SHIFT);

	for (; pfn < end; pfn += step) {
		if (page_count(pfn_to_page(pfn)) > 1)
			return true;
		cond_resched();
	}
	return false;
}

/*
 * A page that nobody uses has one reference, that of the page map. No new ones
 * come once the device is gone and user mappings are taken away.
 */
static void ivshmem_pages_exit(struct ivshmem_device *ivs)
{
	ivshmem_pages_each(ivs, ivshmem_pages_wait);
	memunmap_pages(ivs->pgmap);
	kfree(ivs->pgmap);
	ivs->pgmap = NULL;
}

static void ivshmem_pages_wait_unlocked(struct ivshmem_device *ivs, struct page *page)
{
	lock_page(page);
	unlock_page(page);
}

/* A fault keeps its page locked until the entry is set. */
static void ivshmem_pages_settle(struct ivshmem_device *ivs)
{
	if (ivs->page_size > PAGE_SIZE)
		ivshmem_pages_each(ivs, ivshmem_pages_wait_unlocked);
}

static vm_flags_t ivshmem_pages_vm_flags(struct ivshmem_device *ivs, struct vm_area_struct *vma)
{
	if (ivs->page_size > PAGE_SIZE && ivshmem_vma_holds(vma, ivs->page_size))
		return 0;
	return VM_MIXEDMAP;
}

static vm_fault_t ivshmem_pages_insert(struct vm_area_struct *vma, unsigned long address,
				       unsigned long pfn)
{
	return vmf_insert_page(vma, address, pfn_to_page(pfn));
}

static vm_fault_t ivshmem_pages_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
				      unsigned long pfn)
{
	if (vmf->vma->vm_flags & VM_MIXEDMAP)
		return ivshmem_fault_around(vmf, pfn, ivshmem_pages_insert);
	vmf->page = pfn_to_page(pfn);
	get_page(vmf->page);
	lock_page(vmf->page);
	return VM_FAULT_LOCKED;
}

const struct ivshmem_mapping ivshmem_pages_mapping = {
	.name = "pages",
	.id = IVSHMEM_MAPPING_PAGES,
	.features = IVSHMEM_FEATURE_PIN |
		    (IS_ENABLED(CONFIG_DMA_SHARED_BUFFER) ? IVSHMEM_FEATURE_DMABUF : 0),
	.init = ivshmem_pages_init,
	.is_used = ivshmem_pages_are_used,
	.exit = ivshmem_pages_exit,
	.settle = ivshmem_pages_settle,
	.vm_flags = ivshmem_pages_vm_flags,
	.fault = ivshmem_pages_fault,
};
