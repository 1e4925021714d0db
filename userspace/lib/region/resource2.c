// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/system.h"
#include "kinds.h"

bool ivshmem_resource2_recognise(int fd)
{
	char *path, *name;
	bool is;

	if (ivshmem_path_of(fd, &path))
		return false;
	name = strrchr(path, '/');
	is = name && !strcmp(name, "/resource2");
	free(path);
	return is;
}

/* The PCI device's folder, and its name: the PCI address. */
static int open_folder(struct ivshmem *shm)
{
	char *path = strdup(shm->path);
	char *slash, *name;
	int dir;

	if (!path)
		return -ENOMEM;
	slash = strrchr(path, '/');
	*slash = '\0';
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		dir = -errno;
		goto out_free_path;
	}
	name = strrchr(path, '/');
	snprintf(shm->address, sizeof(shm->address), "%s", name ? name + 1 : "");

out_free_path:
	free(path);
	return dir;
}

/*
 * Kernels with IO_STRICT_DEVMEM let nobody map what a driver has claimed, and say EINVAL;
 * those in lockdown let nobody map anything. Who opens the region is told so at once.
 */
static int try_mapping(const struct ivshmem *shm)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *data;

	if (shm->size < page)
		return 0;	/* which the size tells by itself */
	data = mmap(NULL, page, PROT_READ, MAP_SHARED, shm->fd, 0);
	if (data == MAP_FAILED)
		return errno == EINVAL ? -EBUSY : -errno;
	munmap(data, page);
	return 0;
}

static int resource2_probe(struct ivshmem *shm)
{
	int dir, err;

	dir = open_folder(shm);
	if (dir < 0)
		return dir;
	err = ivshmem_pci_match(dir);
	if (err) {
		err = -ENODEV;
		goto out_close_dir;
	}
	err = ivshmem_pci_bar(dir, 2, &shm->size);
	if (!err)
		err = ivshmem_pci_kind(dir, &shm->kind);
	if (!err)
		err = try_mapping(shm);
	if (!err)
		err = ivshmem_pci_enable(dir);
	shm->mapping = "resource2";
	shm->cache = "uncached";
	shm->page_size = (uint64_t)sysconf(_SC_PAGESIZE);

out_close_dir:
	close(dir);
	return err;
}

static int resource2_map(struct ivshmem *shm)
{
	int err = ivshmem_map_fd(shm);

	/* A driver has come since: see try_mapping(). */
	return err == -EINVAL ? -EBUSY : err;
}

/* An open sysfs file does not tell that its device is gone; its path does. */
static int resource2_check(const struct ivshmem *shm)
{
	struct stat opened, now;

	if (fstat(shm->fd, &opened) < 0)
		return -errno;
	if (stat(shm->path, &now) < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	return opened.st_ino == now.st_ino ? 0 : -ENODEV;
}

const struct ivshmem_backend ivshmem_resource2_backend = {
	.side = IVSHMEM_GUEST,
	.probe = resource2_probe,
	.map = resource2_map,
	.check = resource2_check,
	.read = ivshmem_read_mapped,
};
