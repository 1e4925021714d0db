// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page-table entries that the newest kernel has calls for, or no call at all. Not for the
 * kernel's own tree.
 *
 * By bare page frames, in place of ivshmem_pfn.c's way (HAVE_OWN_ENTRIES):
 * - x86, all kernels, where the MTRRs say that the region is not write-back and the kernel's
 *   calls take them at their word (HAVE_WRITE_BACK_BY_HAND): entries set by hand.
 * - 5.10 to 6.11 (HAVE_HUGE_DEVMAP): huge entries of the kind that DAX had.
 *
 * By struct pages, in place of ivshmem_pages.c's way:
 * - up to 6.14 (no HAVE_FOLIO_PMD): huge entries from the common tail of a fault, as those
 *   of shmem. They have reverse mapping and reference counts.
 */

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "ivshmem.h"

#ifdef HAVE_OWN_ENTRIES
#ifdef HAVE_WRITE_BACK_BY_HAND
/**
 * ivshmem_map_frames() - Map some page frames for the kernel, write-back.
 * @pfn: The first one.
 * @count: How many.
 *
 * Return: Address, for vunmap(), or NULL.
 */
void *ivshmem_map_frames(unsigned long pfn, unsigned int count)
{
	unsigned long *pfns = kvmalloc_array(count, sizeof(*pfns), GFP_KERNEL);
	void *window = NULL;
	unsigned int i;

	if (!pfns)
		return NULL;
	for (i = 0; i < count; i++) {
		pfns[i] = pfn + i;
		/* vmap_pfn() wants no frame that could have a struct page. */
		if (pfn_valid(pfns[i]))
			goto out_free;
	}
	window = vmap_pfn(pfns, count, pgprot_decrypted(PAGE_KERNEL));

out_free:
	kvfree(pfns);
	return window;
}

static bool ivshmem_is_by_hand(struct ivshmem_device *ivs)
{
	return ivs->windows;
}

static int ivshmem_own_set(pte_t *pte, unsigned long address, void *data)
{
	struct vm_fault *vmf = data;
	struct vm_area_struct *vma = vmf->vma;
	struct ivshmem_device *ivs = vma->vm_private_data;
	unsigned long pgoff = vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT);

	if (pte_none(*pte))
		set_pte_at(vma->vm_mm, address, pte,
			   pte_mkspecial(pfn_pte(PHYS_PFN(ivs->start) + pgoff,
						 vma->vm_page_prot)));
	return 0;
}

/* Map all that shares a page table with the page of the fault. */
static vm_fault_t ivshmem_own_set_around(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long address = vmf->address & PAGE_MASK;
	unsigned long first = max(address & PMD_MASK, vma->vm_start);
	unsigned long last = min(address | ~PMD_MASK, vma->vm_end - 1);

	if (apply_to_page_range(vma->vm_mm, first, last + 1 - first, ivshmem_own_set, vmf))
		return VM_FAULT_OOM;
	return VM_FAULT_NOPAGE;
}
#else
static bool ivshmem_is_by_hand(struct ivshmem_device *ivs)
{
	return false;
}

static vm_fault_t ivshmem_own_set_around(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}
#endif

#if defined(HAVE_WRITE_BACK_BY_HAND) && defined(HAVE_HUGE_PFN)
static vm_fault_t ivshmem_own_set_huge(struct vm_fault *vmf, unsigned long pfn)
{
	struct vm_area_struct *vma = vmf->vma;
	spinlock_t *lock = pmd_lock(vma->vm_mm, vmf->pmd);

	if (pmd_none(*vmf->pmd))
		set_pmd_at(vma->vm_mm, vmf->address & PMD_MASK, vmf->pmd,
			   huge_pfn_pmd(pfn, vma->vm_page_prot));
	spin_unlock(lock);
	return VM_FAULT_NOPAGE;
}
#else
static vm_fault_t ivshmem_own_set_huge(struct vm_fault *vmf, unsigned long pfn)
{
	return VM_FAULT_FALLBACK;
}
#endif

static vm_flags_t ivshmem_own_vm_flags(struct ivshmem_device *ivs, struct vm_area_struct *vma)
{
	return VM_PFNMAP | VM_IO | VM_HUGEPAGE;
}

static vm_fault_t ivshmem_own_huge_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
					 unsigned int order)
{
	unsigned long pfn = PHYS_PFN(ivs->start) + ALIGN_DOWN(vmf->pgoff, 1UL << order);

	if (order != PMD_ORDER)
		return VM_FAULT_FALLBACK;
	if (ivshmem_is_by_hand(ivs))
		return ivshmem_own_set_huge(vmf, pfn);
#ifdef HAVE_HUGE_DEVMAP
	return insert_devmap_pmd(vmf, pfn, vmf->flags & FAULT_FLAG_WRITE);
#else
	return VM_FAULT_FALLBACK;
#endif
}

