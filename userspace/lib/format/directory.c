// SPDX-License-Identifier: MIT
/*
 * Which slot is whose: finding one by its name, and claiming one for a name.
 */
#include <errno.h>
#include <string.h>

#include "format.h"

uint64_t ivshmem_slot_key(const char *name)
{
	uint64_t key = 0xcbf29ce484222325ull;

	for (; *name; name++)
		key = (key ^ (uint8_t)*name) * 0x100000001b3ull;
	return key ?: 1;
}

static bool has_name(const struct ivshmem_slot *slot, const char *name)
{
	char its[IVSHMEM_CHANNEL_NAME_SIZE];

	memcpy(its, slot->name, sizeof(its));
	return !strncmp(its, name, sizeof(its));
}

/* The slot's index; -ENOENT. */
int ivshmem_slot_find(const struct ivshmem_slot *slots, unsigned int count, const char *name)
{
	uint64_t key = ivshmem_slot_key(name);
	unsigned int i;

	for (i = 0; i < count; i++)
		if (__atomic_load_n(&slots[i].key, __ATOMIC_ACQUIRE) == key &&
		    has_name(&slots[i], name))
			return (int)i;
	return -ENOENT;
}

static bool is_unused(const struct ivshmem_slot *slots, unsigned int slot, int lock_fd)
{
	unsigned int side;

	for (side = 0; side < 2; side++)
		if (ivshmem_end_state_of(slots, slot, side, lock_fd) == IVSHMEM_END_ATTACHED)
			return false;
	return true;
}

static bool take_slot(struct ivshmem_slot *slot, uint64_t old, const char *name)
{
	char padded[IVSHMEM_CHANNEL_NAME_SIZE] = "";

	if (!__atomic_compare_exchange_n(&slot->key, &old, ivshmem_slot_key(name), false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return false;
	strcpy(padded, name);
	memcpy(slot->name, padded, sizeof(padded));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return true;
}

/* One whose ends are both free. -1: none. */
static int find_left(const struct ivshmem_slot *slots, unsigned int count,
		     const struct ivshmem *shm)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (is_unused(slots, i, shm->look_fd))
			return (int)i;
	return -1;
}

/* One that was never used, else one that was left. -1: none. */
static int find_unused(const struct ivshmem_slot *slots, unsigned int count,
		       const struct ivshmem *shm)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!__atomic_load_n(&slots[i].key, __ATOMIC_RELAXED))
			return (int)i;
	return find_left(slots, count, shm);
}

/*
 * The slot of that name, a new one if there is none. Two programs that do so at the
 * same time may both make one: the first of the two counts.
 */
int ivshmem_slot_claim(struct ivshmem_slot *slots, unsigned int count, const char *name,
		       const struct ivshmem *shm)
{
	unsigned int tries;
	int slot, first;

	for (tries = 0; tries <= count; tries++) {
		slot = ivshmem_slot_find(slots, count, name);
		if (slot >= 0)
			return slot;
		slot = find_unused(slots, count, shm);
		if (slot < 0)
			return -ENOSPC;
		if (!take_slot(&slots[slot], __atomic_load_n(&slots[slot].key, __ATOMIC_RELAXED),
			       name))
			continue;
		first = ivshmem_slot_find(slots, count, name);
		if (first >= 0 && first != slot)
			__atomic_store_n(&slots[slot].key, 0, __ATOMIC_RELEASE);
		else
			first = slot;
		return first;
	}
	return -EBUSY;
}
