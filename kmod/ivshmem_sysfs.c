// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attributes in /sys/class/ivshmem/ivshmemN/. The peer ID is what the device has at
 * the moment; what the others show changes at most while nobody uses the device.
 */

#include <linux/device.h>
#include <linux/sysfs.h>

#include "ivshmem.h"

const char *ivshmem_kind_name(u32 kind)
{
	return kind == IVSHMEM_KIND_DOORBELL ? "doorbell" : "plain";
}

const char *ivshmem_cache_name(u32 cache)
{
	switch (cache) {
	case IVSHMEM_CACHE_WRITE_BACK:
		return "write-back";
	case IVSHMEM_CACHE_WRITE_THROUGH:
		return "write-through";
	case IVSHMEM_CACHE_WRITE_COMBINING:
		return "write-combining";
	case IVSHMEM_CACHE_UNCACHED_MINUS:
		return "uncached-minus";
	case IVSHMEM_CACHE_UNCACHED:
		return "uncached";
	default:
		return "unknown";
	}
}

static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", to_ivshmem(dev)->size);
}
static DEVICE_ATTR_RO(size);

static ssize_t kind_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", ivshmem_kind_name(to_ivshmem(dev)->kind));
}
static DEVICE_ATTR_RO(kind);

static ssize_t peer_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ivshmem_device *ivs = to_ivshmem(dev);
	u32 peer_id;

	if (!ivshmem_enter(ivs))
		return -ENODEV;
	peer_id = ivshmem_peer_id(ivs);
	ivshmem_exit(ivs);
	return sysfs_emit(buf, "%u\n", peer_id);
}
static DEVICE_ATTR_RO(peer_id);

static ssize_t vectors_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", to_ivshmem(dev)->vectors);
}
static DEVICE_ATTR_RO(vectors);

static ssize_t mapping_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", READ_ONCE(to_ivshmem(dev)->mapping)->name);
}
static DEVICE_ATTR_RO(mapping);

static ssize_t cache_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", ivshmem_cache_name(READ_ONCE(to_ivshmem(dev)->cache)));
}
static DEVICE_ATTR_RO(cache);

static ssize_t page_size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(to_ivshmem(dev)->page_size));
}
static DEVICE_ATTR_RO(page_size);

#if defined(CONFIG_IVSHMEM_PAGES) || defined(IVSHMEM_COMPAT_H)
static ssize_t pinning_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", ivshmem_has(to_ivshmem(dev), IVSHMEM_FEATURE_PIN));
}

static ssize_t pinning_store(struct device *dev, struct device_attribute *attr, const char *buf,
			     size_t count)
{
	bool allow;
	int ret;

	ret = kstrtobool(buf, &allow);
	if (!ret)
		ret = ivshmem_allow_pinning(to_ivshmem(dev), allow);
	return ret ?: count;
}
static DEVICE_ATTR_RW(pinning);
#endif

static struct attribute *ivshmem_attrs[] = {
	&dev_attr_size.attr,
	&dev_attr_kind.attr,
	&dev_attr_peer_id.attr,
	&dev_attr_vectors.attr,
	&dev_attr_mapping.attr,
	&dev_attr_cache.attr,
	&dev_attr_page_size.attr,
#if defined(CONFIG_IVSHMEM_PAGES) || defined(IVSHMEM_COMPAT_H)
	&dev_attr_pinning.attr,
#endif
	NULL
};

static const struct attribute_group ivshmem_group = {
	.attrs = ivshmem_attrs,
};

const struct attribute_group *ivshmem_groups[] = {
	&ivshmem_group,
	NULL
};
