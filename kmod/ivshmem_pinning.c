// SPDX-License-Identifier: GPL-2.0-only
/*
 * The choice of the method of mapping. By bare page frames, unless the administrator lets
 * programs pin the region: pages that are pinned hold up the removal of the device.
 */

#include <linux/mutex.h>

#include "ivshmem.h"

/**
 * ivshmem_pinning_setup() - Prepare what pinning needs.
 * @ivs: New device.
 */
void ivshmem_pinning_setup(struct ivshmem_device *ivs)
{
	mutex_init(&ivs->users_lock);
	mutex_init(&ivs->windows_lock);
}

/**
 * ivshmem_mapping_use() - Keep the method of mapping as it is.
 * @ivs: Device.
 */
void ivshmem_mapping_use(struct ivshmem_device *ivs)
{
	mutex_lock(&ivs->users_lock);
	ivs->users++;
	mutex_unlock(&ivs->users_lock);
}

/**
 * ivshmem_mapping_unuse() - The end of ivshmem_mapping_use().
 * @ivs: Device, which may be gone.
 */
void ivshmem_mapping_unuse(struct ivshmem_device *ivs)
{
	mutex_lock(&ivs->users_lock);
	ivs->users--;
	mutex_unlock(&ivs->users_lock);
}

/* What the old method needs goes last, so that a failure changes nothing. */
static int ivshmem_switch_mapping(struct ivshmem_device *ivs, bool to_pages)
{
	const struct ivshmem_mapping *old = ivs->mapping;
	int ret;

	lockdep_assert_held(&ivs->users_lock);
	if (ivs->users || (old->is_used && old->is_used(ivs)))
		return -EBUSY;
	if (to_pages)
		return ivshmem_pages_init(ivs);
	ret = ivshmem_windows_undo(ivs);
	if (ret)
		return ret;
	old->exit(ivs);
	ivshmem_pfn_init(ivs);
	return 0;
}

/**
 * ivshmem_allow_pinning() - May programs pin the region, or no longer?
 * @ivs: Device that is shown to user space.
 * @allow: What is wanted.
 *
 * Return: 0; -EBUSY (in use: open, mapped, exported or pinned); -EINVAL, -ERANGE,
 * -EOPNOTSUPP (there can be no struct pages, see ivshmem_pages_check()); -ENOMEM.
 */
int ivshmem_allow_pinning(struct ivshmem_device *ivs, bool allow)
{
	int ret = 0;

	mutex_lock(&ivs->users_lock);
	if (allow != ivshmem_has(ivs, IVSHMEM_FEATURE_PIN))
		ret = ivshmem_switch_mapping(ivs, allow);
	mutex_unlock(&ivs->users_lock);
	return ret;
}
