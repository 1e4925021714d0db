// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "superblock.h"

/* A label or a channel's name that fills up to @size bytes with its closing zero. */
bool ivshmem_is_name(const char *name, size_t size)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+";
	size_t length = strnlen(name, size);

	return length < size && name[0] != '.' && strspn(name, allowed) == length;
}

uint32_t ivshmem_superblock_crc(const struct ivshmem_superblock *superblock)
{
	return ivshmem_crc32(superblock, offsetof(struct ivshmem_superblock, crc));
}

static bool is_whole(const struct ivshmem_superblock *superblock, uint64_t size)
{
	return superblock->crc == ivshmem_superblock_crc(superblock) &&
	       superblock->region_size == size &&
	       superblock->slots >= 1 && superblock->slots <= IVSHMEM_MAX_OBJECTS &&
	       superblock->blocks >= 1 && superblock->blocks <= MAX_BLOCKS &&
	       superblock->block_size % BLOCK_UNIT == 0 && superblock->block_size &&
	       superblock->blocks_offset % BLOCK_UNIT == 0 &&
	       superblock->blocks_offset >= ivshmem_directory_end(superblock) &&
	       superblock->blocks_offset < size &&
	       (size - superblock->blocks_offset) / superblock->block_size >=
	       superblock->blocks &&
	       superblock->ring_units >= 1 &&
	       superblock->ring_units <= MAX_RING_SIZE / BLOCK_UNIT &&
	       ivshmem_is_name(superblock->label, sizeof(superblock->label));
}

bool ivshmem_is_zero(const void *data, size_t size)
{
	const char *byte = data;

	return !size || (!byte[0] && !memcmp(byte, byte + 1, size - 1));
}

/*
 * What is at the start of a region of @size bytes, of which @page is a copy. @superblock can
 * be trusted where this returns 0.
 */
int ivshmem_superblock_examine(const void *page, uint64_t size,
			       struct ivshmem_superblock *superblock)
{
	memcpy(superblock, page, sizeof(*superblock));
	if (superblock->magic != IVSHMEM_MAGIC)
		return ivshmem_is_zero(page, SUPERBLOCK_SIZE) ? -ENOMEDIUM : -EMEDIUMTYPE;
	if (superblock->version > IVSHMEM_FORMAT_VERSION)
		return -EPROTONOSUPPORT;
	if (superblock->version != IVSHMEM_FORMAT_VERSION || !is_whole(superblock, size))
		return -EUCLEAN;
	return 0;
}

/* A checked copy. */
int ivshmem_superblock_read(struct ivshmem *shm, struct ivshmem_superblock *superblock)
{
	char page[SUPERBLOCK_SIZE];
	int err;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		return -ENOTSUP;
	if (shm->size < SUPERBLOCK_SIZE)
		return -ENOMEDIUM;
	err = ivshmem_region_read(shm, page, 0, sizeof(page));
	return err ? err : ivshmem_superblock_examine(page, shm->size, superblock);
}
