// SPDX-License-Identifier: MIT
/*
 * Preloaded into the command: devices, and a state of the kernel module, that
 * this machine does not have.
 *
 * FAKE_DEVICES is a list, ';' after each device, of ADDRESS,NODE,SIZE,KIND,DRIVER;
 * "-" stands for NULL. FAKE_MODULE is "loaded", "installed" or "missing".
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ivshmem.h>

#define DEVICES_MAX	16
#define FIELDS		5

struct ivshmem_device {
	char *field[FIELDS];
};

struct ivshmem_device_list {
	struct ivshmem_device device[DEVICES_MAX];
	size_t count;
	char *text;
};

int ivshmem_list(struct ivshmem_device_list **list)
{
	const char *devices = getenv("FAKE_DEVICES");
	struct ivshmem_device_list *new;
	char *one, *rest;
	size_t i;

	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	rest = new->text = strdup(devices ? devices : "");
	while (new->count < DEVICES_MAX && (one = strsep(&rest, ";")) && *one) {
		for (i = 0; i < FIELDS; i++)
			new->device[new->count].field[i] = strsep(&one, ",");
		new->count++;
	}
	*list = new;
	return 0;
}

size_t ivshmem_list_count(const struct ivshmem_device_list *list)
{
	return list->count;
}

const struct ivshmem_device *
ivshmem_list_get(const struct ivshmem_device_list *list, size_t index)
{
	return index < list->count ? &list->device[index] : NULL;
}

void ivshmem_list_free(struct ivshmem_device_list *list)
{
	free(list->text);
	free(list);
}

static const char *field(const struct ivshmem_device *device, size_t index)
{
	const char *text = device->field[index];

	return text && strcmp(text, "-") ? text : NULL;
}

const char *ivshmem_device_address(const struct ivshmem_device *device)
{
	return field(device, 0);
}

const char *ivshmem_device_node(const struct ivshmem_device *device)
{
	return field(device, 1);
}

uint64_t ivshmem_device_size(const struct ivshmem_device *device)
{
	return strtoull(field(device, 2), NULL, 10);
}

enum ivshmem_region_kind ivshmem_device_kind(const struct ivshmem_device *device)
{
	return strcmp(field(device, 3), "plain") ? IVSHMEM_DOORBELL : IVSHMEM_PLAIN;
}

const char *ivshmem_device_driver(const struct ivshmem_device *device)
{
	return field(device, 4);
}

/* libkmod's; the numbers are those of enum kmod_module_initstate. */
int kmod_module_get_initstate(const void *module);
const char *kmod_module_get_path(const void *module);

int kmod_module_get_initstate(const void *module)
{
	(void)module;
	return strcmp(getenv("FAKE_MODULE"), "loaded") ? -ENOENT : 1;
}

const char *kmod_module_get_path(const void *module)
{
	(void)module;
	return strcmp(getenv("FAKE_MODULE"), "installed") ? NULL : "/lib/ivshmem.ko";
}
