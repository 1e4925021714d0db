// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping by bare page frames: works for every region and costs little memory. No
 * program can pin such a mapping, so none can hold up the removal of the device.
 *
 * The entries have the type that the kernel's mapping has, see ivshmem_kernel.c.
 */

#include <linux/mm.h>

#include "ivshmem.h"

static vm_flags_t ivshmem_pfn_vm_flags(struct ivshmem_device *ivs, struct vm_area_struct *vma)
{
	return VM_PFNMAP | VM_IO | VM_HUGEPAGE;
}

static vm_fault_t ivshmem_pfn_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
				    unsigned long pfn)
{
	return ivshmem_fault_around(vmf, pfn, vmf_insert_pfn);
}

static vm_fault_t ivshmem_pfn_huge_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
					 unsigned int order)
{
	pgoff_t pgoff __maybe_unused = ALIGN_DOWN(vmf->pgoff, 1UL << order);

	switch (order) {
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	case PMD_ORDER:
		return vmf_insert_pfn_pmd(vmf, PHYS_PFN(ivs->start) + pgoff,
					  vmf->flags & FAULT_FLAG_WRITE);
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	case PUD_ORDER:
		return vmf_insert_pfn_pud(vmf, PHYS_PFN(ivs->start) + pgoff,
					  vmf->flags & FAULT_FLAG_WRITE);
#endif
	default:
		return VM_FAULT_FALLBACK;
	}
}

static const struct ivshmem_mapping ivshmem_pfn_mapping = {
	.name = "pfn",
	.id = IVSHMEM_MAPPING_PFN,
	.vm_flags = ivshmem_pfn_vm_flags,
	.fault = ivshmem_pfn_fault,
	.huge_fault = ivshmem_pfn_huge_fault,
};

static unsigned long ivshmem_pfn_page_size(u64 alignment)
{
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	if (has_transparent_pud_hugepage() && IS_ALIGNED(alignment, PUD_SIZE))
		return PUD_SIZE;
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	if (has_transparent_hugepage() && IS_ALIGNED(alignment, PMD_SIZE))
		return PMD_SIZE;
#endif
	return PAGE_SIZE;
}

/**
 * ivshmem_pfn_init() - Map the region for user space by bare page frames.
 * @ivs: Device that nobody uses, which the kernel has mapped.
 */
void ivshmem_pfn_init(struct ivshmem_device *ivs)
{
	WRITE_ONCE(ivs->mapping, &ivshmem_pfn_mapping);
	WRITE_ONCE(ivs->page_size, ivshmem_pfn_page_size(ivs->start | ivs->size));
#ifdef HAVE_OWN_ENTRIES
	ivshmem_own_entries_init(ivs);
#endif
}
