// SPDX-License-Identifier: MIT
#include <string.h>

#include "slot.h"

#define WORD_TRIES	8

static_assert(sizeof(((struct ivshmem_slot *)NULL)->name) / sizeof(uint64_t) * 4 ==
	      IVSHMEM_NAME_SIZE, "format");

bool ivshmem_slot_change(struct ivshmem_slot *slot, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(&slot->key, &from, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool is_newer(uint64_t word, uint64_t than)
{
	return (int32_t)((word >> 32) - (than >> 32)) > 0;
}

/*
 * Replaces what is older. What is newer comes from who has taken the claim away; or it
 * is junk, if the claim is still there.
 */
static bool write_word(struct ivshmem_slot *slot, uint64_t claim, uint64_t *word, uint32_t value)
{
	uint64_t written = (claim & ~0ull << 32) | value;
	uint64_t there = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	unsigned int tries;

	for (tries = 0; tries < WORD_TRIES; tries++) {
		if (is_newer(there, written) && slot_key(slot) != claim)
			return false;
		if (__atomic_compare_exchange_n(word, &there, written, false,
						__ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

/* Four bytes, from @index * 4 on. */
static uint32_t name_part(const char padded[IVSHMEM_NAME_SIZE], unsigned int index)
{
	uint32_t bytes;

	memcpy(&bytes, padded + 4 * index, sizeof(bytes));
	return bytes;
}

/* False: the claim was taken away. */
bool ivshmem_slot_write_name(struct ivshmem_slot *slot, uint64_t claim, const char *name)
{
	char padded[IVSHMEM_NAME_SIZE] = "";
	unsigned int i;

	strcpy(padded, name);
	for (i = 0; i < NAME_WORDS; i++)
		if (!write_word(slot, claim, &slot->name[i], name_part(padded, i)))
			return false;
	return true;
}

/* The same. */
bool ivshmem_slot_write_fact(struct ivshmem_slot *slot, uint64_t claim, enum slot_fact fact,
			     uint32_t value)
{
	return write_word(slot, claim, &slot->facts[fact], value);
}

/*
 * The name that belongs to @key, the slot's as it was read: false where it has none,
 * or has another key meanwhile.
 */
static bool read_name(const struct ivshmem_slot *slot, uint64_t key, char name[IVSHMEM_NAME_SIZE])
{
	unsigned int i;

	for (i = 0; i < NAME_WORDS; i++) {
		uint64_t word = __atomic_load_n(&slot->name[i], __ATOMIC_ACQUIRE);
		uint32_t bytes = (uint32_t)word;

		if (word >> 32 != key >> 32)
			return false;
		memcpy(name + 4 * i, &bytes, sizeof(bytes));
	}
	return true;
}

/* Also of a slot that is only claimed, as soon as its name is whole. */
bool ivshmem_slot_is_called(const struct ivshmem_slot *slot, uint64_t key, const char *name)
{
	char its[IVSHMEM_NAME_SIZE];

	return slot_state_of(key) != SLOT_FREE && read_name(slot, key, its) &&
	       !strncmp(its, name, sizeof(its));
}

/* False where there is no object. What is no proper name reads as "?". */
bool ivshmem_slot_name(const struct ivshmem_slot *slot, char name[IVSHMEM_NAME_SIZE])
{
	uint64_t key = slot_key(slot);

	if (slot_state_of(key) < SLOT_NAMED)
		return false;
	if (!read_name(slot, key, name) || !name[0] || !ivshmem_is_name(name, IVSHMEM_NAME_SIZE))
		strcpy(name, "?");
	return true;
}

/* False: it was not written in that generation. */
bool ivshmem_slot_fact(const struct ivshmem_slot *slot, uint32_t generation,
		       enum slot_fact fact, uint32_t *value)
{
	uint64_t word = __atomic_load_n(&slot->facts[fact], __ATOMIC_ACQUIRE);

	*value = (uint32_t)word;
	return word >> 32 == generation;
}

/* Who has attached an end looks here whether it was still in time. */
bool ivshmem_slot_is_object(const struct ivshmem_slot *slot, uint32_t generation)
{
	uint64_t key;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	key = slot_key(slot);
	return slot_state_of(key) >= SLOT_NAMED && slot_generation_of(key) == generation;
}
