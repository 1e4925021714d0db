// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping the region for user space: what the methods have in common.
 *
 * The region is the host's ordinary RAM, so it wants to be cached write-back, as any
 * other RAM. On x86 the MTRRs have a say: a write-back request for a range that the
 * firmware marked uncached (the 32-bit PCI hole, OVMF's window above 4 GiB) is turned into
 * UC- by the kernel's memtype code. Entries that refer to struct pages escape it.
 */

#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pgtable.h>

#include "ivshmem.h"

/**
 * ivshmem_mapping_init() - Make mappings of the region possible.
 * @ivs: Device.
 *
 * By bare page frames: no program can pin these.
 *
 * Return: 0, or a negative errno.
 */
int ivshmem_mapping_init(struct ivshmem_device *ivs)
{
	int ret;

	ret = ivshmem_kernel_init(ivs);
	if (ret)
		return ret;
	ivshmem_pfn_init(ivs);
	/* The kernel makes no huge entries beyond a file's end. */
	i_size_write(ivs->inode, ivs->size);
	return 0;
}

/**
 * ivshmem_has() - Has a device a feature, as it is mapped now?
 * @ivs: Device.
 * @feature: IVSHMEM_FEATURE_*.
 *
 * Return: Whether it has.
 */
bool ivshmem_has(struct ivshmem_device *ivs, u64 feature)
{
	return READ_ONCE(ivs->mapping)->features & feature;
}

/**
 * ivshmem_mapping_exit() - Take the kernel's mapping down.
 * @ivs: Device without open sections and without user mappings.
 *
 * Waits for I/O that is in flight to and from the region's pages.
 */
void ivshmem_mapping_exit(struct ivshmem_device *ivs)
{
	if (ivs->mapping->exit)
		ivs->mapping->exit(ivs);
	ivshmem_kernel_exit(ivs);
}

/**
 * ivshmem_can_be_huge() - Can a huge entry serve a fault?
 * @ivs: Device.
 * @vmf: The fault.
 * @size: Size of the entry.
 *
 * Return: True where the method has such entries, and the block lies in the VMA.
 */
bool ivshmem_can_be_huge(struct ivshmem_device *ivs, struct vm_fault *vmf, unsigned long size)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = ALIGN_DOWN(vmf->address, size);

	return size <= ivs->page_size &&
	       IS_ALIGNED((vmf->address >> PAGE_SHIFT) - vmf->pgoff, size >> PAGE_SHIFT) &&
	       start >= vma->vm_start && vma->vm_end - start >= size;
}

/**
 * ivshmem_fault_around() - Map what shares a page table with the page of a fault.
 * @vmf: The fault.
 * @pfn: Page frame at its address.
 * @insert: Maps one page frame.
 *
 * Where there can be no huge entries: the table is paid for already, and to fill
 * it costs less than the many faults to come.
 *
 * Return: What @insert returned for the page of the fault.
 */
vm_fault_t ivshmem_fault_around(struct vm_fault *vmf, unsigned long pfn,
				vm_fault_t (*insert)(struct vm_area_struct *vma,
						     unsigned long address, unsigned long pfn))
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long fault = vmf->address & PAGE_MASK;
	unsigned long address = max(fault & PMD_MASK, vma->vm_start);
	unsigned long last = min(fault | ~PMD_MASK, vma->vm_end - 1);
	vm_fault_t ret = insert(vma, fault, pfn);

	if (ret != VM_FAULT_NOPAGE)
		return ret;
	pfn -= (fault - address) >> PAGE_SHIFT;
	for (; address < last; address += PAGE_SIZE, pfn++)
		if (address != fault && insert(vma, address, pfn) != VM_FAULT_NOPAGE)
			break;
	return ret;
}

/*
 * Pages are mapped here and not in mmap(): a VMA can be found by
 * unmap_mapping_range() only after mmap() has returned, so what mmap() mapped
 * could outlive an unbind that runs beside it. For the same reason the method sets
 * the entry itself, inside the section.
 */
static vm_fault_t ivshmem_fault(struct vm_fault *vmf)
{
	struct ivshmem_device *ivs = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (!ivshmem_enter(ivs))
		return VM_FAULT_SIGBUS;
	if (vmf->pgoff < ivs->size >> PAGE_SHIFT)
		ret = ivs->mapping->fault(ivs, vmf, PHYS_PFN(ivs->start) + vmf->pgoff);
	ivshmem_exit(ivs);
	return ret;
}

#ifdef HAVE_HUGE_FAULT
static vm_fault_t ivshmem_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct ivshmem_device *ivs = vmf->vma->vm_private_data;
	vm_fault_t ret;

	if (!ivs->mapping->huge_fault || !ivshmem_can_be_huge(ivs, vmf, PAGE_SIZE << order))
		return VM_FAULT_FALLBACK;
	if (!ivshmem_enter(ivs))
		return VM_FAULT_SIGBUS;
	ret = ivs->mapping->huge_fault(ivs, vmf, order);
	ivshmem_exit(ivs);
	return ret;
}
#endif

static const struct vm_operations_struct ivshmem_vm_ops = {
	.fault = ivshmem_fault,
#ifdef HAVE_HUGE_FAULT
	.huge_fault = ivshmem_huge_fault,
#endif
};

/**
 * ivshmem_map_vma() - Have a VMA map the region.
 * @ivs: Device, on which the VMA's file holds a reference.
 * @vma: The VMA, with an offset into the region. Its file has the address space of
 *	the device.
 *
 * Return: 0, or a negative errno.
 */
int ivshmem_map_vma(struct ivshmem_device *ivs, struct vm_area_struct *vma)
{
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
	vm_flags_set(vma, ivs->mapping->vm_flags(ivs, vma) | VM_DONTEXPAND | VM_DONTDUMP);
	/* The host cannot read what an SEV guest encrypts. */
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	vma->vm_private_data = ivs;
	vma->vm_ops = &ivshmem_vm_ops;
	return 0;
}

int ivshmem_mmap(struct file *file, struct vm_area_struct *vma)
{
	return ivshmem_map_vma(ivshmem_of_file(file), vma);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* An address at which the huge entries of the method fit. */
unsigned long ivshmem_get_unmapped_area(struct file *file, unsigned long address,
					unsigned long len, unsigned long pgoff,
					unsigned long flags)
{
	struct ivshmem_device *ivs = ivshmem_of_file(file);
	unsigned long offset = pgoff << PAGE_SHIFT, huge = ivs->page_size, found;

	/* The kernel looks for 2 MiB at most, and before 5.18 for files of DAX alone. */
	if (huge > PAGE_SIZE && len >= huge && !address && !(flags & MAP_FIXED)) {
		found = thp_get_unmapped_area(file, 0, len + huge, pgoff, flags);
		if (!IS_ERR_VALUE(found))
			return found + ((offset - found) & (huge - 1));
	}
	return thp_get_unmapped_area(file, address, len, pgoff, flags);
}
#endif
