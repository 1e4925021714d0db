/* SPDX-License-Identifier: MIT */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "format.h"

bool ivshmem_blocks_take(const struct ivshmem_directory *directory,
			 const struct ivshmem_object *object, uint32_t count, uint32_t *first);
void ivshmem_blocks_give_back(const struct ivshmem_directory *directory,
			      const struct ivshmem_object *object, uint32_t first,
			      uint32_t count);
uint32_t ivshmem_blocks_free(const uint64_t *blocks, uint32_t count,
			     const struct ivshmem_slot *slots, unsigned int slot_count);

#endif /* BLOCKS_H */
