// SPDX-License-Identifier: MIT
/*
 * For which object a program has an end, or had it.
 *
 * An end attaches, then looks whether the slot still has its object. Who wants to free the
 * slot dooms it, then looks whether somebody has attached. Full fences are between, so at
 * least one of both sees the other.
 */
#include <errno.h>

#include "slot.h"

#define WORD_TRIES	8

static uint64_t purpose_of(uint32_t epoch, uint32_t generation)
{
	return (uint64_t)(epoch & ~3u) << 32 | generation;
}

/*
 * Of an end that is attaching. As with names, who has lost the end meanwhile damages
 * nothing newer: false then.
 */
bool ivshmem_end_tell_purpose(struct ivshmem_slot_end *own, uint32_t epoch, uint32_t generation)
{
	uint64_t there = __atomic_load_n(&own->purpose, __ATOMIC_ACQUIRE);
	unsigned int tries;

	for (tries = 0; tries < WORD_TRIES; tries++) {
		if (__atomic_load_n(&own->epoch, __ATOMIC_SEQ_CST) != epoch)
			return false;
		if (__atomic_compare_exchange_n(&own->purpose, &there,
						purpose_of(epoch, generation), false,
						__ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

/* Of an end as it is, or was, at @epoch. */
bool ivshmem_end_is_for(const struct ivshmem_slot_end *end, uint32_t epoch, uint32_t generation)
{
	return __atomic_load_n(&end->purpose, __ATOMIC_ACQUIRE) == purpose_of(epoch, generation);
}

/*
 * May the end, seen at @epoch, be taken for that object? -EBUSY: a program has it;
 * -EAGAIN: look again. One that is there for another object has attached too late, if the
 * slot still has this one, and is about to find that out.
 */
int ivshmem_end_check(const struct ivshmem_directory *directory,
		      const struct ivshmem_object *object, unsigned int side, uint32_t epoch)
{
	const struct ivshmem_slot *slots = directory->slots;

	if (ivshmem_end_state_of(slots, object->slot, side, directory->shm) !=
	    IVSHMEM_END_ATTACHED)
		return 0;
	if (epoch % 4 == END_ATTACHING)
		return -EAGAIN;
	if (ivshmem_end_is_for(&slots[object->slot].ends[side], epoch, object->generation))
		return -EBUSY;
	return ivshmem_slot_is_object(&slots[object->slot], object->generation) ? 0 : -EAGAIN;
}

/* Its program, if it is there for that object, finds that out, and writes no more. */
void ivshmem_end_evict(struct ivshmem_slot_end *end, uint32_t generation)
{
	uint32_t epoch = __atomic_load_n(&end->epoch, __ATOMIC_SEQ_CST);

	if (epoch % 4 != END_NEVER && epoch % 4 != END_CLOSED &&
	    ivshmem_end_is_for(end, epoch, generation))
		__atomic_compare_exchange_n(&end->epoch, &epoch, (epoch & ~3u) + 4 + END_CLOSED,
					    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
