// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

#define UUID_TEXT_SIZE	37
#define COPY_TRIES	3

struct layout_end {
	enum ivshmem_end_state state;
	uint32_t pid;
	uint64_t messages;
};

struct layout_channel {
	char name[IVSHMEM_CHANNEL_NAME_SIZE];	/* empty: never created */
	struct layout_end ends[2];
};

struct ivshmem_layout {
	struct ivshmem_superblock superblock;
	char uuid[UUID_TEXT_SIZE];
	struct layout_channel channels[];
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

static void read_channel(struct layout_channel *to, const struct ivshmem_slot *slots,
			 unsigned int slot, const struct ivshmem *shm)
{
	unsigned int side;

	if (!ivshmem_slot_name(&slots[slot], to->name))
		return;
	for (side = 0; side < 2; side++)
		read_end(&to->ends[side], slots, slot, side, shm);
}

/* The copy may have been made while the slot was given another name. */
static int read_whole(struct ivshmem *shm, struct ivshmem_slot *slots, unsigned int slot)
{
	char name[IVSHMEM_CHANNEL_NAME_SIZE];
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

static int read_channels(struct ivshmem_layout *layout, struct ivshmem *shm)
{
	unsigned int i, count = layout->superblock.channels;
	struct ivshmem_slot *slots = malloc(count * sizeof(*slots));
	int err;

	if (!slots)
		return -ENOMEM;
	err = ivshmem_region_read(shm, slots, SLOTS_OFFSET, count * sizeof(*slots));
	for (i = 0; i < count && !err; i++) {
		err = read_whole(shm, slots, i);
		if (!err)
			read_channel(&layout->channels[i], slots, i, shm);
	}
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
	layout = calloc(1, sizeof(*layout) + superblock.channels * sizeof(layout->channels[0]));
	if (!layout)
		return -ENOMEM;
	layout->superblock = superblock;
	write_uuid(layout->uuid, superblock.uuid);
	err = read_channels(layout, shm);
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

unsigned int ivshmem_layout_channels(const struct ivshmem_layout *layout)
{
	return layout ? layout->superblock.channels : 0;
}

uint64_t ivshmem_layout_ring_size(const struct ivshmem_layout *layout)
{
	return layout ? layout->superblock.ring_size : 0;
}

const char *ivshmem_layout_name(const struct ivshmem_layout *layout, unsigned int index)
{
	if (index >= ivshmem_layout_channels(layout) || !layout->channels[index].name[0])
		return NULL;
	return layout->channels[index].name;
}

static const struct layout_end *end_of(const struct ivshmem_layout *layout, unsigned int index,
				       enum ivshmem_end end)
{
	static const struct layout_end none;

	if (index >= ivshmem_layout_channels(layout) || (unsigned int)end > IVSHMEM_END_CONNECTOR)
		return &none;
	return &layout->channels[index].ends[end];
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
