// SPDX-License-Identifier: MIT
/*
 * Taking one end of a slot for a channel, and giving it back.
 */
#include <errno.h>

#include "end.h"
#include "session.h"

#define CLOSE_NS	(100 * NS_PER_MS)

static bool is_open_here(const struct ivshmem *shm, unsigned int slot, unsigned int side)
{
	const struct ivshmem_channel *channel;

	for (channel = shm->channels; channel; channel = channel->next)
		if (channel->slot == slot && channel->side == side)
			return true;
	return false;
}

static int check_end(const struct ivshmem_channel *channel, uint32_t epoch)
{
	return ivshmem_end_check(slots_of(channel), channel->slot, channel->side, epoch,
				 channel->name, channel->shm->look_fd);
}

/*
 * Who closes an end has its lock for a moment longer: -EAGAIN. -EBUSY: somebody has it
 * still, or took it.
 */
static int take_lock(struct ivshmem_channel *channel, bool take_over)
{
	struct ivshmem *shm = channel->shm;
	int err;

	if (shm->lock_fd < 0)
		return -EACCES;
	err = ivshmem_end_lock(shm->lock_fd, channel->slot, channel->side);
	if (err != -EBUSY || take_over)
		return err;
	if (!channel->lock_deadline)
		channel->lock_deadline = ivshmem_now() + CLOSE_NS;
	return ivshmem_deadline_passed(channel->lock_deadline) ? -EBUSY : -EAGAIN;
}

static void use_slot(struct ivshmem_channel *channel, unsigned int slot)
{
	struct ivshmem_slot *slots = slots_of(channel);

	channel->slot = slot;
	channel->own = &slots[slot].ends[channel->side];
	channel->other = &slots[slot].ends[!channel->side];
	channel->mailbox.own = &slots[slot].mail[channel->side];
	channel->mailbox.other = &slots[slot].mail[!channel->side];
}

/*
 * Without the lock, which not every file lets one take, the end is simply one of
 * which is not known whether its program lives.
 */
static int take(struct ivshmem_channel *channel, unsigned int slot, bool take_over)
{
	struct ivshmem *shm = channel->shm;
	uint32_t epoch;
	bool locked;
	int err;

	if (is_open_here(shm, slot, channel->side))
		return -EBUSY;
	use_slot(channel, slot);
	epoch = __atomic_load_n(&channel->own->epoch, __ATOMIC_ACQUIRE);
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
			ivshmem_end_unlock(shm->lock_fd, slot, channel->side);
		/* Whoever was faster may have come for another channel, and leave. */
		return err == -EBUSY ? -EAGAIN : err;
	}
	channel->lock_deadline = 0;
	channel->next = shm->channels;
	shm->channels = channel;
	return 0;
}

/* -EAGAIN: look again in a moment. */
int ivshmem_end_take(struct ivshmem_channel *channel, unsigned int slot, bool take_over)
{
	int err;

	pthread_mutex_lock(&channel->shm->lock);
	err = take(channel, slot, take_over);
	pthread_mutex_unlock(&channel->shm->lock);
	return err;
}

/* After a take-over the lock may still have been another's. */
bool ivshmem_end_lock_again(struct ivshmem_channel *channel)
{
	int lock_fd = channel->shm->lock_fd;

	return channel->link.can & WAKE_LOCKED ||
	       (lock_fd >= 0 && !ivshmem_end_lock(lock_fd, channel->slot, channel->side));
}

void ivshmem_end_give_back(struct ivshmem_channel *channel)
{
	struct ivshmem_channel **link = &channel->shm->channels;

	pthread_mutex_lock(&channel->shm->lock);
	while (*link != channel)
		link = &(*link)->next;
	*link = channel->next;
	ivshmem_session_end(channel);
	if (channel->link.can & WAKE_LOCKED)
		ivshmem_end_unlock(channel->shm->lock_fd, channel->slot, channel->side);
	pthread_mutex_unlock(&channel->shm->lock);
}
