// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping the region: what its methods have in common, and the choice of one.
 *
 * The region is the host's ordinary RAM, so it wants to be cached write-back,
 * as any other RAM. On x86 the MTRRs have a say: a write-back request for a
 * range that the firmware marked uncached (the 32-bit PCI hole, OVMF's window
 * above 4 GiB) is turned into UC- by the kernel's memtype code, which only
 * page-table entries that refer to struct pages escape.
 */

#include <linux/mm.h>
#include <linux/pgtable.h>

#include "compat.h"
#include "ivshmem.h"

/* The first that a device and the kernel allow is taken. */
static const struct ivshmem_mapping *const ivshmem_mappings[] = {
#ifdef CONFIG_ZONE_DEVICE
	&ivshmem_pages_mapping,
#endif
	&ivshmem_pfn_mapping,
};

/**
 * ivshmem_read_cache() - The cache type of a mapping of the kernel.
 * @data: Where it begins.
 *
 * Return: IVSHMEM_CACHE_*, as the page table has it.
 */
#ifdef CONFIG_X86
u32 ivshmem_read_cache(void *data)
{
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)data, &level);
	unsigned long pat, bits;

	if (!pte)
		return IVSHMEM_CACHE_UNKNOWN;
	pat = level == PG_LEVEL_4K ? _PAGE_PAT : _PAGE_PAT_LARGE;
	bits = pte_val(*pte) & (_PAGE_PWT | _PAGE_PCD | pat);

	/* The kernel's fixed use of the PAT: arch/x86/mm/pat/memtype.c. */
	if (!bits)
		return IVSHMEM_CACHE_WRITE_BACK;
	if (bits == _PAGE_PWT)
		return IVSHMEM_CACHE_WRITE_COMBINING;
	if (bits == _PAGE_PCD)
		return IVSHMEM_CACHE_UNCACHED_MINUS;
	if (bits == (_PAGE_PCD | _PAGE_PWT))
		return IVSHMEM_CACHE_UNCACHED;
	if (bits == (_PAGE_PCD | _PAGE_PWT | pat))
		return IVSHMEM_CACHE_WRITE_THROUGH;
	return IVSHMEM_CACHE_UNKNOWN;
}
#elif defined(CONFIG_ARM64)
/* What memremap(MEMREMAP_WB) and a PTE with default protection are there. */
u32 ivshmem_read_cache(void *data)
{
	return IVSHMEM_CACHE_WRITE_BACK;
}
#else
u32 ivshmem_read_cache(void *data)
{
	return IVSHMEM_CACHE_UNKNOWN;
}
#endif

int ivshmem_mapping_init(struct ivshmem_device *ivs)
{
	int ret = -ENODEV;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ivshmem_mappings); i++) {
		ivs->mapping = ivshmem_mappings[i];
		ret = ivs->mapping->init(ivs);
		if (!ret)
			return 0;
		dev_dbg(&ivs->pdev->dev, "no mapping by %s: %d\n", ivs->mapping->name, ret);
	}
	return ret;
}

/**
 * ivshmem_mapping_exit() - Take the kernel's mapping down.
 * @ivs: Device without open sections and without user mappings.
 *
 * Waits for I/O that is in flight to and from the region's pages.
 */
void ivshmem_mapping_exit(struct ivshmem_device *ivs)
{
	ivs->mapping->exit(ivs);
}

/*
 * Pages are mapped here and not in mmap(): a VMA can be found by
 * unmap_mapping_range() only after mmap() has returned, so what mmap() mapped
 * could outlive an unbind that runs beside it. For the same reason the method
 * sets the entry itself, inside the section.
 */
static vm_fault_t ivshmem_fault(struct vm_fault *vmf)
{
	struct ivshmem_device *ivs = vmf->vma->vm_file->private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (!ivshmem_enter(ivs))
		return VM_FAULT_SIGBUS;
	if (vmf->pgoff < ivs->size >> PAGE_SHIFT)
		ret = ivs->mapping->insert(vmf, PHYS_PFN(ivs->start) + vmf->pgoff);
	ivshmem_exit(ivs);
	return ret;
}

static const struct vm_operations_struct ivshmem_vm_ops = {
	.fault = ivshmem_fault,
};

int ivshmem_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ivshmem_device *ivs = file->private_data;
	unsigned long pages = ivs->size >> PAGE_SHIFT;

	if (ivshmem_is_gone(ivs))
		return -ENODEV;

	/* VM_SHARED is cleared for files that are open for reading only. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;

	vm_flags_clear(vma, VM_MAYEXEC);
	vm_flags_set(vma, ivs->mapping->vm_flags | VM_DONTEXPAND | VM_DONTDUMP);
	/* The host cannot read what an SEV guest encrypts. */
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	vma->vm_ops = &ivshmem_vm_ops;
	return 0;
}
