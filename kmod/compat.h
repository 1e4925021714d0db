/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The newest kernel's interfaces on older kernels. With compat_entries.c the only file
 * that knows what a kernel lacks; Kbuild finds that out. A kernel's own tree has neither,
 * see packaging/linux/make-tree.
 */

#ifndef IVSHMEM_COMPAT_H
#define IVSHMEM_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/memory_hotplug.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uio.h>

#ifndef HAVE_VM_FLAGS_SET		/* before 6.3 */
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifdef HAVE_EVENTFD_SIGNAL_COUNT	/* before 6.8 */
#define eventfd_signal(eventfd) eventfd_signal(eventfd, 1)
#endif

#ifdef HAVE_CC_PLATFORM
#include <linux/cc_platform.h>
#else					/* before 5.16 */
#include <linux/mem_encrypt.h>
#define CC_ATTR_GUEST_MEM_ENCRYPT 0
#define cc_platform_has(attribute) mem_encrypt_active()
#endif

#ifndef kzalloc_obj			/* before 7.0 */
#define kzalloc_obj(what) kzalloc(sizeof(what), GFP_KERNEL)
#define kmalloc_obj(what, gfp) kmalloc(sizeof(what), gfp)
#endif

#ifndef HAVE_COPY_SPLICE_READ		/* before 6.5 */
#define copy_splice_read generic_file_splice_read
#endif

#ifndef HAVE_MHP_GET_PLUGGABLE_RANGE	/* before 5.12 */
static inline struct range mhp_get_pluggable_range(bool need_mapping)
{
	return (struct range) { .end = (1ULL << MAX_PHYSMEM_BITS) - 1 };
}
#endif

#ifndef HAVE_FAULT_IN_IOV_ITER		/* before 5.16 */
/*
 * fault_in_pages_writeable() writes zeroes, which must not be seen where the
 * buffer is a mapping of the region; iov_iter_fault_in_readable() fails where
 * only a part of the buffer is there.
 */
static inline int ivshmem_fault_in_page(unsigned long address, bool write)
{
	bool unlocked = false;
	int ret;

	if (!write)
		return fault_in_pages_readable((const char __user *)address, 1);
	mmap_read_lock(current->mm);
	ret = fixup_user_fault(current->mm, address, FAULT_FLAG_WRITE, &unlocked);
	mmap_read_unlock(current->mm);
	return ret;
}

/* The first segment is enough: the caller comes again for the others. */
static inline size_t ivshmem_fault_in(struct iov_iter *iter, size_t bytes, bool write)
{
	unsigned long start, address, end;
	struct iovec iov;

	if (!iter_is_iovec(iter))
		return 0;
	iov = iov_iter_iovec(iter);
	start = (unsigned long)iov.iov_base;
	end = start + min(iov.iov_len, bytes);
	for (address = start; address < end; address = (address & PAGE_MASK) + PAGE_SIZE)
		if (ivshmem_fault_in_page(address, write))
			return address == start ? bytes : end - address;
	return 0;
}

static inline size_t fault_in_iov_iter_readable(struct iov_iter *iter, size_t bytes)
{
	return ivshmem_fault_in(iter, bytes, false);
}

static inline size_t fault_in_iov_iter_writeable(struct iov_iter *iter, size_t bytes)
{
	return ivshmem_fault_in(iter, bytes, true);
}
#endif

#ifdef HAVE_IOSYS_MAP			/* since 5.18 */
#include <linux/iosys-map.h>
#endif

#ifndef HAVE_DMA_BUF_INVALIDATE	/* before 7.0 */
#define dma_buf_invalidate_mappings dma_buf_move_notify
#endif

/* Before 6.13 not with a string. */
#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns) MODULE_INFO(import_ns, ns)

/*
 * The last physical address for which there can be struct pages and a direct map.
 *
 * Kernels before 6.11 answer from constants. With KASLR x86's real bounds differ from
 * boot to boot: the direct map may be trimmed to RAM and 10 TiB more, and what comes
 * beyond lands in the vmalloc area, where is_vmalloc_addr() takes it for something else.
 * Where the areas begin, the running kernel tells.
 */
static inline struct range pluggable_range(bool need_mapping)
{
	struct range range = mhp_get_pluggable_range(need_mapping);

#ifdef CONFIG_X86_64
	u64 direct_end = VMALLOC_START - PAGE_OFFSET - 1;
	u64 memmap_end = PFN_PHYS((CPU_ENTRY_AREA_BASE - VMEMMAP_START) / sizeof(struct page)) - 1;

	range.end = min3(range.end, direct_end, memmap_end);
#endif
	return range;
}

#define mhp_get_pluggable_range pluggable_range

#ifndef HAVE_VMEMMAP_CAN_OPTIMIZE	/* before 6.5 */
static inline bool vmemmap_can_optimize(struct vmem_altmap *altmap, struct dev_pagemap *pgmap)
{
	return false;
}
#endif

