// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own mapping of the region, for read() and write(). It has the type that
 * user space gets, since one range must not be mapped by two types.
 *
 * memremap() reserves the type that the kernel grants for as long as the mapping lives,
 * and vmf_insert_pfn() and its relatives take the reserved type. On x86 that type is UC-
 * where the MTRRs say so. Then there are windows in its place, parts that are mapped
 * write-back by hand when they are needed first, and user space gets entries by hand as
 * well. A device that nobody reads or writes by system calls has no page tables for them.
 */

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "ivshmem.h"

/* vmap() takes no more pages at once than there is RAM, which a region may exceed. */
#define IVSHMEM_WINDOW	SZ_64M

/*
 * The host cannot read what a confidential guest encrypts. MEMREMAP_WB alone maps
 * encrypted there since 6.15 (81256a50aa0f, "x86/mm: Make memremap(MEMREMAP_WB) map
 * memory as encrypted by default"): to read or write it by such a mapping ends a guest of
 * TDX or SEV-SNP, whose region is not its private memory. MEMREMAP_DEC is what makes
 * arch_memremap_wb() take ioremap_cache(), as all kernels before did for what is no RAM.
 * These know the flag since 4.15, and look at it only where the range is RAM.
 */
#define IVSHMEM_MEMREMAP	(MEMREMAP_WB | MEMREMAP_DEC)

/* The cache type of a mapping of the kernel, as the page table has it. */
#ifdef CONFIG_X86
static u32 ivshmem_read_cache(void *data)
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
static u32 ivshmem_read_cache(void *data)
{
	return IVSHMEM_CACHE_WRITE_BACK;
}
#else
static u32 ivshmem_read_cache(void *data)
{
	return IVSHMEM_CACHE_UNKNOWN;
}
#endif

/**
 * ivshmem_map_pages() - Map some struct pages for the kernel, write-back.
 * @pfn: The first one's page frame.
 * @count: How many.
 * @prot: Protection.
 *
 * Return: Address, for vunmap(), or NULL.
 */
void *ivshmem_map_pages(unsigned long pfn, unsigned long count, pgprot_t prot)
{
	struct page **pages = kvmalloc_array(count, sizeof(*pages), GFP_KERNEL);
	void *window;
	unsigned long i;

	if (!pages)
		return NULL;
	for (i = 0; i < count; i++)
		pages[i] = pfn_to_page(pfn + i);
	window = vmap(pages, count, VM_MAP, prot);
	kvfree(pages);
	return window;
}

#ifdef HAVE_WRITE_BACK_BY_HAND
static void *ivshmem_window_of_frames(unsigned long pfn, unsigned int count)
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
#else
static void *ivshmem_window_of_frames(unsigned long pfn, unsigned int count)
{
	return NULL;
}
#endif

static void *ivshmem_map_window(struct ivshmem_device *ivs, u64 offset, u64 len)
{
	unsigned long pfn = PHYS_PFN(ivs->start + offset);
	unsigned int count = min_t(u64, len, ivs->size - offset) >> PAGE_SHIFT;

	return ivs->pgmap ? ivshmem_map_pages(pfn, count, PAGE_KERNEL) :
			    ivshmem_window_of_frames(pfn, count);
}

static void *ivshmem_get_window(struct ivshmem_device *ivs, u64 i)
{
	void *window;

	/* Pairs with the store below. */
	window = smp_load_acquire(&ivs->windows[i]);
	if (window)
		return window;
	mutex_lock(&ivs->windows_lock);
	window = ivs->windows[i];
	if (!window) {
		window = ivshmem_map_window(ivs, i * IVSHMEM_WINDOW, IVSHMEM_WINDOW);
		/* Pairs with the look without the lock. */
		smp_store_release(&ivs->windows[i], window);
	}
	mutex_unlock(&ivs->windows_lock);
	return window;
}

static void ivshmem_free_windows(struct ivshmem_device *ivs)
{
	u64 i, count = DIV_ROUND_UP_ULL(ivs->size, IVSHMEM_WINDOW);

	for (i = 0; i < count; i++)
		vunmap(ivs->windows[i]);
	kvfree(ivs->windows);
	ivs->windows = NULL;
}

