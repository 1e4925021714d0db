// SPDX-License-Identifier: MIT
/* The devices: by their PCI addresses, since binding may give them other numbers. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define DRIVER		"/sys/bus/pci/drivers/ivshmem/"
#define TRIES		1000

struct fuzz fuzz;

/* "ivshmem0"; false where the device is not bound */
static bool device_name(unsigned int device, char *name, size_t size)
{
	bool found = false;
	struct dirent *entry;
	char path[128];
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/ivshmem",
		 fuzz.device[device].address);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		found = !strncmp(entry->d_name, "ivshmem", 7);
		snprintf(name, size, "%.31s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static bool attribute_path(unsigned int device, const char *attribute, char *path, size_t size)
{
	char name[32];

	if (!device_name(device, name, sizeof(name)))
		return false;
	snprintf(path, size, "/sys/class/ivshmem/%s/%s", name, attribute);
	return true;
}

bool device_write(unsigned int device, const char *attribute, const char *text)
{
	char path[128];

	return attribute_path(device, attribute, path, sizeof(path)) && write_file(path, text);
}

bool device_read(unsigned int device, const char *attribute, char *text, size_t size)
{
	char path[128];
	ssize_t len;
	int fd;

	if (!attribute_path(device, attribute, path, sizeof(path)))
		return false;
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	len = read(fd, text, size - 1);
	close(fd);
	text[len < 0 ? 0 : len] = 0;
	return len > 0;
}

int device_open(unsigned int device, int flags)
{
	char name[32], path[64];

	if (!device_name(device, name, sizeof(name)))
		return -1;
	snprintf(path, sizeof(path), "/dev/%s", name);
	return open(path, flags);
}

bool device_bind(unsigned int device)
{
	return write_file(DRIVER "bind", fuzz.device[device].address);
}

bool device_unbind(unsigned int device)
{
	return write_file(DRIVER "unbind", fuzz.device[device].address);
}

void devices_add(const char *address)
{
	struct device *device = &fuzz.device[fuzz.devices];
	char text[32];

	if (fuzz.devices == DEVICES_MAX)
		die("too many devices");
	device->address = address;
	if (!device_read(fuzz.devices, "size", text, sizeof(text)))
		die(address);
	device->size = strtoull(text, NULL, 10);
	device->vectors = device_read(fuzz.devices, "vectors", text, sizeof(text)) &&
			  strcmp(text, "0\n");
	fuzz.devices++;
}

static bool is_pinning(unsigned int device)
{
	char text[8] = "";

	return device_read(device, "pinning", text, sizeof(text)) && text[0] == '1';
}

/* It can be forbidden only where nobody uses the device any more: nothing leaked. */
static void forbid_pinning(unsigned int device)
{
	unsigned int tries;

	for (tries = 0; !device_write(device, "pinning", "0"); tries++) {
		if (tries == TRIES)
			die("a device is in use after all have gone");
		usleep(1000);
	}
}

/*
 * Bit by bit: may programs pin a device? It lasts for many inputs, since it takes long.
 * There may be no struct pages for one: then it is left as it is.
 */
void devices_choose_pinning(unsigned int bits)
{
	unsigned int i;

	for (i = 0; i < fuzz.devices; i++) {
		if (!(bits >> i & 1))
			forbid_pinning(i);
		else
			device_write(i, "pinning", "1");
		fuzz.device[i].pinning = is_pinning(i);
	}
}

/* As they were before an input. */
void devices_restore(void)
{
	unsigned int i;
	char name[32];

	for (i = 0; i < fuzz.devices; i++) {
		if (!device_name(i, name, sizeof(name)) && !device_bind(i))
			die("binding a device again");
		if (is_pinning(i) == fuzz.device[i].pinning)
			continue;
		if (!fuzz.device[i].pinning)
			forbid_pinning(i);
		else if (!device_write(i, "pinning", "1"))
			die("pinning can't be allowed any more");
	}
}
