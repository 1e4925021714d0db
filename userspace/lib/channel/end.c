// SPDX-License-Identifier: MIT
/*
 * Taking one end of a slot for a channel, and giving it back.
 */
#include <errno.h>

#include "end.h"
#include "session.h"

#define CLOSE_NS	(100 * NS_PER_MS)

static int check_end(const struct ivshmem_channel *channel, uint32_t epoch)
{
	return ivshmem_end_check(&channel->directory, &channel->object, channel->side, epoch);
}

/*
 * Who closes an end has its lock for a moment longer: -EAGAIN. -EBUSY: somebody has it
 * still, or took it.
 */
static int take_lock(struct ivshmem_channel *channel, bool take_over)
{
	int err = ivshmem_end_lock(channel->shm, channel->object.slot, channel->side);

	if (err != -EBUSY || take_over)
		return err;
	if (!channel->lock_deadline)
		channel->lock_deadline = ivshmem_now() + CLOSE_NS;
	return ivshmem_deadline_passed(channel->lock_deadline) ? -EBUSY : -EAGAIN;
}

static void use_slot(struct ivshmem_channel *channel)
{
	struct ivshmem_slot *slot = &channel->directory.slots[channel->object.slot];

	channel->own = &slot->ends[channel->side];
	channel->other = &slot->ends[!channel->side];
	channel->mailbox.own = &slot->mail[channel->side];
	channel->mailbox.other = &slot->mail[!channel->side];
}

/*
 * Without the lock, which not every file lets one take, the end is simply one of
 * which is not known whether its program lives.
 */
static int take(struct ivshmem_channel *channel, bool take_over)
{
	uint32_t epoch = __atomic_load_n(&channel->own->epoch, __ATOMIC_ACQUIRE);
	bool locked;
	int err;

	err = take_over ? 0 : check_end(channel, epoch);
	if (err)
		return err;
	err = take_lock(channel, take_over);
	if (err == -EAGAIN)
		return err;
	locked = !err;
	/* Whoever has the lock of an end that is free had it before a new format. */
	if (err == -EBUSY && !take_over) {
		epoch = __atomic_load_n(&channel->own->epoch, __ATOMIC_ACQUIRE);
		err = check_end(channel, epoch);
		if (err)
			return err;
	}
	err = ivshmem_session_attach(channel, epoch, locked);
	if (err) {
		if (locked)
			ivshmem_end_unlock(channel->shm, channel->object.slot, channel->side);
		/* Whoever was faster may have come for another channel, and leave. */
		return err == -EBUSY ? -EAGAIN : err;
	}
	channel->lock_deadline = 0;
	return 0;
}

/*
 * -EAGAIN: look again in a moment. The claim comes first: the lock does not keep other
 * channels of this handle out. One that has it may have come for another name, and leave.
 */
int ivshmem_end_take(struct ivshmem_channel *channel, bool take_over)
{
	int err;

	use_slot(channel);
	err = ivshmem_claim(channel->shm, &channel->holder,
			    ivshmem_end_byte(channel->object.slot, channel->side));
	if (err)
		return check_end(channel, __atomic_load_n(&channel->own->epoch,
							  __ATOMIC_ACQUIRE)) ?: -EAGAIN;
	err = take(channel, take_over);
	if (err)
		ivshmem_unclaim(channel->shm, &channel->holder);
	return err;
}

/* After a take-over the lock may still have been another's. */
bool ivshmem_end_lock_again(struct ivshmem_channel *channel)
{
	return channel->link.can & WAKE_LOCKED ||
	       !ivshmem_end_lock(channel->shm, channel->object.slot, channel->side);
}

/*
 * A child's copy is only forgotten: the end is the parent's. Of a device that is gone there
 * is no memory to say it in.
 */
void ivshmem_end_give_back(struct ivshmem_channel *channel)
{
	bool has_memory = !channel->shm->inherited &&
			  channel->shm->backend->check(channel->shm) != -ENODEV;

	if (has_memory)
		ivshmem_session_end(channel);
	if (!channel->shm->inherited && channel->link.can & WAKE_LOCKED)
		ivshmem_end_unlock(channel->shm, channel->object.slot, channel->side);
	ivshmem_unclaim(channel->shm, &channel->holder);
	if (has_memory && channel->origin)
		channel->origin->left(channel);
}
