/* SPDX-License-Identifier: MIT */
#ifndef SUPERBLOCK_H
#define SUPERBLOCK_H

#include "format.h"

/* superblock.c */
uint32_t ivshmem_superblock_crc(const struct ivshmem_superblock *superblock);
int ivshmem_superblock_examine(const void *page, uint64_t size,
			       struct ivshmem_superblock *superblock);
bool ivshmem_is_zero(const void *data, size_t size);

/* crc32.c */
uint32_t ivshmem_crc32(const void *data, size_t size);

#endif /* SUPERBLOCK_H */
