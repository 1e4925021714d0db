// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/stat.h>

#include "internal.h"

static int file_probe(struct ivshmem *shm)
{
	struct stat st;

	if (fstat(shm->fd, &st) < 0)
		return -errno;
	shm->size = (uint64_t)st.st_size;
	shm->kind = IVSHMEM_PLAIN;
	shm->mapping = "file";
	shm->cache = "write-back";
	return 0;
}

static int file_map(struct ivshmem *shm)
{
	int err = ivshmem_map_fd(shm);

	/* Here it means a filesystem without mmap, not a device that is gone. */
	return err == -ENODEV ? -ENOTSUP : err;
}

static int file_check(const struct ivshmem *shm)
{
	struct stat st;

	if (fstat(shm->fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size < shm->size ? -ESTALE : 0;
}

const struct ivshmem_backend ivshmem_file_backend = {
	.side = IVSHMEM_HOST,
	.probe = file_probe,
	.map = file_map,
	.check = file_check,
};
