// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/system.h"
#include "channel.h"
#include "session.h"

#define SPIN_US			50
#define BACKOFF_US		1000
#define FIND_PAUSE_NS		100000
#define FIND_LONGEST_NS		2000000
#define CLOSE_NS		(100 * NS_PER_MS)

static bool is_open_here(const struct ivshmem *shm, unsigned int slot, unsigned int side)
{
	const struct ivshmem_channel *channel;

	for (channel = shm->channels; channel; channel = channel->next)
		if (channel->slot == slot && channel->side == side)
			return true;
	return false;
}

static struct ivshmem_slot *slots_of(const struct ivshmem_channel *channel)
{
	return channel->header.data;
}

static bool is_attached(const struct ivshmem_channel *channel)
{
	return ivshmem_end_state_of(slots_of(channel), channel->slot, channel->side,
				  channel->shm->look_fd) == IVSHMEM_END_ATTACHED;
}

/* Who closes an end has its lock for a moment longer. */
static int take_lock(const struct ivshmem_channel *channel, bool take_over)
{
	int64_t deadline = ivshmem_now() + CLOSE_NS;
	int64_t pause = FIND_PAUSE_NS;
	int err;

	if (channel->shm->lock_fd < 0)
		return -EACCES;
	do {
		err = ivshmem_end_lock(channel->shm->lock_fd, channel->slot, channel->side);
	} while (err == -EBUSY && !take_over &&
		 !ivshmem_pause(&pause, FIND_LONGEST_NS, deadline));
	return err;
}

/*
 * Without the lock, which not every file lets one take, the end is simply one of
 * which is not known whether its program lives.
 */
static int attach(struct ivshmem_channel *channel, unsigned int flags)
{
	struct ivshmem *shm = channel->shm;
	uint32_t epoch = __atomic_load_n(&channel->own->epoch, __ATOMIC_ACQUIRE);
	bool take_over = flags & IVSHMEM_CHANNEL_TAKE_OVER;
	bool locked;
	int err;

	if (is_open_here(shm, channel->slot, channel->side))
		return -EBUSY;
	if (!take_over && is_attached(channel))
		return -EBUSY;
	err = take_lock(channel, take_over);
	/* Whoever has the lock of an end that is free had it before a new format. */
	if (err == -EBUSY && !take_over && is_attached(channel))
		return err;
	locked = !err;
	err = ivshmem_session_attach(channel, epoch, locked);
	if (err && locked)
		ivshmem_end_unlock(shm->lock_fd, channel->slot, channel->side);
	return err;
}

