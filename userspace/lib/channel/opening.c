// SPDX-License-Identifier: MIT
/*
 * Opening a channel, in steps that do not wait: find the slot and take an end of it, then
 * agree with the other side on a session. Whoever wants to wait repeats them.
 */
#include <errno.h>
#include <string.h>

#include "end.h"
#include "loss.h"
#include "object.h"
#include "session.h"

#define FIRST_PAUSE_NS		20000
#define LONGEST_PAUSE_NS	NS_PER_MS

static int check_arguments(struct ivshmem_channel **channel, const struct ivshmem *shm,
			   const char *name, enum ivshmem_end end, unsigned int flags)
{
	if (!channel || (unsigned int)end > IVSHMEM_END_CONNECTOR)
		return -EINVAL;
	if (!shm || !name || !*name || flags & ~IVSHMEM_CHANNEL_TAKE_OVER ||
	    !ivshmem_is_name(name, IVSHMEM_CHANNEL_NAME_SIZE))
		return -EINVAL;
	if (shm->inherited)
		return -ECHILD;
	return shm->readonly ? -EACCES : 0;
}

/* Is it the one that others open, too? A server that has ended is no fault here. */
static int check_file(struct ivshmem *shm)
{
	return shm->backend->check(shm) == -ESTALE ? -ESTALE : 0;
}

static int map_rings(struct ivshmem_channel *channel)
{
	const struct ivshmem_superblock *superblock = &channel->superblock;
	uint64_t offset = ivshmem_ring_offset(superblock, channel->slot, 0);
	unsigned int side;
	int err;

	err = ivshmem_region_reserve(channel->shm, offset, 2 * superblock->ring_size);
	for (side = 0; side < 2 && !err; side++)
		err = ivshmem_window_map_twice(&channel->rings[side], channel->shm,
					       ivshmem_ring_offset(superblock, channel->slot, side),
					       superblock->ring_size);
	if (!err)
		err = ivshmem_receiver_init(&channel->receiver, channel->rings[!channel->side].data,
					    superblock->ring_size, &channel->own->received);
	return err ?: ivshmem_sender_init(&channel->sender, channel->rings[channel->side].data,
					  superblock->ring_size, &channel->own->sent,
					  &channel->own->begun);
}

/* The slot's index; -EAGAIN: the other side has not created the channel yet. */
static int find_slot(const struct ivshmem_channel *channel)
{
	unsigned int count = channel->superblock.channels;
	int slot;

	if (channel->side == IVSHMEM_END_CREATOR)
		return ivshmem_slot_claim(slots_of(channel), count, channel->name, channel->shm);
	slot = ivshmem_slot_find(slots_of(channel), count, channel->name);
	return slot == -ENOENT ? -EAGAIN : slot;
}

/* 0: this channel has its end of the slot; -EAGAIN. */
static int find_end(struct ivshmem_channel *channel)
{
	int slot = find_slot(channel);
	int err;

	if (slot < 0)
		return slot;
	err = ivshmem_end_take(channel, (unsigned int)slot,
			       channel->flags & IVSHMEM_CHANNEL_TAKE_OVER);
	if (err)
		return err;
	/* Was the slot given to another channel meanwhile? */
	err = ivshmem_slot_is_named(&slots_of(channel)[slot], channel->name) ? map_rings(channel)
									     : -EAGAIN;
	if (err) {
		ivshmem_end_give_back(channel);
		ivshmem_channel_unmap_rings(channel);
	}
	return err;
}

/* The layout may have been replaced under a channel: then its rings no longer belong to it. */
static int check_layout(struct ivshmem_channel *channel)
{
	int err = check_file(channel->shm);

	return err ? err : ivshmem_session_check_layout(channel);
}

/* The region went back to before this program had attached here: it does so again. */
static int attach_again(struct ivshmem_channel *channel)
{
	uint32_t epoch = __atomic_load_n(&channel->own->epoch, __ATOMIC_ACQUIRE);

	if (!ivshmem_session_keeps_end(channel, epoch))
		return -EBUSY;
	return ivshmem_session_attach(channel, epoch, ivshmem_end_lock_again(channel));
}

/* The slot, or the end of it, is another's by now. -EAGAIN: look for the channel again. */
static int leave_slot(struct ivshmem_channel *channel)
{
	int err;

	err = check_layout(channel);
	if (err)
		return err;
	if (ivshmem_slot_is_named(&slots_of(channel)[channel->slot], channel->name) &&
	    !attach_again(channel))
		return -EAGAIN;
	if (channel->was_open)
		return -EBUSY;
	ivshmem_end_give_back(channel);
	ivshmem_channel_unmap_rings(channel);
	channel->stage = CHANNEL_SEARCHES;
	return -EAGAIN;
}

