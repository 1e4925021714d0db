// SPDX-License-Identifier: MIT
/*
 * Taking an end for a sleeper, as channels take theirs: what the end says may be of any
 * time, and counts only if its purpose is this object.
 */
#include <errno.h>

#include "wakeup.h"

/*
 * The end is attaching then: the others don't look at it until ivshmem_place_enter().
 * @byte: where its lock lies. -EBUSY: another program has it.
 */
int ivshmem_place_take(struct ivshmem_sleeper *sleeper, struct ivshmem_holder *holder,
		       struct ivshmem_slot_end *end, uint64_t byte,
		       const struct ivshmem_object *object)
{
	struct ivshmem *shm = sleeper->link.shm;
	uint32_t epoch = __atomic_load_n(&end->epoch, __ATOMIC_ACQUIRE);
	uint32_t attaching = ((epoch ?: (uint32_t)ivshmem_now()) & ~3u) + 4 + END_ATTACHING;
	int err;

	if (ivshmem_end_state_by(end, byte, shm) == IVSHMEM_END_ATTACHED &&
	    ivshmem_end_is_for(end, epoch, object->generation))
		return -EBUSY;
	err = ivshmem_claim(shm, holder, byte);
	if (err)
		return err;
	err = ivshmem_byte_lock(shm, byte);
	if (err != -EBUSY &&
	    __atomic_compare_exchange_n(&end->epoch, &epoch, attaching, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
	    ivshmem_end_tell_purpose(end, attaching, object->generation)) {
		ivshmem_link_tell(&sleeper->link, end, object->slot, !err);
		sleeper->end = end;
		sleeper->slot = object->slot;
		sleeper->byte = byte;
		sleeper->epoch = attaching - END_ATTACHING + END_ATTACHED;
		return 0;
	}
	if (!err)
		ivshmem_byte_unlock(shm, byte);
	ivshmem_unclaim(shm, holder);
	return -EBUSY;
}

/*
 * From here on the others reckon with it, and see all that it has stored before. False: one
 * under another kernel, who can't see its lock, was quicker.
 */
bool ivshmem_place_enter(struct ivshmem_sleeper *sleeper)
{
	uint32_t attaching = sleeper->epoch - END_ATTACHED + END_ATTACHING;
	bool entered = __atomic_compare_exchange_n(&sleeper->end->epoch, &attaching,
						   sleeper->epoch, false, __ATOMIC_SEQ_CST,
						   __ATOMIC_SEQ_CST);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return entered;
}

void ivshmem_place_leave(struct ivshmem_sleeper *sleeper, struct ivshmem_holder *holder)
{
	struct ivshmem *shm = sleeper->link.shm;
	uint32_t epoch = sleeper->epoch;

	__atomic_compare_exchange_n(&sleeper->end->epoch, &epoch,
				    epoch - END_ATTACHED + END_CLOSED, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	if (sleeper->link.can & WAKE_LOCKED)
		ivshmem_byte_unlock(shm, sleeper->byte);
	ivshmem_unclaim(shm, holder);
	sleeper->end = NULL;
}

/*
 * The only end of a service or a wait set, entered. -EBUSY: another program has it; -EAGAIN: look
 * again, another was quicker, or the slot has another object by now.
 */
int ivshmem_place_in_slot(struct ivshmem_sleeper *sleeper, struct ivshmem_holder *holder,
			  const struct ivshmem_directory *directory,
			  const struct ivshmem_object *object)
{
	struct ivshmem_slot_end *end = &directory->slots[object->slot].end;
	int err;

	err = ivshmem_place_take(sleeper, holder, end, ivshmem_end_byte(object->slot, 0), object);
	if (err)
		return err;
	ivshmem_waiter_init(&sleeper->waiter, &end->receiver, NULL, NULL, &end->receiver_bell);
	ivshmem_waiter_announce(&sleeper->waiter, WAITING_AWAKE);
	__atomic_store_n(&end->sender, WAITING_AWAKE, __ATOMIC_RELAXED);	/* not rung yet */
	if (ivshmem_place_enter(sleeper) && !ivshmem_object_keep(directory, object))
		return 0;
	ivshmem_place_leave(sleeper, holder);
	return -EAGAIN;
}
