/* SPDX-License-Identifier: MIT */
/*
 * A slot's words. The key is changed by compare-and-swap only. Name and facts carry the
 * generation of the claim that wrote them, so what a slow program still writes can't
 * damage anything newer.
 */
#ifndef SLOT_H
#define SLOT_H

#include "format.h"

#define SLOT_STATE_BITS	3ull
#define SLOT_COUNT_BITS	0xfffffffcull

static inline uint64_t slot_key(const struct ivshmem_slot *slot)
{
	return __atomic_load_n(&slot->key, __ATOMIC_SEQ_CST);
}

static inline enum slot_state slot_state_of(uint64_t key)
{
	return key & SLOT_STATE_BITS;
}

static inline uint32_t slot_generation_of(uint64_t key)
{
	return (uint32_t)(key >> 32);
}

/* What comes after @key, in the same generation. */
static inline uint64_t slot_next_key(uint64_t key, enum slot_state state)
{
	return (key & ~0ull << 32) | ((key + 4) & SLOT_COUNT_BITS) | state;
}

static inline uint64_t slot_claim_key(uint64_t key)
{
	return slot_next_key(key, SLOT_CLAIMED) + (1ull << 32);
}

bool ivshmem_slot_change(struct ivshmem_slot *slot, uint64_t from, uint64_t to);
bool ivshmem_slot_write_name(struct ivshmem_slot *slot, uint64_t claim, const char *name);
bool ivshmem_slot_write_fact(struct ivshmem_slot *slot, uint64_t claim, enum slot_fact fact,
			     uint32_t value);
bool ivshmem_slot_is_called(const struct ivshmem_slot *slot, uint64_t key, const char *name);
bool ivshmem_slot_name(const struct ivshmem_slot *slot, char name[IVSHMEM_NAME_SIZE]);
bool ivshmem_slot_fact(const struct ivshmem_slot *slot, uint32_t generation,
		       enum slot_fact fact, uint32_t *value);
bool ivshmem_slot_is_object(const struct ivshmem_slot *slot, uint32_t generation);

#endif /* SLOT_H */