#ifndef PMD_ORDER			/* before 6.7 */
#define PMD_ORDER (PMD_SHIFT - PAGE_SHIFT)
#define PUD_ORDER (PUD_SHIFT - PAGE_SHIFT)
#endif

/*
 * Write-back entries where the MTRRs say otherwise: x86 only, and with a function
 * that is there if one of the kernel's own drivers wants it.
 */
#if defined(CONFIG_X86) && defined(CONFIG_VMAP_PFN) && defined(CONFIG_IVSHMEM_PAGES)
#define HAVE_WRITE_BACK_BY_HAND
#endif

/*
 * Huge entries for bare page frames. Since 6.12 the kernel has them, marked special, and
 * asks for them by .huge_fault.
 *
 * Before, an entry has no such mark, and get_user_pages_fast(), which knows no VMAs, takes
 * any for that of pages: that is why TTM lost its huge entries in 5.16 (0d979509539e). What
 * it does know are entries of devices, pmd_devmap(). For each it looks for the page map of
 * the range by get_dev_pagemap(), does nothing where there is none, and then comes back the
 * slow way, which sees VM_PFNMAP and refuses (__gup_device_huge() and check_vma_flags() in
 * mm/gup.c; the same from 4.5 to 6.11). It does not look into struct pages before, given
 * that pfn_to_page() is a sum, as it is with SPARSEMEM_VMEMMAP. All else in mm/ either skips
 * VM_PFNMAP (page walks, so mincore(), mlock(), smaps, NUMA balancing), or sees by
 * vma_is_special_huge() that there are no pages (zapping and splitting). So such an entry is
 * safe as long as nothing registers a page map for its range, as mapping by pages does: it
 * waits until there are no mappings left.
 */
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
#define HAVE_HUGE_PFNMAP
#elif defined(CONFIG_ARCH_HAS_PTE_DEVMAP) && defined(CONFIG_TRANSPARENT_HUGEPAGE) && \
	defined(CONFIG_SPARSEMEM_VMEMMAP) && defined(HAVE_PFN_T)
#define HAVE_HUGE_DEVMAP
#endif

#if defined(HAVE_HUGE_PFNMAP) || defined(HAVE_HUGE_DEVMAP)
#define HAVE_HUGE_PFN

static inline pmd_t huge_pfn_pmd(unsigned long pfn, pgprot_t prot)
{
#ifdef HAVE_HUGE_DEVMAP
	return pmd_mkdevmap(pmd_mkhuge(pfn_pmd(pfn, prot)));
#else
	return pmd_mkspecial(pmd_mkhuge(pfn_pmd(pfn, prot)));
#endif
}
#endif

#ifdef HAVE_PFN_T			/* before 6.17 */
#include <linux/pfn_t.h>

#ifdef HAVE_HUGE_DEVMAP
static inline vm_fault_t insert_devmap_pmd(struct vm_fault *vmf, unsigned long pfn, bool write)
{
	return vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV | PFN_MAP), write);
}
#endif

#define vmf_insert_pfn_pmd(vmf, pfn, write) \
	vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV), write)
#define vmf_insert_pfn_pud(vmf, pfn, write) \
	vmf_insert_pfn_pud(vmf, __pfn_to_pfn_t(pfn, PFN_DEV), write)
#endif

/* What a kernel without struct pages for devices, or without dma-bufs, answers. */
struct file;
struct ivshmem_device;
struct ivshmem_dmabuf;

#ifndef CONFIG_IVSHMEM_PAGES
static inline int ivshmem_allow_pinning(struct ivshmem_device *ivs, bool allow)
{
	return allow ? -EOPNOTSUPP : 0;
}
#endif

#ifndef CONFIG_IVSHMEM_DMABUF
static inline int ivshmem_export_dmabuf(struct ivshmem_device *ivs, struct file *file,
					struct ivshmem_dmabuf __user *arg)
{
	return -EOPNOTSUPP;
}
#endif

/* compat_entries.c */

#if defined(HAVE_WRITE_BACK_BY_HAND) || defined(HAVE_HUGE_DEVMAP)
#define HAVE_OWN_ENTRIES
void ivshmem_own_entries_init(struct ivshmem_device *ivs);
#endif
#ifdef HAVE_WRITE_BACK_BY_HAND
void *ivshmem_map_frames(unsigned long pfn, unsigned int count);
#endif
#ifndef HAVE_FOLIO_PMD			/* before 6.15 */
vm_flags_t ivshmem_locked_vm_flags(struct ivshmem_device *ivs, struct vm_area_struct *vma);
vm_fault_t ivshmem_locked_fault(struct ivshmem_device *ivs, struct vm_fault *vmf,
				unsigned long pfn);
void ivshmem_locked_settle(struct ivshmem_device *ivs);
#endif

#endif /* IVSHMEM_COMPAT_H */
