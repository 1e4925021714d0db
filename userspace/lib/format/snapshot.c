// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "slot.h"

#define UUID_TEXT_SIZE	37
#define COPY_TRIES	3

struct layout_end {
	enum ivshmem_end_state state;
	uint32_t pid;
	uint64_t messages;
};

struct layout_object {
	char name[IVSHMEM_NAME_SIZE];	/* empty: there is none */
	unsigned int kind;
	bool is_kept;
	uint64_t size;
	uint64_t ring_sizes[2];
	struct layout_end ends[2];
};

struct ivshmem_layout {
	struct ivshmem_superblock superblock;
	char uuid[UUID_TEXT_SIZE];
	uint64_t free_bytes;
	struct layout_object objects[];
};

static void write_uuid(char text[UUID_TEXT_SIZE], const uint8_t uuid[16])
{
	int i, at = 0;

	for (i = 0; i < 16; i++)
		at += sprintf(text + at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      uuid[i]);
}

/* Before the first session of a program, nothing was sent. */
static uint64_t read_messages(const struct ivshmem_slot_end *end)
{
	uint32_t epoch = __atomic_load_n(&end->epoch, __ATOMIC_RELAXED);
	uint32_t ready = __atomic_load_n(&end->ready, __ATOMIC_RELAXED);
	uint64_t sent = __atomic_load_n(&end->sent, __ATOMIC_RELAXED);

	return sent && ready ? sent - ivshmem_session_start(epoch, ready) : 0;
}

static void read_end(struct layout_end *to, const struct ivshmem_slot *slots, unsigned int slot,
		     unsigned int side, const struct ivshmem *shm)
{
	const struct ivshmem_slot_end *end = &slots[slot].ends[side];

	to->state = ivshmem_end_state_of(slots, slot, side, shm);
	if (to->state != IVSHMEM_END_FREE)
		to->pid = __atomic_load_n(&end->pid, __ATOMIC_RELAXED);
	to->messages = read_messages(end);
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

static void read_channel(struct layout_object *to, const struct ivshmem_slot *slots,
			 unsigned int slot, const struct ivshmem *shm)
{
	uint32_t generation = slot_generation_of(slot_key(&slots[slot]));
	unsigned int side;
	uint32_t units;

	for (side = 0; side < 2; side++) {
		if (ivshmem_slot_fact(&slots[slot], generation, FACT_CREATOR_RING + side, &units))
			to->ring_sizes[side] = (uint64_t)units * BLOCK_UNIT;
		read_end(&to->ends[side], slots, slot, side, shm);
	}
}

static void read_object(struct ivshmem_layout *layout, const struct ivshmem_slot *slots,
			unsigned int slot, const struct ivshmem *shm)
{
	struct layout_object *to = &layout->objects[slot];
	uint32_t generation = slot_generation_of(slot_key(&slots[slot]));
	uint32_t kind = 0;

	if (!ivshmem_slot_name(&slots[slot], to->name))
		return;
	ivshmem_slot_fact(&slots[slot], generation, FACT_KIND, &kind);
	to->kind = kind & ~FACT_KEPT;
	to->is_kept = kind & FACT_KEPT;
	to->size = size_of(&slots[slot], generation, &layout->superblock);
	if (to->kind == IVSHMEM_CHANNEL)
		read_channel(to, slots, slot, shm);
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

static int read_objects(struct ivshmem_layout *layout, struct ivshmem_slot *slots,
			struct ivshmem *shm)
{
	unsigned int i, count = layout->superblock.slots;
	int err;

	err = ivshmem_region_read(shm, slots, SLOTS_OFFSET, count * sizeof(*slots));
	for (i = 0; i < count && !err; i++) {
		err = read_whole(shm, slots, i);
		if (!err)
			read_object(layout, slots, i, shm);
	}
	return err;
}

static int read_blocks(struct ivshmem_layout *layout, const struct ivshmem_slot *slots,
		       struct ivshmem *shm)
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
				     ivshmem_blocks_free(blocks, superblock->blocks, slots,
							 superblock->slots);
	free(blocks);
	return err;
}

static int read_directory(struct ivshmem_layout *layout, struct ivshmem *shm)
{
	struct ivshmem_slot *slots = malloc(layout->superblock.slots * sizeof(*slots));
	int err;

	if (!slots)
		return -ENOMEM;
	err = read_objects(layout, slots, shm);
	if (!err)
		err = read_blocks(layout, slots, shm);
	free(slots);
	return err;
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
		free(layout);
		return err;
	}
	*out = layout;
	return 0;
}

void ivshmem_layout_free(struct ivshmem_layout *layout)
{
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

static const struct layout_end *end_of(const struct ivshmem_layout *layout, unsigned int index,
				       enum ivshmem_end end)
{
	static const struct layout_end none;

	return is_end(end) ? &object_of(layout, index)->ends[end] : &none;
}

enum ivshmem_end_state ivshmem_layout_state(const struct ivshmem_layout *layout,
					    unsigned int index, enum ivshmem_end end)
{
	return end_of(layout, index, end)->state;
}

uint32_t ivshmem_layout_pid(const struct ivshmem_layout *layout, unsigned int index,
			    enum ivshmem_end end)
{
	return end_of(layout, index, end)->pid;
}

uint64_t ivshmem_layout_messages(const struct ivshmem_layout *layout, unsigned int index,
				 enum ivshmem_end end)
{
	return end_of(layout, index, end)->messages;
}
