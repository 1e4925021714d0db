// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "system/system.h"
#include "kinds.h"

#define UNIX_PREFIX	"unix:"

static int choose_regular(int fd, const struct ivshmem_backend **backend)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != SYSFS_MAGIC)
		*backend = &ivshmem_file_backend;
	else if (ivshmem_resource2_recognise(fd))
		*backend = &ivshmem_resource2_backend;
	else
		return -ENOTSUP;
	return 0;
}

/* Looks without opening: to open a foreign device may start something. */
static int choose_backend(int fd, const struct ivshmem_backend **backend)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return choose_regular(fd, backend);
	case S_IFCHR:
		*backend = &ivshmem_device_backend;
		return ivshmem_device_recognise(st.st_rdev);
	case S_IFDIR:
		return -EISDIR;
	default:
		return -ENOTSUP;
	}
}

static int open_path(struct ivshmem **shm, const char *where, bool readonly)
{
	const struct ivshmem_backend *backend = NULL;
	int path_fd, fd, err;

	path_fd = ivshmem_path_resolve(where);
	if (path_fd < 0)
		return path_fd;
	err = choose_backend(path_fd, &backend);
	if (err)
		goto out_close_path;
	fd = ivshmem_path_reopen(path_fd, readonly ? O_RDONLY : O_RDWR);
	if (fd < 0) {
		err = fd;
		goto out_close_path;
	}
	err = ivshmem_attach(shm, fd, backend, readonly);
	if (err)
		close(fd);

out_close_path:
	close(path_fd);
	return err;
}

static int find_node(const char *address, char node[NODE_NAME_SIZE])
{
	int dir, err;

	dir = ivshmem_pci_open(address);
	if (dir < 0)
		return dir;
	err = ivshmem_pci_match(dir);
	if (!err)
		err = ivshmem_pci_node(dir, node);
	close(dir);
	return err;
}

static int open_resource2(struct ivshmem **shm, const char *address, bool readonly)
{
	char path[sizeof("/sys/bus/pci/devices//resource2") + PCI_ADDRESS_SIZE];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", address);
	return open_path(shm, path, readonly);
}

static int open_address(struct ivshmem **out, const char *address, unsigned int flags)
{
	bool readonly = flags & IVSHMEM_RDONLY;
	struct ivshmem *shm = NULL;
	char node[NODE_NAME_SIZE];
	int err;

	err = find_node(address, node);
	if (err == -ENODEV && flags & IVSHMEM_RESOURCE2)
		return open_resource2(out, address, readonly);
	if (err)
		return err;
	err = open_path(&shm, node, readonly);
	if (err)
		return err == -ENOENT ? -ENODEV : err;
	if (strcmp(shm->address, address)) {	/* the node changed hands */
		ivshmem_close(shm);
		return -ENODEV;
	}
	*out = shm;
	return 0;
}

static int open_server(struct ivshmem **shm, const char *path, bool readonly)
{
	return *path ? ivshmem_served_open(shm, path, readonly) : -EINVAL;
}

int ivshmem_open(struct ivshmem **shm, const char *where, unsigned int flags)
{
	bool readonly = flags & IVSHMEM_RDONLY;
	char address[PCI_ADDRESS_SIZE];

	if (!shm || !where || !*where || flags & ~(IVSHMEM_RDONLY | IVSHMEM_RESOURCE2))
		return -EINVAL;
	if (!strncmp(where, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		return open_server(shm, where + strlen(UNIX_PREFIX), readonly);
	if (!ivshmem_pci_parse(where, address))
		return open_address(shm, address, flags);
	return open_path(shm, where, readonly);
}
