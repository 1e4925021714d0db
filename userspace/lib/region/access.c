// SPDX-License-Identifier: MIT
/*
 * A region without its mapping: to touch that raises SIGBUS where a file was truncated, or
 * has holes on a filesystem that is full. These give an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kinds.h"

#define INTERRUPTS	16	/* more than that, and a program's timer would never let it end */

int ivshmem_read_fd(const struct ivshmem *shm, void *buffer, uint64_t offset, size_t size)
{
	char *to = buffer;

	while (size) {
		ssize_t count = pread(shm->fd, to, size, (off_t)offset);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (!count)
			return -ESTALE;
		to += count;
		offset += (uint64_t)count;
		size -= (size_t)count;
	}
	return 0;
}

int ivshmem_read_mapped(const struct ivshmem *shm, void *buffer, uint64_t offset, size_t size)
{
	struct ivshmem_window window;
	int err = ivshmem_window_map(&window, shm, offset, size);

	if (err)
		return err;
	memcpy(buffer, window.data, size);
	ivshmem_window_unmap(&window);
	return 0;
}

/* Within the region. -ESTALE: the file has become shorter. */
int ivshmem_region_read(const struct ivshmem *shm, void *buffer, uint64_t offset, size_t size)
{
	return shm->backend->read(shm, buffer, offset, size);
}

static bool has_holes(int fd, uint64_t offset, uint64_t size)
{
	off_t hole = lseek(fd, (off_t)offset, SEEK_HOLE);

	return hole < 0 || (uint64_t)hole < offset + size;
}

/*
 * What is about to be mapped and touched is there, and has its memory: -ESTALE, -ENOSPC. A
 * filesystem that can't promise memory is taken as it is, and so are the holes of a file that
 * this program may only read.
 */
int ivshmem_region_reserve(const struct ivshmem *shm, uint64_t offset, uint64_t size)
{
	unsigned int tries = 0;
	struct stat st;
	int err;

	if (shm->backend->side != IVSHMEM_HOST)
		return 0;
	if (fstat(shm->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < offset + size)
		return -ESTALE;
	if (shm->readonly || (uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size ||
	    !has_holes(shm->fd, offset, size))
		return 0;
	do {
		err = fallocate(shm->fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size) < 0 ?
		      -errno : 0;
	} while (err == -EINTR && ++tries < INTERRUPTS);
	return err == -EOPNOTSUPP || err == -ENOSYS ? 0 : err;
}