static vm_fault_t ivshmem_own_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
				    unsigned long pfn)
{
#ifdef HAVE_HUGE_DEVMAP
	/*
	 * A kernel without .huge_fault for such mappings. Who faults on the same block
	 * at the same time decides the same, so that a page table and a huge entry do
	 * not meet: this must depend on nothing but the VMA. An entry is there where
	 * another was faster.
	 */
	if (pmd_none(READ_ONCE(*vmf->pmd)) && ivshmem_can_be_huge(ivs, vmf, PMD_SIZE))
		return ivshmem_own_huge_fault(ivs, vmf, PMD_ORDER);
	if (!pmd_none(READ_ONCE(*vmf->pmd)) && pmd_devmap(READ_ONCE(*vmf->pmd)))
		return VM_FAULT_NOPAGE;
#endif
	if (ivshmem_is_by_hand(ivs))
		return ivshmem_own_set_around(vmf);
	return ivshmem_fault_around(vmf, pfn, vmf_insert_pfn);
}

static const struct ivshmem_mapping ivshmem_own_mapping = {
	.name = "pfn",
	.id = IVSHMEM_MAPPING_PFN,
	.vm_flags = ivshmem_own_vm_flags,
	.fault = ivshmem_own_fault,
#ifndef HAVE_HUGE_DEVMAP
	.huge_fault = ivshmem_own_huge_fault,
#endif
};

/**
 * ivshmem_own_entries_init() - Map the region by entries of our own where that is better.
 * @ivs: Device that the kernel's calls would map.
 */
void ivshmem_own_entries_init(struct ivshmem_device *ivs)
{
#ifndef HAVE_HUGE_DEVMAP
	if (!ivshmem_is_by_hand(ivs))
		return;
#endif
	WRITE_ONCE(ivs->mapping, &ivshmem_own_mapping);
	/* There are none of 1 GiB. */
	WRITE_ONCE(ivs->page_size, PAGE_SIZE);
#ifdef HAVE_HUGE_PFN
	if (has_transparent_hugepage() && IS_ALIGNED(ivs->start | ivs->size, PMD_SIZE))
		WRITE_ONCE(ivs->page_size, PMD_SIZE);
#endif
}
#endif

#if defined(CONFIG_IVSHMEM_PAGES) && !defined(HAVE_FOLIO_PMD)
/*
 * Has a VMA room for a huge entry: does an aligned block of the region lie at an address
 * that is aligned too, within the VMA?
 */
static bool ivshmem_vma_holds(struct vm_area_struct *vma, unsigned long size)
{
	unsigned long first = ALIGN(vma->vm_start, size);

	if (!IS_ALIGNED((vma->vm_start >> PAGE_SHIFT) - vma->vm_pgoff, size >> PAGE_SHIFT))
		return false;
	return first >= vma->vm_start && first < vma->vm_end && vma->vm_end - first >= size;
}

/**
 * ivshmem_locked_vm_flags() - Of a VMA that maps the region by pages.
 * @ivs: Device.
 * @vma: The VMA.
 *
 * One that has no room for a huge entry is a mixed map, whose entries we set.
 *
 * Return: Flags.
 */
vm_flags_t ivshmem_locked_vm_flags(struct ivshmem_device *ivs, struct vm_area_struct *vma)
{
	if (ivs->page_size > PAGE_SIZE && ivshmem_vma_holds(vma, ivs->page_size))
		return 0;
	return VM_MIXEDMAP;
}

static vm_fault_t ivshmem_locked_insert(struct vm_area_struct *vma, unsigned long address,
					unsigned long pfn)
{
	return vmf_insert_page(vma, address, pfn_to_page(pfn));
}

/**
 * ivshmem_locked_fault() - Hand a page to the common tail of the fault.
 * @ivs: Device, in a section.
 * @vmf: The fault.
 * @pfn: Page frame at its address.
 *
 * Return: What a fault handler returns.
 */
vm_fault_t ivshmem_locked_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
				unsigned long pfn)
{
	if (vmf->vma->vm_flags & VM_MIXEDMAP)
		return ivshmem_fault_around(vmf, pfn, ivshmem_locked_insert);
	vmf->page = pfn_to_page(pfn);
	get_page(vmf->page);
	lock_page(vmf->page);
	return VM_FAULT_LOCKED;
}

/**
 * ivshmem_locked_settle() - Wait for the last faults.
 * @ivs: Device without open sections.
 *
 * A fault keeps its page locked until the entry is set.
 */
void ivshmem_locked_settle(struct ivshmem_device *ivs)
{
	unsigned long step = ivs->page_size >> PAGE_SHIFT;
	unsigned long pfn = PHYS_PFN(ivs->start), end = pfn + (ivs->size >> PAGE_SHIFT);

	if (ivs->page_size == PAGE_SIZE)
		return;
	for (; pfn < end; pfn += step) {
		lock_page(pfn_to_page(pfn));
		unlock_page(pfn_to_page(pfn));
		cond_resched();
	}
}
#endif