static void detach(struct ivshmem_channel *channel)
{
	ivshmem_session_end(channel);
	if (channel->link.can & WAKE_LOCKED)
		ivshmem_end_unlock(channel->shm->lock_fd, channel->slot, channel->side);
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

/* 0; -EAGAIN: the slot was given to another channel meanwhile. */
static int attach_to(struct ivshmem_channel *channel, unsigned int slot, uint64_t key,
		     unsigned int flags)
{
	int err;

	use_slot(channel, slot);
	err = attach(channel, flags);
	if (err)
		return err;
	if (__atomic_load_n(&slots_of(channel)[slot].key, __ATOMIC_ACQUIRE) == key)
		return 0;
	detach(channel);
	return -EAGAIN;
}

/* The connector waits for the creator to give the channel a slot. */
static int find_end(struct ivshmem_channel *channel, unsigned int slots, const char *name,
		    unsigned int flags, int64_t deadline)
{
	uint64_t key = ivshmem_slot_key(name);
	int64_t pause = FIND_PAUSE_NS;
	int slot, err;

	do {
		if (channel->side == IVSHMEM_END_CREATOR)
			slot = ivshmem_slot_claim(slots_of(channel), slots, name, channel->shm);
		else
			slot = ivshmem_slot_find(slots_of(channel), slots, name);
		if (slot >= 0)
			err = attach_to(channel, (unsigned int)slot, key, flags);
		else
			err = slot == -ENOENT ? -EAGAIN : slot;
		if (err != -EAGAIN)
			return err;
		err = ivshmem_pause(&pause, FIND_LONGEST_NS, deadline);
	} while (!err);
	return err;
}

static int map_rings(struct ivshmem_channel *channel,
		     const struct ivshmem_superblock *superblock)
{
	unsigned int side;
	int err = 0;

	for (side = 0; side < 2 && !err; side++)
		err = ivshmem_window_map_twice(&channel->rings[side], channel->shm,
					       ivshmem_ring_offset(superblock, channel->slot, side),
					       superblock->ring_size);
	if (err)
		return err;
	ivshmem_receiver_init(&channel->receiver, channel->rings[!channel->side].data,
			      superblock->ring_size);
	return ivshmem_sender_init(&channel->sender, channel->rings[channel->side].data,
				   superblock->ring_size);
}

static void free_channel(struct ivshmem_channel *channel)
{
	ivshmem_waiter_close(&channel->room);
	ivshmem_waiter_close(&channel->news);
	if (channel->loop_fd >= 0) {
		close(channel->loop_timer);
		close(channel->loop_fd);
	}
	ivshmem_sender_free(&channel->sender);
	ivshmem_window_unmap(&channel->rings[0]);
	ivshmem_window_unmap(&channel->rings[1]);
	ivshmem_window_unmap(&channel->header);
	free(channel);
}

static struct ivshmem_channel *new_channel(struct ivshmem *shm, enum ivshmem_end side,
					   const struct ivshmem_superblock *superblock)
{
	struct ivshmem_channel *channel = aligned_alloc(alignof(struct ivshmem_channel),
							sizeof(*channel));

	if (!channel)
		return NULL;
	memset(channel, 0, sizeof(*channel));
	channel->shm = shm;
	channel->link.shm = shm;
	channel->side = side;
	channel->spin_us = SPIN_US;
	channel->backoff_us = BACKOFF_US;
	channel->max_length = ivshmem_ring_max_length(superblock->ring_size);
	channel->loop_fd = -1;
	channel->loop_timer = -1;
	channel->room.epoll = -1;
	channel->news.epoll = -1;
	memcpy(channel->uuid, superblock->uuid, sizeof(channel->uuid));
	return channel;
}

static int check_arguments(const struct ivshmem *shm, const char *name, unsigned int flags)
{
	if (!shm || !name || !*name || flags & ~IVSHMEM_CHANNEL_TAKE_OVER ||
	    !ivshmem_is_name(name, IVSHMEM_CHANNEL_NAME_SIZE))
		return -EINVAL;
	return shm->readonly ? -EACCES : 0;
}

/* Before the program gives up the rights that it takes. */
static void open_lock_fds(struct ivshmem *shm)
{
	if (shm->lock_fd < 0)
		shm->lock_fd = ivshmem_lock_fd_open(shm);
	if (shm->look_fd < 0)
		shm->look_fd = ivshmem_lock_fd_open(shm);
}

static int open_end(struct ivshmem_channel **out, struct ivshmem *shm, enum ivshmem_end side,
		    const char *name, unsigned int flags, int timeout_ms)
{
	int64_t deadline = ivshmem_deadline(timeout_ms);
	struct ivshmem_superblock superblock;
	struct ivshmem_channel *channel;
	int err;

	err = out ? check_arguments(shm, name, flags) : -EINVAL;
	if (!err)
		err = ivshmem_superblock_read(shm, &superblock);
	if (err)
		return err;
	open_lock_fds(shm);
	channel = new_channel(shm, side, &superblock);
	if (!channel)
		return -ENOMEM;

	err = ivshmem_window_map(&channel->header, shm, SLOTS_OFFSET,
				 superblock.channels * sizeof(struct ivshmem_slot));
	if (!err)
		err = find_end(channel, superblock.channels, name, flags, deadline);
	if (err)
		goto err_free_channel;
	err = map_rings(channel, &superblock);
	if (!err)
		err = ivshmem_session_agree(channel, deadline);
	if (err)
		goto err_detach;
	channel->next = shm->channels;
	shm->channels = channel;
	*out = channel;
	return 0;

err_detach:
	detach(channel);
err_free_channel:
	free_channel(channel);
	return err;
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

/* The layout may have been replaced under a channel: then its rings are no more its own. */
static int check_layout(struct ivshmem_channel *channel)
{
	struct ivshmem_superblock superblock;
	int err;

	err = ivshmem_superblock_read(channel->shm, &superblock);
	if (err)
		return err;
	return memcmp(superblock.uuid, channel->uuid, sizeof(channel->uuid)) ? -ESTALE : 0;
}

/* After a take-over the lock may still have been another's. */
static bool is_locked_here(const struct ivshmem_channel *channel)
{
	int lock_fd = channel->shm->lock_fd;

	return channel->link.can & WAKE_LOCKED ||
	       (lock_fd >= 0 && !ivshmem_end_lock(lock_fd, channel->slot, channel->side));
}

int ivshmem_channel_reconnect(struct ivshmem_channel *channel, int timeout_ms)
{
	int err;

	if (!channel)
		return -EINVAL;
	ivshmem_session_leave(channel);
	err = check_layout(channel);
	if (!err)
		err = ivshmem_session_attach(channel, channel->epoch, is_locked_here(channel));
	return err ?: ivshmem_session_agree(channel, ivshmem_deadline(timeout_ms));
}

void ivshmem_channel_close(struct ivshmem_channel *channel)
{
	struct ivshmem_channel **link;

	if (!channel)
		return;
	for (link = &channel->shm->channels; *link != channel; link = &(*link)->next)
		;
	*link = channel->next;
	detach(channel);
	free_channel(channel);
}

size_t ivshmem_channel_max_length(const struct ivshmem_channel *channel)
{
	return channel ? channel->max_length : 0;
}

int ivshmem_channel_set_spin(struct ivshmem_channel *channel, unsigned int microseconds)
{
	if (!channel)
		return -EINVAL;
	channel->spin_us = microseconds;
	return 0;
}

int ivshmem_channel_set_backoff(struct ivshmem_channel *channel, unsigned int microseconds)
{
	if (!channel || !microseconds)
		return -EINVAL;
	channel->backoff_us = microseconds;
	return 0;
}

const char *ivshmem_channel_wakeup(const struct ivshmem_channel *channel)
{
	static const char *const names[] = {
		[WAKEUP_BACKOFF] = "backoff",
		[WAKEUP_FUTEX] = "futex",
		[WAKEUP_DOORBELL] = "doorbell",
	};

	return channel ? names[channel->link.wakeup] : NULL;
}
