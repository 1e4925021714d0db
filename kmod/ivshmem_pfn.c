// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping by bare page frames: works for every region and costs little memory. No
 * program can pin such a mapping, so none can hold up the removal of the device.
 *
 * Entries are made by the kernel's own calls where these give the type that the
 * kernel's mapping has (see ivshmem_kernel_init()), else by hand.
 */

#include <linux/io.h>
#include <linux/mm.h>

#include "compat.h"
#include "ivshmem.h"

#ifdef HAVE_WRITE_BACK_BY_HAND
static int ivshmem_pfn_set(pte_t *pte, unsigned long address, void *data)
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
static vm_fault_t ivshmem_pfn_set_around(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long address = vmf->address & PAGE_MASK;
	unsigned long first = max(address & PMD_MASK, vma->vm_start);
	unsigned long last = min(address | ~PMD_MASK, vma->vm_end - 1);

	if (apply_to_page_range(vma->vm_mm, first, last + 1 - first, ivshmem_pfn_set, vmf))
		return VM_FAULT_OOM;
	return VM_FAULT_NOPAGE;
}

#ifdef HAVE_HUGE_PFN
static vm_fault_t ivshmem_pfn_set_huge(struct vm_fault *vmf, unsigned long pfn)
{
	struct vm_area_struct *vma = vmf->vma;
	spinlock_t *lock = pmd_lock(vma->vm_mm, vmf->pmd);

	if (pmd_none(*vmf->pmd))
		set_pmd_at(vma->vm_mm, vmf->address & PMD_MASK, vmf->pmd,
			   huge_pfn_pmd(pfn, vma->vm_page_prot));
	spin_unlock(lock);
	return VM_FAULT_NOPAGE;
}
#endif
#else
static vm_fault_t ivshmem_pfn_set_around(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

#ifdef HAVE_HUGE_PFN
static vm_fault_t ivshmem_pfn_set_huge(struct vm_fault *vmf, unsigned long pfn)
{
	return VM_FAULT_FALLBACK;
}
#endif
#endif

static int ivshmem_pfn_init(struct ivshmem_device *ivs)
{
	unsigned long size = huge_pfn_size(ivs->start | ivs->size);

	/* By hand there are none of 1 GiB. */
	ivs->page_size = ivs->windows ? min_t(unsigned long, size, PMD_SIZE) : size;
	return 0;
}

static void ivshmem_pfn_exit(struct ivshmem_device *ivs)
{
}

static vm_flags_t ivshmem_pfn_vm_flags(struct ivshmem_device *ivs, struct vm_area_struct *vma)
{
	return VM_PFNMAP | VM_IO;
}

#ifdef HAVE_HUGE_PFN
static vm_fault_t ivshmem_pfn_huge_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
					 unsigned int order)
{
	unsigned long pfn = PHYS_PFN(ivs->start) + ALIGN_DOWN(vmf->pgoff, 1UL << order);

	if (!ivs->windows)
		return insert_huge_pfn(vmf, pfn, order);
	if (order == PMD_SHIFT - PAGE_SHIFT)
		return ivshmem_pfn_set_huge(vmf, pfn);
	return VM_FAULT_FALLBACK;
}
#endif

static vm_fault_t ivshmem_pfn_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
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
		return ivshmem_pfn_huge_fault(ivs, vmf, PMD_SHIFT - PAGE_SHIFT);
	if (!pmd_none(READ_ONCE(*vmf->pmd)) && pmd_devmap(READ_ONCE(*vmf->pmd)))
		return VM_FAULT_NOPAGE;
#endif
	if (ivs->windows)
		return ivshmem_pfn_set_around(vmf);
	return ivshmem_fault_around(vmf, pfn, vmf_insert_pfn);
}

const struct ivshmem_mapping ivshmem_pfn_mapping = {
	.name = "pfn",
	.id = IVSHMEM_MAPPING_PFN,
	.init = ivshmem_pfn_init,
	.exit = ivshmem_pfn_exit,
	.vm_flags = ivshmem_pfn_vm_flags,
	.fault = ivshmem_pfn_fault,
#ifdef HAVE_HUGE_PFNMAP
	.huge_fault = ivshmem_pfn_huge_fault,
#endif
};
