// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "slot.h"

#define UUID_TEXT_SIZE	37
#define COPY_TRIES	3

struct layout_object {
	char name[IVSHMEM_NAME_SIZE];	/* empty: there is none */
	unsigned int kind;
	bool is_kept;
	uint64_t size;
	uint64_t ring_sizes[2];
};

struct ivshmem_layout {
	struct ivshmem_superblock superblock;
	char uuid[UUID_TEXT_SIZE];
	uint64_t free_bytes;
	struct ivshmem_slot *slots;	/* a copy of them */
	struct layout_object objects[];
};

static void write_uuid(char text[UUID_TEXT_SIZE], const uint8_t uuid[16])
{
	int i, at = 0;

	for (i = 0; i < 16; i++)
		at += sprintf(text + at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      uuid[i]);
}

/* 0 where it does not say, or what can't be. */
static uint64_t size_of(const struct ivshmem_slot *slot, uint32_t generation,
			const struct ivshmem_superblock *superblock)
{
	uint32_t first, count;

	if (!ivshmem_slot_fact(slot, generation, FACT_FIRST_BLOCK, &first) ||
	    !ivshmem_slot_fact(slot, generation, FACT_BLOCKS, &count) ||
	    first > superblock->blocks || count > superblock->blocks - first)
		return 0;
	return count * superblock->block_size;
}

/* Of a service, what the channels of its clients have. */
static void read_channel(struct layout_object *to, const struct ivshmem_slot *slot)
{
	uint32_t generation = slot_generation_of(slot_key(slot));
	unsigned int side;
	uint32_t units;

	for (side = 0; side < 2; side++)
		if (ivshmem_slot_fact(slot, generation, FACT_CREATOR_RING + side, &units))
			to->ring_sizes[side] = (uint64_t)units * BLOCK_UNIT;
}

static void read_object(struct ivshmem_layout *layout, unsigned int index)
{
	const struct ivshmem_slot *slot = &layout->slots[index];
	struct layout_object *to = &layout->objects[index];
	uint32_t generation = slot_generation_of(slot_key(slot));
	uint32_t kind = 0;

	if (!ivshmem_slot_name(slot, to->name))
		return;
	ivshmem_slot_fact(slot, generation, FACT_KIND, &kind);
	to->kind = kind & ~FACT_KEPT;
	to->is_kept = kind & FACT_KEPT;
	to->size = size_of(slot, generation, &layout->superblock);
	if (to->kind == IVSHMEM_CHANNEL || to->kind == IVSHMEM_SERVICE)
		read_channel(to, slot);
}

/* The copy may have been made while the slot was given another name. */
static int read_whole(struct ivshmem *shm, struct ivshmem_slot *slots, unsigned int slot)
{
	char name[IVSHMEM_NAME_SIZE];
	unsigned int tries;
	int err = 0;

	for (tries = 0; tries < COPY_TRIES && !err; tries++) {
		if (!ivshmem_slot_name(&slots[slot], name) || strcmp(name, "?") != 0)
			break;
		err = ivshmem_region_read(shm, &slots[slot], ivshmem_slot_offset(slot),
					  sizeof(slots[slot]));
	}
	return err;
}

static int read_objects(struct ivshmem_layout *layout, struct ivshmem *shm)
{
	unsigned int i, count = layout->superblock.slots;
	int err;

	err = ivshmem_region_read(shm, layout->slots, SLOTS_OFFSET,
				  count * sizeof(layout->slots[0]));
	for (i = 0; i < count && !err; i++) {
		err = read_whole(shm, layout->slots, i);
		if (!err)
			read_object(layout, i);
	}
	return err;
}

static int read_blocks(struct ivshmem_layout *layout, struct ivshmem *shm)
{
	const struct ivshmem_superblock *superblock = &layout->superblock;
	size_t size = superblock->blocks * sizeof(uint64_t);
	uint64_t *blocks = malloc(size);
	int err;

	if (!blocks)
		return -ENOMEM;
	err = ivshmem_region_read(shm, blocks, ivshmem_slot_offset(superblock->slots), size);
	if (!err)
		layout->free_bytes = superblock->block_size *
				     ivshmem_blocks_free(blocks, superblock->blocks,
							 layout->slots, superblock->slots);
	free(blocks);
	return err;
}

