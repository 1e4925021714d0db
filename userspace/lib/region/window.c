// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "region.h"

#define HUGE_PAGE	(2ul << 20)

static int protection(const struct ivshmem *shm)
{
	return shm->readonly ? PROT_READ : PROT_READ | PROT_WRITE;
}

/* A device maps any page; a file on a hugetlbfs, whole huge pages only. */
uint64_t ivshmem_window_unit(const struct ivshmem *shm)
{
	if (shm->backend->side == IVSHMEM_HOST)
		return shm->page_size;
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A window that can't be had is empty. */
int ivshmem_window_map(struct ivshmem_window *window, const struct ivshmem *shm,
		       uint64_t offset, uint64_t size)
{
	uint64_t page = ivshmem_window_unit(shm);
	uint64_t start = offset - offset % page;
	uint64_t end = (offset + size + page - 1) / page * page;
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

/* Addresses that lie as the offset does, so that huge pages can be used. */
static void *find_addresses(uint64_t offset, size_t size, size_t alignment)
{
	char *all, *start;
	size_t before;

	all = mmap(NULL, size + alignment, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return MAP_FAILED;
	before = (size_t)(offset - (uintptr_t)all) % alignment;
	start = all + before;
	if (before)
		munmap(all, before);
	if (before < alignment)
		munmap(start + size, alignment - before);
	return start;
}

/* Twice in a row, so that what goes on at the start goes on in the addresses, too. */
int ivshmem_window_map_twice(struct ivshmem_window *window, const struct ivshmem *shm,
			     uint64_t offset, uint64_t size)
{
	uint64_t page = ivshmem_window_unit(shm);
	size_t alignment = page > HUGE_PAGE ? page : HUGE_PAGE;
	char *base;
	int i;

	if (offset % page || size % page)
		return -ENOTSUP;
	if (size > SIZE_MAX / 2 - alignment)
		return -EFBIG;
	base = find_addresses(offset, 2 * size, alignment);
	if (base == MAP_FAILED)
		return -errno;
	window->base = base;
	window->size = 2 * size;
	window->data = base;
	for (i = 0; i < 2; i++) {
		if (mmap(base + i * size, size, protection(shm), MAP_SHARED | MAP_FIXED,
			 shm->fd, (off_t)offset) == MAP_FAILED) {
			int err = -errno;

			ivshmem_window_unmap(window);
			return err;
		}
	}
	return 0;
}

void ivshmem_window_unmap(struct ivshmem_window *window)
{
	if (window->base)
		munmap(window->base, window->size);
	window->base = NULL;
}
