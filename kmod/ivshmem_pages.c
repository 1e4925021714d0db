// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping by struct pages: user mappings can be pinned, so that O_DIRECT, io_uring's
 * fixed buffers, process_vm_readv() and the like work on them. Costs memory for the
 * struct pages, and wants the region aligned to a subsection of the memory map and
 * within the direct map. The direct map has the type that the MTRRs allow; nobody uses
 * it but for I/O on pinned pages that goes through the processor.
 *
 * Where the region's alignment allows, the struct pages make up folios of the size of a
 * huge page-table entry, as those of device DAX do. The VMA must not be a mixed map: the
 * kernel would take its huge entries for those of bare page frames when it splits them,
 * and never give the references back.
 *
 * Such a folio has no mapping: it is never split, reclaimed or migrated.
 */

#ifdef HAVE_CC_PLATFORM
#include <linux/cc_platform.h>
#endif
#include <linux/delay.h>
#include <linux/memory_hotplug.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "ivshmem.h"

#define IVSHMEM_PAGES_REPORT	(5 * HZ)

#ifdef CONFIG_IVSHMEM_DMABUF
#define IVSHMEM_PAGES_FEATURES	(IVSHMEM_FEATURE_PIN | IVSHMEM_FEATURE_DMABUF)
#else
#define IVSHMEM_PAGES_FEATURES	IVSHMEM_FEATURE_PIN
#endif

/* Refuse early what memremap_pages() would refuse with a warning, or at great cost. */
static int ivshmem_pages_check(struct ivshmem_device *ivs)
{
	/* The direct map of an SEV guest is encrypted, and the host cannot read it. */
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		return -EOPNOTSUPP;
	if (!IS_ALIGNED(ivs->start | ivs->size, memremap_compat_align()))
		return -EINVAL;
	if (ivs->start + ivs->size - 1 > mhp_get_pluggable_range(true).end)
		return -ERANGE;
	return 0;
}

/* Of the folios. */
static unsigned int ivshmem_pages_order(struct ivshmem_device *ivs)
{
#ifdef HAVE_VMEMMAP_SHIFT
	if (has_transparent_hugepage() && IS_ALIGNED(ivs->start | ivs->size, PMD_SIZE))
		return PMD_ORDER;
#endif
	return 0;
}

/* What the struct pages cost: those of a folio may share most of theirs. */
static u64 ivshmem_pages_memory(struct dev_pagemap *pgmap, unsigned int order)
{
	u64 pages = range_len(&pgmap->range) >> PAGE_SHIFT;

	if (vmemmap_can_optimize(NULL, pgmap))
		return (pages >> order) * 2 * PAGE_SIZE;
	return pages * sizeof(struct page);
}

/* Where the region has no node of its own, one that does not depend on who asks. */
static int ivshmem_pages_node(struct ivshmem_device *ivs)
{
	int node = dev_to_node(&ivs->pdev->dev);

	return node == NUMA_NO_NODE ? first_online_node : node;
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

/* A page that has a reference count of its own is as large as a huge entry. */
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
	unsigned long step = ivs->page_size >> PAGE_SHIFT;
	unsigned long pfn = PHYS_PFN(ivs->start), end = pfn + (ivs->size >> PAGE_SHIFT);

	for (; pfn < end; pfn += step) {
		ivshmem_pages_wait(ivs, pfn_to_page(pfn));
		cond_resched();
	}
	memunmap_pages(ivs->pgmap);
	kfree(ivs->pgmap);
	ivs->pgmap = NULL;
}

#ifdef HAVE_FOLIO_PMD
static vm_flags_t ivshmem_pages_vm_flags(struct ivshmem_device *ivs, struct vm_area_struct *vma)
{
	return VM_HUGEPAGE;
}

/* vmf_insert_page() is for mixed maps. */
static vm_fault_t ivshmem_pages_insert(struct vm_area_struct *vma, unsigned long address,
				       unsigned long pfn)
{
	struct vm_fault vmf = { .vma = vma, .address = address };

	return vmf_insert_page_mkwrite(&vmf, pfn_to_page(pfn), false);
}

static vm_fault_t ivshmem_pages_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
				      unsigned long pfn)
{
	return ivshmem_fault_around(vmf, pfn, ivshmem_pages_insert);
}

static vm_fault_t ivshmem_pages_huge_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
					   unsigned int order)
{
	struct page *page = pfn_to_page(PHYS_PFN(ivs->start) + vmf->pgoff);

	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || order != PMD_ORDER)
		return VM_FAULT_FALLBACK;
	return vmf_insert_folio_pmd(vmf, page_folio(page), vmf->flags & FAULT_FLAG_WRITE);
}
#endif

static const struct ivshmem_mapping ivshmem_pages_mapping = {
	.name = "pages",
	.id = IVSHMEM_MAPPING_PAGES,
	.features = IVSHMEM_PAGES_FEATURES,
	.is_used = ivshmem_pages_are_used,
	.exit = ivshmem_pages_exit,
#ifdef HAVE_FOLIO_PMD
	.vm_flags = ivshmem_pages_vm_flags,
	.fault = ivshmem_pages_fault,
	.huge_fault = ivshmem_pages_huge_fault,
#else
	.vm_flags = ivshmem_locked_vm_flags,
	.fault = ivshmem_locked_fault,
	.settle = ivshmem_locked_settle,
#endif
};

/* Of the memory that is free, a quarter at most is for struct pages. */
static struct dev_pagemap *ivshmem_pages_add(struct ivshmem_device *ivs, unsigned int order)
{
	struct dev_pagemap *pgmap = kzalloc_obj(*pgmap);
	void *direct = ERR_PTR(-ENOMEM);

	if (!pgmap)
		return direct;
	pgmap->type = MEMORY_DEVICE_GENERIC;
	pgmap->range.start = ivs->start;
	pgmap->range.end = ivs->start + ivs->size - 1;
	pgmap->nr_range = 1;
#ifdef HAVE_VMEMMAP_SHIFT
	pgmap->vmemmap_shift = order;
#endif
	if (ivshmem_pages_memory(pgmap, order) <= (u64)si_mem_available() << PAGE_SHIFT >> 2)
		direct = memremap_pages(pgmap, ivshmem_pages_node(ivs));
	if (IS_ERR(direct)) {
		kfree(pgmap);
		return direct;
	}
	return pgmap;
}

/**
 * ivshmem_pages_init() - Map the region for user space by struct pages.
 * @ivs: Device that nobody uses.
 *
 * Return: 0, or a negative errno where the method does not suit the device or the kernel;
 * the device then is as it was before.
 */
int ivshmem_pages_init(struct ivshmem_device *ivs)
{
	unsigned int order = ivshmem_pages_order(ivs);
	struct dev_pagemap *pgmap;
	int ret;

	ret = ivshmem_pages_check(ivs);
	if (ret)
		return ret;
	pgmap = ivshmem_pages_add(ivs, order);
	if (IS_ERR(pgmap))
		return PTR_ERR(pgmap);
	ivs->pgmap = pgmap;
	ret = ivshmem_windows_init(ivs);
	if (ret) {
		ivs->pgmap = NULL;
		memunmap_pages(pgmap);
		kfree(pgmap);
		return ret;
	}
	WRITE_ONCE(ivs->page_size, PAGE_SIZE << order);
	WRITE_ONCE(ivs->mapping, &ivshmem_pages_mapping);
	return 0;
}
