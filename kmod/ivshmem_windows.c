// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own mapping of the region where memremap() would not map it write-back,
 * and user space's entries are: windows, parts that are mapped when they are needed first.
 * A device that nobody reads or writes by system calls has no page tables for them.
 */

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "ivshmem.h"

/* vmap() takes no more pages at once than there is RAM, which a region may exceed. */
#define IVSHMEM_WINDOW	SZ_64M

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

static void *ivshmem_map_window(struct ivshmem_device *ivs, u64 offset, u64 len)
{
	unsigned long pfn = PHYS_PFN(ivs->start + offset);
	unsigned int count = min_t(u64, len, ivs->size - offset) >> PAGE_SHIFT;

#ifdef HAVE_WRITE_BACK_BY_HAND
	if (!ivs->pgmap)
		return ivshmem_map_frames(pfn, count);
#endif
	return ivshmem_map_pages(pfn, count, PAGE_KERNEL);
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

/**
 * ivshmem_window() - Where the kernel has the region, in windows.
 * @ivs: Device, in a section.
 * @offset: Offset into the region.
 *
 * Return: Address, valid up to the window's end or the region's; NULL if there is no
 * memory to map it.
 */
void *ivshmem_window(struct ivshmem_device *ivs, u64 offset)
{
	void *window = ivshmem_get_window(ivs, offset / IVSHMEM_WINDOW);

	return window ? window + offset % IVSHMEM_WINDOW : NULL;
}

/**
 * ivshmem_window_is_mapped() - Is a window there already?
 * @ivs: Device with windows, in a section.
 * @offset: Offset into the region.
 *
 * Return: False where ivshmem_window() has to make it first.
 */
bool ivshmem_window_is_mapped(struct ivshmem_device *ivs, u64 offset)
{
	return READ_ONCE(ivs->windows[offset / IVSHMEM_WINDOW]);
}

/**
 * ivshmem_windows_exit() - Take all windows down.
 * @ivs: Device without open sections, with windows or without.
 */
void ivshmem_windows_exit(struct ivshmem_device *ivs)
{
	u64 i, count = DIV_ROUND_UP_ULL(ivs->size, IVSHMEM_WINDOW);

	if (!ivs->windows)
		return;
	for (i = 0; i < count; i++)
		vunmap(ivs->windows[i]);
	kvfree(ivs->windows);
	ivs->windows = NULL;
}

/**
 * ivshmem_windows_init() - Map the region write-back where it is not.
 * @ivs: Device that nobody uses.
 *
 * Return: 0, or a negative errno; then all is as it was.
 */
int ivshmem_windows_init(struct ivshmem_device *ivs)
{
	void *trial, **windows;
	u32 cache;

	if (ivs->cache == IVSHMEM_CACHE_WRITE_BACK)
		return 0;
	trial = ivshmem_map_window(ivs, 0, PAGE_SIZE);
	if (!trial)
		return -ENOMEM;
	cache = ivshmem_kernel_cache(trial);
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
	WRITE_ONCE(ivs->cache, cache);
	return 0;
}

/**
 * ivshmem_windows_undo() - Map the region as it was without struct pages.
 * @ivs: Device that nobody uses, whose struct pages are about to go.
 *
 * Return: 0, or a negative errno; then all is as it was.
 */
int ivshmem_windows_undo(struct ivshmem_device *ivs)
{
#ifndef HAVE_WRITE_BACK_BY_HAND
	int ret;

	if (!ivs->windows)
		return 0;
	ret = ivshmem_kernel_init(ivs);
	if (ret)
		return ret;
	ivshmem_windows_exit(ivs);
#endif
	return 0;
}