/**
 * ivshmem_data() - Where the kernel has the region.
 * @ivs: Device, in a section.
 * @offset: Offset into the region.
 *
 * May sleep, but waits for nobody.
 *
 * Return: Address, valid up to the next multiple of 64 MiB or the region's end, and
 * cached as the user's mappings are; NULL if there is no memory to map it.
 */
void *ivshmem_data(struct ivshmem_device *ivs, u64 offset)
{
	void *window;

	if (!ivs->windows)
		return ivs->data + offset;
	window = ivshmem_get_window(ivs, offset / IVSHMEM_WINDOW);
	return window ? window + offset % IVSHMEM_WINDOW : NULL;
}

/**
 * ivshmem_is_mapped() - Does ivshmem_data() answer at once?
 * @ivs: Device, in a section.
 * @offset: Offset into the region.
 *
 * Return: False where it has to make the mapping first.
 */
bool ivshmem_is_mapped(struct ivshmem_device *ivs, u64 offset)
{
	return !ivs->windows || READ_ONCE(ivs->windows[offset / IVSHMEM_WINDOW]);
}

/**
 * ivshmem_kernel_write_back() - Map the region write-back by hand where it is not.
 * @ivs: Device that nobody uses, with struct pages or without.
 *
 * Return: 0, or a negative errno; then all is as it was.
 */
int ivshmem_kernel_write_back(struct ivshmem_device *ivs)
{
	void *trial, **windows;
	u32 cache;

	if (ivs->cache == IVSHMEM_CACHE_WRITE_BACK)
		return 0;
	trial = ivshmem_map_window(ivs, 0, PAGE_SIZE);
	if (!trial)
		return -ENOMEM;
	cache = ivshmem_read_cache(trial);
	vunmap(trial);
	if (cache != IVSHMEM_CACHE_WRITE_BACK)
		return -EOPNOTSUPP;
	windows = kvcalloc(DIV_ROUND_UP_ULL(ivs->size, IVSHMEM_WINDOW), sizeof(*windows),
			   GFP_KERNEL);
	if (!windows)
		return -ENOMEM;
	memunmap(ivs->data);
	ivs->data = NULL;
	ivs->windows = windows;
	ivs->cache = cache;
	return 0;
}

/**
 * ivshmem_kernel_as_at_first() - Undo what needs struct pages.
 * @ivs: Device that nobody uses, whose struct pages are about to go.
 *
 * Return: 0, or a negative errno; then all is as it was.
 */
int ivshmem_kernel_as_at_first(struct ivshmem_device *ivs)
{
#ifndef HAVE_WRITE_BACK_BY_HAND
	void *data;

	if (!ivs->windows)
		return 0;
	data = memremap(ivs->start, ivs->size, IVSHMEM_MEMREMAP);
	if (!data)
		return -ENOMEM;
	ivshmem_free_windows(ivs);
	ivs->data = data;
	ivs->cache = ivshmem_read_cache(data);
#endif
	return 0;
}

/**
 * ivshmem_kernel_init() - Map the region for the kernel.
 * @ivs: Device.
 *
 * Return: 0, or a negative errno.
 */
int ivshmem_kernel_init(struct ivshmem_device *ivs)
{
	ivs->data = memremap(ivs->start, ivs->size, IVSHMEM_MEMREMAP);
	if (!ivs->data)
		return -ENOMEM;
	ivs->cache = ivshmem_read_cache(ivs->data);
	/* Where it can't be, the type is told, and warned of. */
	ivshmem_kernel_write_back(ivs);
	return 0;
}

/**
 * ivshmem_kernel_exit() - Take the kernel's mapping down.
 * @ivs: Device without open sections.
 */
void ivshmem_kernel_exit(struct ivshmem_device *ivs)
{
	if (ivs->windows)
		ivshmem_free_windows(ivs);
	else
		memunmap(ivs->data);
	ivs->data = NULL;
}
