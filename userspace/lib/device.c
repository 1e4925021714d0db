// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "internal.h"
#include "uapi/ivshmem.h"

/* Opening is no way to find out: it may start what the device does. */
int ivshmem_device_recognise(dev_t number)
{
	char line[128], name[sizeof(line)];
	int err = -ENODEV;	/* no driver has the number, or no longer */
	unsigned int candidate;
	FILE *devices;

	devices = fopen("/proc/devices", "re");
	if (!devices)
		return errno == ENOENT ? -ENOSYS : -errno;
	while (err && fgets(line, sizeof(line), devices)) {
		if (!strcmp(line, "Block devices:\n"))
			break;
		if (sscanf(line, "%u %s", &candidate, name) == 2 &&
		    candidate == major(number))
			err = strcmp(name, "ivshmem") ? -ENOTTY : 0;
	}
	fclose(devices);
	return err;
}

static int get_info(const struct ivshmem *shm, struct ivshmem_info *info)
{
	memset(info, 0, sizeof(*info));
	return ioctl(shm->fd, IVSHMEM_IOC_GET_INFO, info) < 0 ? -errno : 0;
}

static const char *mapping_name(uint32_t mapping)
{
	switch (mapping) {
	case IVSHMEM_MAPPING_PFN:
		return "pfn";
	case IVSHMEM_MAPPING_PAGES:
		return "pages";
	default:
		return "unknown";
	}
}

static const char *cache_name(uint32_t cache)
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

static int device_probe(struct ivshmem *shm)
{
	struct ivshmem_info info;
	int err;

	err = get_info(shm, &info);
	if (err)
		return err;
	shm->size = info.size;
	shm->kind = info.kind == IVSHMEM_KIND_DOORBELL ? IVSHMEM_DOORBELL
						       : IVSHMEM_PLAIN;
	shm->mapping = mapping_name(info.mapping);
	shm->cache = cache_name(info.cache);
	snprintf(shm->address, sizeof(shm->address), "%04x:%02x:%02x.%x",
		 info.pci_domain, info.pci_bus, info.pci_device,
		 info.pci_function);
	return 0;
}

static int device_check(const struct ivshmem *shm)
{
	struct ivshmem_info info;

	return get_info(shm, &info);
}

const struct ivshmem_backend ivshmem_device_backend = {
	.side = IVSHMEM_GUEST,
	.probe = device_probe,
	.map = ivshmem_map_fd,
	.check = device_check,
};
