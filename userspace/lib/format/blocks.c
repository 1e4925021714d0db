// SPDX-License-Identifier: MIT
/*
 * The block map: which object has which block.
 *
 * A block's word names a slot, and a generation of it. When the object goes, its slot gets
 * another generation, and with that all its blocks are free at once: nobody has to give
 * them back, and a program that dies amid a claim leaves nothing. A word is changed by
 * compare-and-swap from a value that was seen to say nothing.
 */
#include "blocks.h"
#include "slot.h"

#define HUGE_SIZE	(2ull << 20)

static uint64_t block_word(const struct ivshmem_object *object)
{
	return (uint64_t)object->generation << 32 | (object->slot + 1);
}

/* Junk says nothing, like the word of an object that is gone. */
static bool is_taken(uint64_t word, const struct ivshmem_slot *slots, unsigned int count)
{
	uint32_t owner = (uint32_t)word;
	uint64_t key;

	if (!owner || owner > count)
		return false;
	key = slot_key(&slots[owner - 1]);
	return slot_state_of(key) != SLOT_FREE && slot_generation_of(key) == word >> 32;
}

/* The number of blocks from @first on that were taken: @count, unless one is another's. */
static uint32_t take_run(const struct ivshmem_directory *directory,
			 const struct ivshmem_object *object, uint32_t first, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		uint64_t *word = &directory->blocks[first + i];
		uint64_t there = __atomic_load_n(word, __ATOMIC_ACQUIRE);

		if (is_taken(there, directory->slots, directory->superblock.slots) ||
		    !__atomic_compare_exchange_n(word, &there, block_word(object), false,
						 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			break;
	}
	return i;
}

void ivshmem_blocks_give_back(const struct ivshmem_directory *directory,
			      const struct ivshmem_object *object, uint32_t first, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		uint64_t own = block_word(object);

		__atomic_compare_exchange_n(&directory->blocks[first + i], &own, 0, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}
}

/* The first block at @block or later that lies at a multiple of @alignment in the region. */
static uint64_t aligned(const struct ivshmem_superblock *superblock, uint64_t block,
			uint64_t alignment)
{
	uint64_t offset = superblock->blocks_offset + block * superblock->block_size;
	uint64_t end = round_up(offset, alignment);

	return (end - superblock->blocks_offset + superblock->block_size - 1) /
	       superblock->block_size;
}

static bool take_aligned(const struct ivshmem_directory *directory,
			 const struct ivshmem_object *object, uint32_t count, uint64_t alignment,
			 uint32_t *first)
{
	const struct ivshmem_superblock *superblock = &directory->superblock;
	uint64_t start = 0;
	uint32_t got;

	for (;;) {
		start = aligned(superblock, start, alignment);
		if (start + count > superblock->blocks)
			return false;
		got = take_run(directory, object, (uint32_t)start, count);
		if (got == count)
			break;
		ivshmem_blocks_give_back(directory, object, (uint32_t)start, got);
		start += got + 1;
	}
	*first = (uint32_t)start;
	return true;
}

/* The first run that is long enough, for large ones where huge pages can map it. */
bool ivshmem_blocks_take(const struct ivshmem_directory *directory,
			 const struct ivshmem_object *object, uint32_t count, uint32_t *first)
{
	return (count * directory->superblock.block_size >= HUGE_SIZE &&
		take_aligned(directory, object, count, HUGE_SIZE, first)) ||
	       take_aligned(directory, object, count, 1, first);
}

/* Of a copy of the map, and one of the slots. */
uint32_t ivshmem_blocks_free(const uint64_t *blocks, uint32_t count,
			     const struct ivshmem_slot *slots, unsigned int slot_count)
{
	uint32_t i, free = 0;

	for (i = 0; i < count; i++)
		free += !is_taken(blocks[i], slots, slot_count);
	return free;
}
