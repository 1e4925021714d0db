// SPDX-License-Identifier: MIT
#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kinds.h"

int ivshmem_file_probe(struct ivshmem *shm)
{
	struct statfs fs;
	struct stat st;

	if (fstat(shm->fd, &st) < 0 || fstatfs(shm->fd, &fs) < 0)
		return -errno;
	shm->size = (uint64_t)st.st_size;
	shm->kind = IVSHMEM_PLAIN;
	shm->mapping = "file";
	shm->cache = "write-back";
	shm->is_file = fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
	shm->page_size = fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize :
			 (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int ivshmem_file_map(struct ivshmem *shm)
{
	int err = ivshmem_map_fd(shm);

	/* Here it means a filesystem without mmap, not a device that is gone. */
	return err == -ENODEV ? -ENOTSUP : err;
}

int ivshmem_file_check_size(const struct ivshmem *shm)
{
	struct stat st;

	if (fstat(shm->fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size < shm->size ? -ESTALE : 0;
}

/*
 * The file was deleted, and there is another one at its path: who opens the path now gets
 * a region of its own. To delete a file while it is in use is no fault, and to move
 * it neither; and where its path leads nowhere, as in a chroot, there is no verdict.
 */
static bool is_replaced(const struct ivshmem *shm)
{
	struct stat opened, there;

	return !fstat(shm->fd, &opened) && !opened.st_nlink &&
	       !stat(shm->path, &there) && S_ISREG(there.st_mode) &&
	       (there.st_ino != opened.st_ino || there.st_dev != opened.st_dev);
}

static int file_check(const struct ivshmem *shm)
{
	int err = ivshmem_file_check_size(shm);

	return !err && is_replaced(shm) ? -ESTALE : err;
}

const struct ivshmem_backend ivshmem_file_backend = {
	.side = IVSHMEM_HOST,
	.probe = ivshmem_file_probe,
	.map = ivshmem_file_map,
	.check = file_check,
	.read = ivshmem_read_fd,
};
