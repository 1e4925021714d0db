// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "region.h"

static int protection(const struct ivshmem *shm)
{
	return shm->readonly ? PROT_READ : PROT_READ | PROT_WRITE;
}

/* A device maps any page; a file on a hugetlbfs, whole huge pages only. */
static uint64_t page_of(const struct ivshmem *shm)
{
	if (shm->backend->side == IVSHMEM_HOST)
		return shm->page_size;
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A window that can't be had is empty. */
int ivshmem_window_map(struct ivshmem_window *window, const struct ivshmem *shm,
		       uint64_t offset, uint64_t size)
{
	uint64_t page = page_of(shm);
	uint64_t start = offset - offset % page;
	uint64_t end = round_up(offset + size, page);
	void *base;

	*window = (struct ivshmem_window){ .base = NULL };
	if (end - start > SIZE_MAX)
		return -EFBIG;
	base = mmap(NULL, end - start, protection(shm), MAP_SHARED, shm->fd, (off_t)start);
	if (base == MAP_FAILED)
		return -errno;
	window->base = base;
	window->size = end - start;
	window->data = (char *)base + (offset - start);
	return 0;
}

void ivshmem_window_unmap(struct ivshmem_window *window)
{
	if (window->base)
		munmap(window->base, window->size);
	window->base = NULL;
}
