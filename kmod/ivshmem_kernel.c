// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own mapping of the region, for read() and write(). It has the type that
 * user space gets, since one range must not be mapped by two types.
 *
 * memremap() reserves the type that the kernel grants for as long as the mapping lives,
 * and vmf_insert_pfn() and its relatives take the reserved type. On x86 that type is UC-
 * where the MTRRs say so.
 */

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include "ivshmem.h"

/*
 * The host cannot read what a confidential guest encrypts. MEMREMAP_WB alone maps
 * encrypted there since 6.15 (81256a50aa0f, "x86/mm: Make memremap(MEMREMAP_WB) map
 * memory as encrypted by default"): to read or write it by such a mapping ends a guest of
 * TDX or SEV-SNP, whose region is not its private memory. MEMREMAP_DEC is what makes
 * arch_memremap_wb() take ioremap_cache(), as all kernels before did for what is no RAM.
 * These know the flag since 4.15, and look at it only where the range is RAM.
 */
#define IVSHMEM_MEMREMAP	(MEMREMAP_WB | MEMREMAP_DEC)

#ifdef CONFIG_X86
static const struct {
	enum page_cache_mode mode;
	u32 cache;
} ivshmem_caches[] = {
	{ _PAGE_CACHE_MODE_WB, IVSHMEM_CACHE_WRITE_BACK },
	{ _PAGE_CACHE_MODE_UC_MINUS, IVSHMEM_CACHE_UNCACHED_MINUS },
	{ _PAGE_CACHE_MODE_UC, IVSHMEM_CACHE_UNCACHED },
	{ _PAGE_CACHE_MODE_WC, IVSHMEM_CACHE_WRITE_COMBINING },
	{ _PAGE_CACHE_MODE_WT, IVSHMEM_CACHE_WRITE_THROUGH },
};
#endif

/**
 * ivshmem_kernel_cache() - The cache type of a mapping of the kernel.
 * @data: Where the kernel has mapped the region, or a part of it.
 *
 * As the page table has it: nothing else tells what memremap() granted.
 *
 * Return: IVSHMEM_CACHE_*.
 */
u32 ivshmem_kernel_cache(const void *data)
{
#ifdef CONFIG_X86
	unsigned int level, i;
	pte_t *pte = lookup_address((unsigned long)data, &level);
	unsigned long bits;
	pgprot_t prot;

	if (!pte)
		return IVSHMEM_CACHE_UNKNOWN;
	prot = pte_pgprot(*pte);
	if (level != PG_LEVEL_4K)
		prot = pgprot_large_2_4k(prot);
	bits = pgprot_val(prot) & _PAGE_CACHE_MASK;
	/* Where the processor lacks a type, another one's value stands for it: first match. */
	for (i = 0; i < ARRAY_SIZE(ivshmem_caches); i++)
		if (bits == cachemode2protval(ivshmem_caches[i].mode))
			return ivshmem_caches[i].cache;
	return IVSHMEM_CACHE_UNKNOWN;
#else
	/* On arm64, what memremap(MEMREMAP_WB) and a PTE with default protection are. */
	return IS_ENABLED(CONFIG_ARM64) ? IVSHMEM_CACHE_WRITE_BACK : IVSHMEM_CACHE_UNKNOWN;
#endif
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
	return ivs->data ? ivs->data + offset : ivshmem_window(ivs, offset);
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
	return ivs->data || ivshmem_window_is_mapped(ivs, offset);
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
	WRITE_ONCE(ivs->cache, ivshmem_kernel_cache(ivs->data));
#ifdef HAVE_WRITE_BACK_BY_HAND
	/* Where it can't be, the type is told, and warned of. */
	ivshmem_windows_init(ivs);
#endif
	return 0;
}

/**
 * ivshmem_kernel_exit() - Take the kernel's mapping down.
 * @ivs: Device without open sections.
 */
void ivshmem_kernel_exit(struct ivshmem_device *ivs)
{
	ivshmem_windows_exit(ivs);
	memunmap(ivs->data);
	ivs->data = NULL;
}
