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

static size_t size_of(const struct ivshmem *shm, uint64_t offset, uint64_t size)
{
	uint64_t page = page_of(shm);

	return round_up(offset + size, page) - (offset - offset % page);
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

/*
 * For what all objects of a handle have mapped, which begins at the same offset for all: the
 * first one maps it. One that finds another size, after a new format, has a window of its own.
 */
int ivshmem_window_share(struct ivshmem_window *window, struct ivshmem *shm, uint64_t offset,
			 uint64_t size)
{
	int err = 0;

	pthread_mutex_lock(&shm->lock);
	if (shm->sharers && shm->shared.size == size_of(shm, offset, size)) {
		*window = shm->shared;
		shm->sharers++;
	} else {
		err = ivshmem_window_map(window, shm, offset, size);
		if (!err && !shm->sharers) {
			shm->shared = *window;
			shm->sharers = 1;
		}
	}
	pthread_mutex_unlock(&shm->lock);
	return err;
}

void ivshmem_window_unshare(struct ivshmem_window *window, struct ivshmem *shm)
{
	bool is_last = true;

	if (!window->base)
		return;
	pthread_mutex_lock(&shm->lock);
	if (shm->sharers && window->base == shm->shared.base)
		is_last = !--shm->sharers;
	if (is_last)
		ivshmem_window_unmap(window);
	pthread_mutex_unlock(&shm->lock);
	window->base = NULL;
}
