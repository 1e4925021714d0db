/* SPDX-License-Identifier: MIT */
#ifndef IVSHMEM_WINDOW_H
#define IVSHMEM_WINDOW_H

#include <stddef.h>
#include <stdint.h>

struct ivshmem;

/**
 * struct ivshmem_window - A part of a region that is mapped by itself.
 * @data: The first byte asked for.
 * @base: What was mapped, whole pages.
 * @size: How much of it.
 */
struct ivshmem_window {
	void *data;
	void *base;
	size_t size;
};

uint64_t ivshmem_window_unit(const struct ivshmem *shm);
int ivshmem_window_map(struct ivshmem_window *window, const struct ivshmem *shm,
		       uint64_t offset, uint64_t size);
int ivshmem_window_map_twice(struct ivshmem_window *window, const struct ivshmem *shm,
			     uint64_t offset, uint64_t size);
void ivshmem_window_unmap(struct ivshmem_window *window);

#endif /* IVSHMEM_WINDOW_H */
