// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping the region: what its methods have in common, and the choice of one.
 *
 * The region is the host's ordinary RAM, so it wants to be cached write-back,
 * as any other RAM. On x86 the MTRRs have a say: a write-back request for a
 * range that the firmware marked uncached (the 32-bit PCI hole, OVMF's window
 * above 4 GiB) is turned into UC- by the kernel's memtype code. Entries that
 * refer to struct pages escape it, and so do those that a driver sets itself.
 */

#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pgtable.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

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

/**
 * ivshmem_windows_init() - Map the region once more for the kernel.
 * @ivs: Device.
 * @map: Maps @count page frames from @pfn on for vunmap(), or returns NULL.
 *
 * Return: 0, or a negative errno.
 */
int ivshmem_windows_init(struct ivshmem_device *ivs,
			 void *(*map)(unsigned long pfn, unsigned int count))
{
	unsigned long pfn = PHYS_PFN(ivs->start), end = pfn + (ivs->size >> PAGE_SHIFT);
	void **window;

	ivs->windows = kvcalloc(DIV_ROUND_UP_ULL(ivs->size, IVSHMEM_WINDOW),
				sizeof(*ivs->windows), GFP_KERNEL);
	if (!ivs->windows)
		return -ENOMEM;
	for (window = ivs->windows; pfn < end; window++, pfn += PHYS_PFN(IVSHMEM_WINDOW)) {
		*window = map(pfn, min(end - pfn, PHYS_PFN(IVSHMEM_WINDOW)));
		if (!*window) {
			ivshmem_windows_exit(ivs);
			return -ENOMEM;
		}
		cond_resched();
	}
	return 0;
}

void ivshmem_windows_exit(struct ivshmem_device *ivs)
{
	u64 i, count = DIV_ROUND_UP_ULL(ivs->size, IVSHMEM_WINDOW);

	if (!ivs->windows)
		return;
	for (i = 0; i < count && ivs->windows[i]; i++)
		vunmap(ivs->windows[i]);
	kvfree(ivs->windows);
	ivs->windows = NULL;
}

int ivshmem_mapping_init(struct ivshmem_device *ivs)
{
	int ret = -ENODEV;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ivshmem_mappings); i++) {
		ivs->mapping = ivshmem_mappings[i];
		ret = ivs->mapping->init(ivs);
		if (!ret) {
			/* The kernel makes no huge entries beyond a file's end. */
			i_size_write(ivs->inode, ivs->size);
			return 0;
		}
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

/**
 * ivshmem_mapping_settle() - Wait for the last faults.
 * @ivs: Device without open sections.
 *
 * On return no page-table entry comes any more: it is time to take them away.
 */
void ivshmem_mapping_settle(struct ivshmem_device *ivs)
{
	if (ivs->mapping->settle)
		ivs->mapping->settle(ivs);
}

/**
 * ivshmem_vma_holds() - Does a VMA have room for a huge entry?
 * @vma: VMA that maps the region.
 * @size: Size of the entry. The region is aligned to it.
 *
 * Return: True where an aligned block of the region lies at an address that is
 * aligned too, within the VMA.
 */
bool ivshmem_vma_holds(struct vm_area_struct *vma, unsigned long size)
{
	unsigned long first = ALIGN(vma->vm_start, size);

	if (!IS_ALIGNED((vma->vm_start >> PAGE_SHIFT) - vma->vm_pgoff, size >> PAGE_SHIFT))
		return false;
	return first >= vma->vm_start && first < vma->vm_end && vma->vm_end - first >= size;
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
 * could outlive an unbind that runs beside it. For the same reason the method
 * sets the entry itself, inside the section, or has means to settle().
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

#ifdef HAVE_HUGE_PFNMAP
static vm_fault_t ivshmem_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct ivshmem_device *ivs = vmf->vma->vm_private_data;
	unsigned long size = PAGE_SIZE << order;
	unsigned long start = ALIGN_DOWN(vmf->address, size);
	vm_fault_t ret;

	if (!ivs->mapping->huge_fault || size > ivs->page_size ||
	    !ivshmem_vma_holds(vmf->vma, size) ||
	    start < vmf->vma->vm_start || vmf->vma->vm_end - start < size)
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
#ifdef HAVE_HUGE_PFNMAP
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
	return ivshmem_map_vma(file->private_data, vma);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* An address at which the huge entries of the method fit. */
unsigned long ivshmem_get_unmapped_area(struct file *file, unsigned long address,
					unsigned long len, unsigned long pgoff,
					unsigned long flags)
{
	struct ivshmem_device *ivs = file->private_data;
	unsigned long offset = pgoff << PAGE_SHIFT, huge = ivs->page_size, found;

	/* What huge pages of anonymous memory are aligned to, the kernel does itself. */
	if (huge > PMD_SIZE && len >= huge && !address && !(flags & MAP_FIXED)) {
		found = thp_get_unmapped_area(file, 0, len + huge, pgoff, flags);
		if (!IS_ERR_VALUE(found))
			return found + ((offset - found) & (huge - 1));
	}
	return thp_get_unmapped_area(file, address, len, pgoff, flags);
}
#endif