/* As far as was told. Who can't send after a close may still have something to receive. */
static bool is_lost(const struct ivshmem_channel *channel)
{
	return channel->news.failed || (channel->room.failed && channel->room.failed != -EPIPE);
}

/* 0 once the channel is open; -EAGAIN as long as it depends on the other side. */
static int step(struct ivshmem_channel *channel)
{
	int err = 0;

	if (channel->stage == CHANNEL_HAS_LEFT)
		return -ENOTCONN;
	if (channel->stage == CHANNEL_IS_OPEN)
		return is_lost(channel) ? -ENOTCONN : 0;
	if (channel->stage == CHANNEL_SEARCHES)
		err = find_end(channel);
	if (err)
		return err;
	if (channel->stage == CHANNEL_SEARCHES)
		channel->stage = CHANNEL_AGREES;
	if (channel->stage == CHANNEL_AGREES) {
		err = ivshmem_session_advance(channel);
		if (err == -EREMCHG)
			return leave_slot(channel);
		if (err <= 0)
			return err ? err : -EAGAIN;
		channel->stage = CHANNEL_IS_OPEN;
		channel->was_open = true;
	}
	return 0;
}

int ivshmem_channel_begin(struct ivshmem_channel **out, struct ivshmem *shm, const char *name,
			  enum ivshmem_end end, unsigned int flags)
{
	struct ivshmem_superblock superblock;
	struct ivshmem_channel *channel;
	int err;

	err = check_arguments(out, shm, name, end, flags);
	if (!err)
		err = check_file(shm);
	if (!err)
		err = ivshmem_superblock_read(shm, &superblock);
	if (err)
		return err;
	channel = ivshmem_channel_new(shm, end, name, flags, &superblock);
	if (!channel)
		return -ENOMEM;
	err = ivshmem_region_reserve(shm, 0, ivshmem_slot_offset(superblock.channels));
	if (!err)
		err = ivshmem_window_map(&channel->header, shm, SLOTS_OFFSET,
					 superblock.channels * sizeof(struct ivshmem_slot));
	if (!err)
		err = step(channel);
	if (err && err != -EAGAIN) {
		ivshmem_channel_close(channel);
		return err;
	}
	*out = channel;
	return 0;
}

int ivshmem_channel_finish(struct ivshmem_channel *channel, int timeout_ms)
{
	int64_t deadline = ivshmem_deadline(timeout_ms);
	int64_t pause = FIRST_PAUSE_NS;
	int err;

	if (!channel)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	while ((err = step(channel)) == -EAGAIN) {
		err = ivshmem_pause(&pause, LONGEST_PAUSE_NS, deadline, channel->link.cancels);
		if (err) {
			ivshmem_loop_pace(channel, LONGEST_PAUSE_NS);
			return err;
		}
	}
	return err;
}

static int open_end(struct ivshmem_channel **out, struct ivshmem *shm, enum ivshmem_end end,
		    const char *name, unsigned int flags, int timeout_ms)
{
	struct ivshmem_channel *channel = NULL;
	int err;

	err = out ? ivshmem_channel_begin(&channel, shm, name, end, flags) : -EINVAL;
	if (!err)
		err = ivshmem_channel_finish(channel, timeout_ms);
	if (err) {
		ivshmem_channel_close(channel);
		return err;
	}
	*out = channel;
	return 0;
}

int ivshmem_channel_create(struct ivshmem_channel **channel, struct ivshmem *shm,
			   const char *name, unsigned int flags, int timeout_ms)
{
	return open_end(channel, shm, IVSHMEM_END_CREATOR, name, flags, timeout_ms);
}

int ivshmem_channel_connect(struct ivshmem_channel **channel, struct ivshmem *shm,
			    const char *name, unsigned int flags, int timeout_ms)
{
	return open_end(channel, shm, IVSHMEM_END_CONNECTOR, name, flags, timeout_ms);
}

/* An attempt that is under way goes on; else a new one begins. */
static int begin_again(struct ivshmem_channel *channel)
{
	int err;

	if (channel->stage == CHANNEL_SEARCHES)
		return 0;
	if (channel->stage == CHANNEL_IS_OPEN) {
		ivshmem_session_leave(channel);
		channel->stage = CHANNEL_HAS_LEFT;
	}
	err = check_layout(channel);
	if (err || (channel->stage == CHANNEL_AGREES && ivshmem_session_has_end(channel)))
		return err;
	err = attach_again(channel);
	if (!err)
		channel->stage = CHANNEL_AGREES;
	return err;
}

int ivshmem_channel_reconnect(struct ivshmem_channel *channel, int timeout_ms)
{
	int err;

	if (!channel)
		return -EINVAL;
	if (channel->shm->inherited)
		return -ECHILD;
	err = begin_again(channel);
	return err ? err : ivshmem_channel_finish(channel, timeout_ms);
}