static int read_directory(struct ivshmem_layout *layout, struct ivshmem *shm)
{
	int err;

	layout->slots = malloc(layout->superblock.slots * sizeof(layout->slots[0]));
	if (!layout->slots)
		return -ENOMEM;
	err = read_objects(layout, shm);
	return err ? err : read_blocks(layout, shm);
}

int ivshmem_layout_read(struct ivshmem_layout **out, struct ivshmem *shm)
{
	struct ivshmem_superblock superblock;
	struct ivshmem_layout *layout;
	int err;

	if (!out || !shm)
		return -EINVAL;
	err = ivshmem_superblock_read(shm, &superblock);
	if (err)
		return err;
	layout = calloc(1, sizeof(*layout) + superblock.slots * sizeof(layout->objects[0]));
	if (!layout)
		return -ENOMEM;
	layout->superblock = superblock;
	write_uuid(layout->uuid, superblock.uuid);
	err = read_directory(layout, shm);
	if (err) {
		ivshmem_layout_free(layout);
		return err;
	}
	*out = layout;
	return 0;
}

/* For rooms above: the copy of the slots as a directory, which @layout owns. */
void ivshmem_layout_directory(const struct ivshmem_layout *layout,
			      struct ivshmem_directory *directory, struct ivshmem *shm)
{
	*directory = (struct ivshmem_directory) {
		.shm = shm, .superblock = layout->superblock, .slots = layout->slots,
	};
}

void ivshmem_layout_free(struct ivshmem_layout *layout)
{
	if (!layout)
		return;
	free(layout->slots);
	free(layout);
}

const char *ivshmem_layout_label(const struct ivshmem_layout *layout)
{
	return layout ? layout->superblock.label : NULL;
}

const char *ivshmem_layout_uuid(const struct ivshmem_layout *layout)
{
	return layout ? layout->uuid : NULL;
}

unsigned int ivshmem_layout_objects(const struct ivshmem_layout *layout)
{
	return layout ? layout->superblock.slots : 0;
}

uint64_t ivshmem_layout_default_ring(const struct ivshmem_layout *layout)
{
	return layout ? (uint64_t)layout->superblock.ring_units * BLOCK_UNIT : 0;
}

uint64_t ivshmem_layout_block(const struct ivshmem_layout *layout)
{
	return layout ? layout->superblock.block_size : 0;
}

uint64_t ivshmem_layout_free_bytes(const struct ivshmem_layout *layout)
{
	return layout ? layout->free_bytes : 0;
}

static const struct layout_object *object_of(const struct ivshmem_layout *layout,
					     unsigned int index)
{
	static const struct layout_object none;

	return index < ivshmem_layout_objects(layout) ? &layout->objects[index] : &none;
}

const char *ivshmem_layout_name(const struct ivshmem_layout *layout, unsigned int index)
{
	const struct layout_object *object = object_of(layout, index);

	return object->name[0] ? object->name : NULL;
}

unsigned int ivshmem_layout_kind(const struct ivshmem_layout *layout, unsigned int index)
{
	return object_of(layout, index)->kind;
}

int ivshmem_layout_is_kept(const struct ivshmem_layout *layout, unsigned int index)
{
	return object_of(layout, index)->is_kept;
}

uint64_t ivshmem_layout_size(const struct ivshmem_layout *layout, unsigned int index)
{
	return object_of(layout, index)->size;
}

static bool is_end(enum ivshmem_end end)
{
	return (unsigned int)end <= IVSHMEM_END_CONNECTOR;
}

uint64_t ivshmem_layout_ring_size(const struct ivshmem_layout *layout, unsigned int index,
				  enum ivshmem_end end)
{
	return is_end(end) ? object_of(layout, index)->ring_sizes[end] : 0;
}
