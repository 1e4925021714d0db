// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "superblock.h"

#define SMALL_UNIT	(64ull << 10)	/* the largest base page of any machine */
#define HUGE_UNIT	(2ull << 20)
#define CHUNK_SIZE	(32 << 10)

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

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* With rings that are multiples of @unit: 0 where they don't fit. */
static uint64_t share_out(struct ivshmem_superblock *superblock, uint64_t unit)
{
	uint64_t size;

	superblock->rings_offset = round_up(ivshmem_slot_offset(superblock->channels), unit);
	if (superblock->rings_offset >= superblock->region_size)
		return 0;
	size = (superblock->region_size - superblock->rings_offset) /
	       (2 * superblock->channels) / unit * unit;
	superblock->ring_size = size > MAX_RING_SIZE ? MAX_RING_SIZE : size;
	return superblock->ring_size;
}

/* Units as large as they don't waste much, so that huge pages can map the rings. */
static int choose_geometry(struct ivshmem_superblock *superblock, uint64_t window_unit)
{
	if (window_unit > SMALL_UNIT)
		return share_out(superblock, window_unit) ? 0 : -ENOSPC;
	if (share_out(superblock, HUGE_UNIT) >= 4 * HUGE_UNIT)
		return 0;
	if (share_out(superblock, SMALL_UNIT) >= 2 * SMALL_UNIT)
		return 0;
	return share_out(superblock, RING_UNIT) ? 0 : -ENOSPC;
}

static unsigned int suitable_channels(uint64_t size)
{
	uint64_t channels = size / (4ull << 20);

	return channels < 1 ? 1 : channels > 16 ? 16 : (unsigned int)channels;
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
	memset(data + skip, 0, ivshmem_slot_offset(superblock->channels) - skip);
	memcpy(data + skip, (const char *)superblock + skip, sizeof(*superblock) - skip);
	__atomic_store_n(magic, superblock->magic, __ATOMIC_SEQ_CST);
}

static int lay_out(struct ivshmem *shm, const struct ivshmem_superblock *superblock)
{
	uint64_t size = ivshmem_slot_offset(superblock->channels);
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

int ivshmem_format(struct ivshmem *shm, const char *label, unsigned int channels,
		   unsigned int flags)
{
	struct ivshmem_superblock superblock = {
		.magic = IVSHMEM_MAGIC,
		.version = IVSHMEM_FORMAT_VERSION,
		.channels = channels,
	};
	int err;

	if (!shm || !label || flags & ~IVSHMEM_FORMAT_FORCE || channels > IVSHMEM_MAX_CHANNELS ||
	    !ivshmem_is_name(label, sizeof(superblock.label)))
		return -EINVAL;
	if (shm->readonly)
		return -EACCES;
	superblock.region_size = shm->size;
	if (!channels)
		superblock.channels = suitable_channels(shm->size);
	strcpy(superblock.label, label);
	err = choose_geometry(&superblock, ivshmem_window_unit(shm));
	if (!err)
		err = make_uuid(superblock.uuid);
	if (err)
		return err;
	superblock.crc = ivshmem_superblock_crc(&superblock);

	if (!(flags & IVSHMEM_FORMAT_FORCE))
		err = check_contents(shm);
	return err ? err : lay_out(shm, &superblock);
}
