// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "superblock.h"

#define HUGE_UNIT		(2ull << 20)
#define MOST_SUITABLE_RING	(4ull << 20)
#define CHUNK_SIZE		(32 << 10)

static int check_zero(const struct ivshmem *shm, uint64_t start, uint64_t end)
{
	char buffer[CHUNK_SIZE];
	int err = 0;

	while (start < end && !err) {
		size_t size = end - start < sizeof(buffer) ? end - start : sizeof(buffer);

		err = ivshmem_region_read(shm, buffer, start, size);
		if (!err && !ivshmem_is_zero(buffer, size))
			err = -ENOTEMPTY;
		start += size;
	}
	return err;
}

/* Holes of a file are zero without a look. */
static int check_region_zero(const struct ivshmem *shm)
{
	off_t end, start = lseek(shm->fd, 0, SEEK_DATA);
	int err = 0;

	if (start < 0 && errno != ENXIO)
		return check_zero(shm, 0, shm->size);
	while (!err && start >= 0 && (uint64_t)start < shm->size) {
		end = lseek(shm->fd, start, SEEK_HOLE);
		if (end < 0 || (uint64_t)end > shm->size)
			end = (off_t)shm->size;
		err = check_zero(shm, (uint64_t)start, (uint64_t)end);
		start = lseek(shm->fd, end, SEEK_DATA);
	}
	return err;
}

/* May what is there be overwritten? */
static int check_contents(struct ivshmem *shm)
{
	struct ivshmem_superblock superblock;
	int err = ivshmem_superblock_read(shm, &superblock);

	switch (err) {
	case -ENOMEDIUM:
	case -EMEDIUMTYPE:
		return check_region_zero(shm);
	case 0:
	case -EPROTONOSUPPORT:
	case -EUCLEAN:
		return -EEXIST;
	default:
		return err;
	}
}

/* Enough for many small objects, and not more than a sixteenth of the region. */
static unsigned int suitable_objects(uint64_t size)
{
	uint64_t objects = size / (64 << 10);

	return objects < 4 ? 4 : objects > 1024 ? 1024 : (unsigned int)objects;
}

/* A power of two: four channels have room. */
static uint64_t suitable_ring(uint64_t size)
{
	uint64_t ring = MOST_SUITABLE_RING;

	while (ring > BLOCK_UNIT && ring * 8 > size)
		ring /= 2;
	return ring;
}

/* The smallest blocks of which there are not too many. */
static uint64_t suitable_block(uint64_t size)
{
	uint64_t block = BLOCK_UNIT;

	while (size / block > MAX_BLOCKS)
		block *= 2;
	return block;
}

/* Blocks begin where huge pages do, if that does not cost much. */
static int choose_geometry(struct ivshmem_superblock *superblock, uint64_t ring_size)
{
	uint64_t size = superblock->region_size;
	uint64_t unit = size >= 16 * HUGE_UNIT ? HUGE_UNIT : BLOCK_UNIT;

	superblock->block_size = suitable_block(size);
	superblock->blocks = (uint32_t)(size / superblock->block_size);
	superblock->blocks_offset = round_up(ivshmem_directory_end(superblock), unit);
	if (superblock->blocks_offset >= size)
		return -ENOSPC;
	size -= superblock->blocks_offset;
	superblock->blocks = (uint32_t)(size / superblock->block_size);
	if (!ring_size)
		ring_size = suitable_ring(size);
	if (2 * ring_size > superblock->blocks * superblock->block_size)
		return -ENOSPC;
	superblock->ring_units = (uint32_t)(ring_size / BLOCK_UNIT);
	return 0;
}

static int make_uuid(uint8_t uuid[16])
{
	if (getrandom(uuid, 16, 0) != 16)
		return -errno;
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return 0;
}

/* The magic goes first and comes last: nobody takes half of it for whole. */
static void write_superblock(char *data, const struct ivshmem_superblock *superblock)
{
	const size_t skip = sizeof(superblock->magic);
	uint64_t *magic = (uint64_t *)data;

	__atomic_store_n(magic, 0, __ATOMIC_SEQ_CST);
	memset(data + skip, 0, ivshmem_directory_end(superblock) - skip);
	memcpy(data + skip, (const char *)superblock + skip, sizeof(*superblock) - skip);
	__atomic_store_n(magic, superblock->magic, __ATOMIC_SEQ_CST);
}

static int lay_out(struct ivshmem *shm, const struct ivshmem_superblock *superblock)
{
	uint64_t size = ivshmem_directory_end(superblock);
	struct ivshmem_window window;
	int err;

	err = ivshmem_region_reserve(shm, 0, size);
	if (!err)
		err = ivshmem_window_map(&window, shm, 0, size);
	if (err)
		return err;
	write_superblock(window.data, superblock);
	ivshmem_window_unmap(&window);
	return 0;
}

int ivshmem_format(struct ivshmem *shm, const char *label, unsigned int objects,
		   uint64_t ring_size, unsigned int flags)
{
	struct ivshmem_superblock superblock = {
		.magic = IVSHMEM_MAGIC,
		.version = IVSHMEM_FORMAT_VERSION,
		.slots = objects,
	};
	int err;

	if (!shm || !label || flags & ~IVSHMEM_FORMAT_FORCE || objects > IVSHMEM_MAX_OBJECTS ||
	    ring_size > MAX_RING_SIZE || !ivshmem_is_name(label, sizeof(superblock.label)))
		return -EINVAL;
	if (shm->readonly)
		return -EACCES;
	superblock.region_size = shm->size;
	if (!objects)
		superblock.slots = suitable_objects(shm->size);
	strcpy(superblock.label, label);
	err = choose_geometry(&superblock, round_up(ring_size, BLOCK_UNIT));
	if (!err)
		err = make_uuid(superblock.uuid);
	if (err)
		return err;
	superblock.crc = ivshmem_superblock_crc(&superblock);

	if (!(flags & IVSHMEM_FORMAT_FORCE))
		err = check_contents(shm);
	return err ? err : lay_out(shm, &superblock);
}
