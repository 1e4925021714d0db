// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"

#define VENDOR_ID	"0x1af4\n"
#define DEVICE_ID	"0x1110\n"
#define NODE_PREFIX	"ivshmem"
#define MAX_CAPABILITIES	48	/* for as many there is room */

/* Takes @min to @max hex digits and the character @end behind them. */
static const char *parse_field(const char *text, int min, int max, char end,
			       unsigned int *value)
{
	int digits = (int)strspn(text, "0123456789abcdefABCDEF");

	if (digits < min || digits > max || text[digits] != end)
		return NULL;
	*value = (unsigned int)strtoul(text, NULL, 16);
	return text + digits + 1;
}

int ivshmem_pci_parse(const char *text, char address[PCI_ADDRESS_SIZE])
{
	unsigned int domain, bus, device, function;
	const char *rest = parse_field(text, 4, 8, ':', &domain);

	if (!rest) {
		domain = 0;
		rest = text;
	}
	rest = parse_field(rest, 2, 2, ':', &bus);
	if (!rest)
		return -EINVAL;
	rest = parse_field(rest, 2, 2, '.', &device);
	if (!rest || !parse_field(rest, 1, 1, '\0', &function))
		return -EINVAL;
	if (device > 0x1f || function > 7)
		return -EINVAL;
	snprintf(address, PCI_ADDRESS_SIZE, "%04x:%02x:%02x.%x",
		 domain, bus & 0xff, device, function);
	return 0;
}

int ivshmem_pci_open(const char *address)
{
	char path[sizeof("/sys/bus/pci/devices/") + PCI_ADDRESS_SIZE];
	int dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -errno : dir;
}

/* A text without its end is no error: the first @size - 1 bytes will do. */
static int read_attribute(int dir, const char *name, char *text, size_t size)
{
	ssize_t length;
	int fd, err = 0;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, text, size - 1);
	if (length < 0)
		err = -errno;
	else
		text[length] = '\0';
	close(fd);
	return err;
}

/* -ENOENT: there is no ivshmem device here. */
int ivshmem_pci_match(int dir)
{
	char vendor[16], device[16];
	int err;

	err = read_attribute(dir, "vendor", vendor, sizeof(vendor));
	if (!err)
		err = read_attribute(dir, "device", device, sizeof(device));
	if (err)
		return err;
	return strcmp(vendor, VENDOR_ID) || strcmp(device, DEVICE_ID) ? -ENOENT : 0;
}

/* -ENXIO: the device has no such BAR. */
int ivshmem_pci_bar(int dir, unsigned int bar, uint64_t *size)
{
	uint64_t start, end, flags;
	char text[512];
	char *line = text;
	int err;

	err = read_attribute(dir, "resource", text, sizeof(text));
	if (err)
		return err;
	while (line && bar--) {
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	if (!line || sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64,
			    &start, &end, &flags) != 3)
		return -EIO;
	if (!flags)
		return -ENXIO;
	*size = end - start + 1;
	return 0;
}

/* -ENODATA: config space is not to be read so far, but by root. */
static int read_config(int config, unsigned int offset, void *data, size_t size)
{
	ssize_t length = pread(config, data, size, offset);

	if (length < 0)
		return -errno;
	return (size_t)length == size ? 0 : -ENODATA;
}

/* Is there a capability of this ID? 0, 1, or a negative errno. */
static int find_capability(int config, uint8_t id)
{
	uint8_t entry[2] = { 0, 0 };	/* its ID, and where the next one lies */
	uint16_t status;
	unsigned int i;
	int err;

	err = read_config(config, PCI_STATUS, &status, sizeof(status));
	if (err || !(le16toh(status) & PCI_STATUS_CAP_LIST))
		return err;
	err = read_config(config, PCI_CAPABILITY_LIST, &entry[1], 1);
	for (i = 0; i < MAX_CAPABILITIES; i++) {
		if (err || entry[1] < PCI_STD_HEADER_SIZEOF)
			break;
		err = read_config(config, entry[1] & ~3u, entry, sizeof(entry));
		if (!err && entry[0] == id)
			return 1;
	}
	return err;
}

static int has_msix(int dir)
{
	int fd = openat(dir, "config", O_RDONLY | O_CLOEXEC);
	int found;

	if (fd < 0)
		return -errno;
	found = find_capability(fd, PCI_CAP_ID_MSIX);
	close(fd);
	return found;
}

/*
 * A doorbell device has MSI-X, a plain one has not. Who may not read that goes by
 * BAR 1, where QEMU puts the MSI-X table.
 */
int ivshmem_pci_kind(int dir, enum ivshmem_region_kind *kind)
{
	int found = has_msix(dir);
	uint64_t size;
	int err;

	if (found < 0) {
		err = ivshmem_pci_bar(dir, 1, &size);
		if (err && err != -ENXIO)
			return err;
		found = !err;
	}
	*kind = found ? IVSHMEM_DOORBELL : IVSHMEM_PLAIN;
	return 0;
}

/* -ENODEV: no driver serves a node. */
int ivshmem_pci_node(int dir, char node[NODE_NAME_SIZE])
{
	struct dirent *entry;
	int fd, err = -ENODEV;
	DIR *stream;

	fd = openat(dir, "ivshmem", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	stream = fdopendir(fd);
	if (!stream) {
		err = -errno;
		close(fd);
		return err;
	}
	while (err && (entry = readdir(stream))) {
		if (strncmp(entry->d_name, NODE_PREFIX, strlen(NODE_PREFIX)))
			continue;
		snprintf(node, NODE_NAME_SIZE, "/dev/%.*s",
			 (int)(NODE_NAME_SIZE - sizeof("/dev/")), entry->d_name);
		err = 0;
	}
	closedir(stream);
	return err;
}

/* -ENOENT: no driver has the device. */
int ivshmem_pci_driver(int dir, char driver[DRIVER_NAME_SIZE])
{
	char target[PATH_MAX];
	ssize_t length;
	char *name;

	length = readlinkat(dir, "driver", target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= DRIVER_NAME_SIZE)
		return -ENAMETOOLONG;
	strcpy(driver, name);
	return 0;
}

/*
 * A hot-plugged device that no driver has taken does not answer to memory
 * accesses yet: all reads would give ones.
 */
int ivshmem_pci_enable(int dir)
{
	uint16_t command;
	int fd, err = 0;

	fd = openat(dir, "config", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pread(fd, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		err = -EIO;
	close(fd);
	if (err || le16toh(command) & PCI_COMMAND_MEMORY)
		return err;

	fd = openat(dir, "enable", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, "1", 1) < 0)
		err = -errno;
	close(fd);
	return err;
}
