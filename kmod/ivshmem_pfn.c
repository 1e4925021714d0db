// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping by bare page frames: works for every region and costs little memory,
 * but user mappings can't be pinned.
 *
 * The memory type that the kernel grants to its own mapping is reserved for the
 * range for as long as that lives, and vmf_insert_pfn() takes the reserved type,
 * so all mappings agree. On x86 that type is UC- where the MTRRs say so. Then
 * both the kernel's mapping and the user's are made by hand, write-back.
 */

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "ivshmem.h"

#ifdef HAVE_WRITE_BACK_BY_HAND
static void *ivshmem_pfn_map_window(unsigned long pfn, unsigned int count)
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
#else
static void *ivshmem_pfn_map_window(unsigned long pfn, unsigned int count)
{
	return NULL;
}

static vm_fault_t ivshmem_pfn_set_around(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}
#endif

static int ivshmem_pfn_init(struct ivshmem_device *ivs)
{
	ivs->data = memremap(ivs->start, ivs->size, MEMREMAP_WB);
	if (!ivs->data)
		return -ENOMEM;
	ivs->cache = ivshmem_read_cache(ivs->data);
	ivs->page_size = PAGE_SIZE;
	if (ivs->cache == IVSHMEM_CACHE_WRITE_BACK) {
		ivs->page_size = huge_pfnmap_size(ivs->start | ivs->size);
		return 0;
	}
	if (ivshmem_windows_init(ivs, ivshmem_pfn_map_window))
		return 0;
	memunmap(ivs->data);
	ivs->cache = ivshmem_read_cache(ivshmem_data(ivs, 0));
	return 0;
}

static void ivshmem_pfn_exit(struct ivshmem_device *ivs)
{
	if (ivs->windows)
		ivshmem_windows_exit(ivs);
	else
		memunmap(ivs->data);
}

static vm_flags_t ivshmem_pfn_vm_flags(struct ivshmem_device *ivs, struct vm_area_struct *vma)
{
	return VM_PFNMAP | VM_IO;
}

static vm_fault_t ivshmem_pfn_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
				    unsigned long pfn)
{
	if (ivs->windows)
		return ivshmem_pfn_set_around(vmf);
	return ivshmem_fault_around(vmf, pfn, vmf_insert_pfn);
}

#ifdef HAVE_HUGE_PFNMAP
static vm_fault_t ivshmem_pfn_huge_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
					 unsigned int order)
{
	unsigned long pgoff = ALIGN_DOWN(vmf->pgoff, 1UL << order);

	return insert_huge_pfn(vmf, PHYS_PFN(ivs->start) + pgoff, order);
}
#endif

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
