// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"

struct ivshmem_device_list {
	size_t count;
	struct ivshmem_device *devices;
};

/* Leaves the address and what is not known alone. */
int ivshmem_device_fill(struct ivshmem_device *device, int dir)
{
	int err;

	err = ivshmem_pci_match(dir);
	if (err)
		return err;
	err = ivshmem_pci_bar(dir, 2, &device->size);
	if (err && err != -ENXIO)
		return err;
	err = ivshmem_pci_kind(dir, &device->kind);
	if (err)
		return err;
	err = ivshmem_pci_driver(dir, device->driver);
	if (err && err != -ENOENT)
		return err;
	err = ivshmem_pci_node(dir, device->node);
	return err == -ENODEV ? 0 : err;
}

static int fill_from_syspath(struct ivshmem_device *device, const char *syspath)
{
	const char *slash = strrchr(syspath, '/');
	int dir, err;

	dir = open(syspath, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	memset(device, 0, sizeof(*device));
	snprintf(device->address, sizeof(device->address), "%s",
		 slash ? slash + 1 : syspath);
	err = ivshmem_device_fill(device, dir);
	close(dir);
	return err;
}

static int append(struct ivshmem_device_list *list, const char *syspath)
{
	struct ivshmem_device *devices;
	int err;

	devices = reallocarray(list->devices, list->count + 1, sizeof(*devices));
	if (!devices)
		return -ENOMEM;
	list->devices = devices;

	err = fill_from_syspath(&devices[list->count], syspath);
	if (err == -ENOENT || err == -ENODEV)	/* it went away meanwhile */
		return 0;
	if (err)
		return err;
	list->count++;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct ivshmem_device *left = a, *right = b;
	size_t left_length = strlen(left->address);
	size_t right_length = strlen(right->address);

	/* Only the domain can be longer, and then it is larger. */
	if (left_length != right_length)
		return left_length < right_length ? -1 : 1;
	return strcmp(left->address, right->address);
}

static int scan(struct udev_enumerate *enumerate)
{
	int err;

	err = udev_enumerate_add_match_subsystem(enumerate, "pci");
	if (err >= 0)
		err = udev_enumerate_add_match_sysattr(enumerate, "vendor", "0x1af4");
	if (err >= 0)
		err = udev_enumerate_add_match_sysattr(enumerate, "device", "0x1110");
	if (err >= 0)
		err = udev_enumerate_scan_devices(enumerate);
	return err < 0 ? err : 0;
}

static int append_all(struct ivshmem_device_list *list,
		      struct udev_enumerate *enumerate)
{
	struct udev_list_entry *entry;
	int err;

	err = scan(enumerate);
	if (err)
		return err;
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(enumerate)) {
		err = append(list, udev_list_entry_get_name(entry));
		if (err)
			return err;
	}
	return 0;
}

static int enumerate_into(struct ivshmem_device_list *list)
{
	struct udev_enumerate *enumerate;
	struct udev *udev;
	int err = -ENOMEM;

	udev = udev_new();
	if (!udev)
		return -ENOMEM;
	enumerate = udev_enumerate_new(udev);
	if (enumerate)
		err = append_all(list, enumerate);
	udev_enumerate_unref(enumerate);
	udev_unref(udev);
	return err;
}

int ivshmem_list(struct ivshmem_device_list **out)
{
	struct ivshmem_device_list *list;
	int err;

	if (!out)
		return -EINVAL;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	err = enumerate_into(list);
	if (err) {
		ivshmem_list_free(list);
		return err;
	}
	if (list->count)
		qsort(list->devices, list->count, sizeof(*list->devices), compare);
	*out = list;
	return 0;
}

size_t ivshmem_list_count(const struct ivshmem_device_list *list)
{
	return list ? list->count : 0;
}

const struct ivshmem_device *
ivshmem_list_get(const struct ivshmem_device_list *list, size_t index)
{
	return index < ivshmem_list_count(list) ? &list->devices[index] : NULL;
}

void ivshmem_list_free(struct ivshmem_device_list *list)
{
	if (!list)
		return;
	free(list->devices);
	free(list);
}

const char *ivshmem_device_address(const struct ivshmem_device *device)
{
	return device ? device->address : NULL;
}

const char *ivshmem_device_node(const struct ivshmem_device *device)
{
	return device && device->node[0] ? device->node : NULL;
}

const char *ivshmem_device_driver(const struct ivshmem_device *device)
{
	return device && device->driver[0] ? device->driver : NULL;
}

uint64_t ivshmem_device_size(const struct ivshmem_device *device)
{
	return device ? device->size : 0;
}

enum ivshmem_region_kind ivshmem_device_kind(const struct ivshmem_device *device)
{
	return device ? device->kind : IVSHMEM_PLAIN;
}

void ivshmem_device_free(struct ivshmem_device *device)
{
	free(device);
}
