// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping by bare page frames: works for every region and costs no memory, but
 * user mappings can't be pinned, and on x86 get no better cache type than the
 * MTRRs allow.
 *
 * The type that the kernel's own mapping was granted is reserved for the range
 * for as long as that mapping lives, and vmf_insert_pfn() takes the reserved
 * type, so all mappings agree.
 */

#include <linux/io.h>
#include <linux/mm.h>

#include "ivshmem.h"

static int ivshmem_pfn_init(struct ivshmem_device *ivs)
{
	ivs->data = memremap(ivs->start, ivs->size, MEMREMAP_WB);
	if (!ivs->data)
		return -ENOMEM;
	ivs->cache = ivshmem_read_cache(ivs->data);
	return 0;
}

static void ivshmem_pfn_exit(struct ivshmem_device *ivs)
{
	memunmap(ivs->data);
}

static vm_fault_t ivshmem_pfn_insert(struct vm_fault *vmf, unsigned long pfn)
{
	return vmf_insert_pfn(vmf->vma, vmf->address, pfn);
}

const struct ivshmem_mapping ivshmem_pfn_mapping = {
	.name = "pfn",
	.id = IVSHMEM_MAPPING_PFN,
	.vm_flags = VM_PFNMAP | VM_IO,
	.init = ivshmem_pfn_init,
	.exit = ivshmem_pfn_exit,
	.insert = ivshmem_pfn_insert,
};
